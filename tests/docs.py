"""``make docs``: write the samples under deploy/ and the reference under deploy/reference/ from the code.

``pages`` makes everything in memory; tests/test_docs.py holds the files against it, so they can not fall behind.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from agent import main as agent_main
from agent import reference as agent_reference
from collector import main as collector_main
from collector import reference as collector_reference
from collector.stores.elastic.template import templates
from telemetry.command import main as command_main
from telemetry.component import names
from telemetry.fields import FIELDS, SCHEMA
from telemetry.metrics import METRICS

DEPLOY = Path(__file__).parents[1] / "deploy"
GENERATED = "<!-- made by `make docs`; do not edit -->"


def pages() -> Mapping[str, str]:
    """Path below deploy/ -> text."""
    return {
        "tengwang.toml": collector_reference.text(),
        "agent.toml": agent_reference.text(),
        "reference/collector.md": f"{GENERATED}\n{collector_reference.tables()}",
        "reference/agent.md": f"{GENERATED}\n{agent_reference.tables()}",
        "reference/fields.md": fields(),
        "reference/metrics.md": metrics(),
        "reference/commands.md": commands(),
        **{f"elasticsearch/{name}.json": json.dumps(body, indent=1) + "\n" for name, body in templates().items()},
    }


def fields() -> str:
    lines = [
        GENERATED,
        "# Fields",
        "",
        f"Every field that an event may have (schema {SCHEMA}, {len(FIELDS)} fields). Names without the prefix",
        "`tengwang.` are ECS. The list is [telemetry/fields.py](../../telemetry/fields.py).",
        "",
        "| field | type | unit | 中文 | English | meaning |",
        "|---|---|---|---|---|---|",
    ]
    for field in FIELDS:
        type_ = f"{field.type}, list" if field.many else str(field.type)
        lines.append(f"| `{field.name}` | {type_} | {field.unit} | {field.zh} | {field.en} | {field.meaning} |")
    return "\n".join(lines) + "\n"


def metrics() -> str:
    lines = [
        GENERATED,
        "# Metrics",
        "",
        "What `/metrics` of collector and agent may show, in Prometheus' text format.",
        "",
        "| metric | kind | labels | meaning |",
        "|---|---|---|---|",
    ]
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.meaning} |")
    return "\n".join(lines) + "\n"


def commands() -> str:
    """The ``--help`` of every command of both programs."""
    lines = [GENERATED, "# Commands", ""]
    for program, package, description in (
        ("tengwang", "collector.commands", collector_main.DESCRIPTION),
        ("tengwang-agent", "agent.commands", agent_main.DESCRIPTION),
    ):
        lines += [f"# {program}", "", "```text", help_text(program, package, description, []), "```", ""]
        for name in names(package):
            word = name.replace("_", "-")
            text = help_text(program, package, description, [word])
            lines += [f"## {program} {word}", "", "```text", text, "```", ""]
    return "\n".join(lines)


def help_text(program: str, package: str, description: str, words: list[str]) -> str:
    out = io.StringIO()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100"
    try:
        with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
            command_main(program, package, description, [*words, "--help"])
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    return out.getvalue().rstrip()


def main() -> int:
    changed = 0
    for name, text in pages().items():
        path = DEPLOY / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(DEPLOY.parent)}")
            changed += 1
    print(f"{changed} file(s) changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
