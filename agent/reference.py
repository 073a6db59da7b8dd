"""The agent's configuration as text: what ``dump-config`` prints and the sample under deploy/ is."""

from __future__ import annotations

import msgspec

from agent.config import INPUTS, Config, Settings
from telemetry import component
from telemetry.reference import markdown, sample

HEADING = """Configuration of the Tengwang agent: HOME/agent.toml. Every option has a default, so it may be missing.
Lines that begin with '#' show the defaults. An [[inputs]] table switches one input on; without any table these
run: host, ndp, packets, snmp, readiness. Check it with: tengwang-agent check"""


def text(settings: Settings | None = None) -> str:
    """The whole file. With ``settings``, what differs from the defaults is written out; secrets are not."""
    bare = settings.config if settings is not None else Config()
    head = sample(Config, msgspec.structs.replace(bare, inputs=()) if settings is not None else None)
    parts = ["\n".join(f"# {line}" for line in HEADING.splitlines()), _without_inputs(head)]
    if settings is not None:
        for given in settings.inputs:
            parts.append(_table(given.type, type(given.options), given.options))
    chosen = {given.type for given in settings.inputs} if settings is not None else set()
    for name in component.names(INPUTS):
        if name not in chosen:
            lines = _table(name, component.load(INPUTS, name).Config, None).splitlines()
            parts.append("\n".join(line if line.startswith("#") or not line else f"# {line}" for line in lines))
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _table(name: str, struct: type[msgspec.Struct], options: msgspec.Struct | None) -> str:
    about = (component.load(INPUTS, name).__doc__ or "").strip().splitlines()[0]
    return f'# {about}\n[[inputs]]\ntype = "{name}"\n\n' + sample(struct, options)


def _without_inputs(head: str) -> str:
    """The inputs have tables of their own."""
    blocks = head.split("\n\n")
    return "\n\n".join(b for b in blocks if "inputs = " not in b and "[[inputs]]" not in b)


def tables() -> str:
    """The reference page of the configuration, Markdown."""
    parts = ["# Configuration of the agent (`agent.toml`)", "", HEADING, "", markdown(Config)]
    for name in component.names(INPUTS):
        module = component.load(INPUTS, name)
        parts += [
            f'## `[[inputs]]` with `type = "{name}"`',
            "",
            (module.__doc__ or "").strip(),
            "",
            markdown(module.Config),
        ]
    return "\n".join(parts)
