"""Check, show or start the inventory: who and what is registered.

  tengwang inventory check                 every problem of var/inventory at once, with what to write instead
  tengwang inventory check /etc/inventory  the same of another folder or file, before it is put in place
  tengwang inventory show                  the unit tree, with what stands at each unit
  tengwang inventory example my-inventory  write a commented example of a city with four levels, to start from

Exit code 2: there are problems. A running collector takes changed files within seconds, and keeps the last good ones
while the newer ones are wrong.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

HELP = "check, show or start the inventory"
DEFAULT = Path("var/inventory")


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, about in (("check", "name every problem at once"), ("show", "print the unit tree and what is in it")):
        action = actions.add_parser(name, help=about, description=about)
        action.add_argument("path", nargs="?", type=Path, default=DEFAULT, help=f"folder or file, by default {DEFAULT}")
        action.add_argument("--json", action="store_true", help="for a program: one JSON object")
    example = actions.add_parser("example", help="write an example", description="write a commented example inventory")
    example.add_argument("path", nargs="?", type=Path, default=DEFAULT, help=f"a folder, by default {DEFAULT}")


def run(arguments: argparse.Namespace) -> int:
    return {"check": _check, "show": _show, "example": _example}[arguments.action](arguments)


def _check(arguments: argparse.Namespace) -> int:
    from collector.inventory_source import examine
    from telemetry.errors import ConfigError

    examined = examine(arguments.path)
    counts = {name: len(getattr(examined.inventory, name)) for name in examined.inventory.__struct_fields__}
    if arguments.json:
        problems = [dataclasses.asdict(problem) for problem in examined.problems]
        print(json.dumps({"ok": not problems, "problems": problems, "entries": counts}, ensure_ascii=False))
        return 2 if problems else 0
    if examined.problems:
        raise ConfigError(examined.problems)
    print(f"{arguments.path}: good: " + ", ".join(f"{count} {name}" for name, count in counts.items() if count))
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from collector.inventory_index import Indexed
    from collector.inventory_source import load
    from collector.inventory_tree import plain, tree

    index = Indexed(load(arguments.path)[0])
    if arguments.json:
        print(json.dumps(plain(index.inventory), ensure_ascii=False))
    else:
        print("\n".join(tree(index)))
    return 0


def _example(arguments: argparse.Namespace) -> int:
    from collector import shipped
    from telemetry.errors import ConfigError

    folder: Path = arguments.path
    sources = sorted(shipped.inventory().glob("*.yml"))
    if there := [source.name for source in sources if (folder / source.name).exists()]:
        raise ConfigError.one(
            str(folder), f"has {', '.join(there)} already", "nothing was written; name another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        (folder / source.name).write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
        print(folder / source.name)
    print(f"edit them, then: tengwang inventory check {folder}", file=sys.stderr)
    return 0
