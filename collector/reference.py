"""The collector's configuration as text: what ``dump-config`` prints and the sample under deploy/ is."""

from __future__ import annotations

from typing import Any

import msgspec

from collector.config import ENRICHERS, NOTIFIERS, STORES, CollectorConfig
from telemetry import component
from telemetry.reference import SECRET, markdown, sample

HEADING = """Configuration of the Tengwang collector. Every option has a default, so no file is needed at all.
Lines that begin with '#' show the defaults. Paths are relative to <home>/collector.
Check it with: tengwang check --config FILE"""


def text(config: CollectorConfig | None = None) -> str:
    """The whole file. With ``config``, what differs from the defaults is written out; secrets are not."""
    parts = [sample(CollectorConfig, config, heading=HEADING)]
    chosen = config.store if config is not None else {}
    for package, table in ((STORES, "store"), (ENRICHERS, "enrichers"), (NOTIFIERS, "notifiers")):
        for name in component.names(package):
            if config is not None and table == "store" and chosen.get("type") == name:
                continue
            module = component.load(package, name)
            about = f'Options of [{table}] with type = "{name}":'
            lines = sample(module.Config, heading=about).splitlines()
            parts.append("\n".join(line if line.startswith("#") or not line else f"# {line}" for line in lines))
    return "\n".join(part.rstrip() + "\n" for part in parts)


def hidden(value: Any, name: str = "") -> Any:
    """The same plain data with every secret as ``***``."""
    if isinstance(value, dict):
        return {key: hidden(inner, key) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [hidden(inner, name) for inner in value]
    return "***" if name in SECRET and value else value


def tables() -> str:
    """The reference page of the configuration, Markdown."""
    parts = ["# Configuration of the collector (`tengwang.toml`)", "", HEADING, "", markdown(CollectorConfig)]
    for package, table in ((STORES, "store"), (ENRICHERS, "enrichers"), (NOTIFIERS, "notifiers")):
        for name in component.names(package):
            module = component.load(package, name)
            config: type[msgspec.Struct] = module.Config
            parts += [f'## `[{table}]` with `type = "{name}"`', "", markdown(config)]
    return "\n".join(parts)
