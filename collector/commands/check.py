"""Check configuration, inventory and rules, and name every problem at once, with path:line and what to write instead.

  tengwang check                       of var/, where there is one
  tengwang check --config new.toml     of a file, before it is put in place

Exit code 2: there are problems. Nothing is started, opened or changed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json

from collector.attached import add_home

HELP = "name every problem of configuration, inventory and rules"


def configure(parser: argparse.ArgumentParser) -> None:
    add_home(parser)
    parser.add_argument("--json", action="store_true", help="for a program: one JSON object")


def run(arguments: argparse.Namespace) -> int:
    from collector import detect
    from collector.home import Home
    from collector.inventory_source import examine
    from collector.starting import read_config
    from collector.wiring import rule_paths
    from telemetry.clock import SystemClock
    from telemetry.errors import ConfigError, Problem
    from telemetry.report import Report

    home = Home(arguments.home.absolute())
    problems: list[Problem] = []
    checked: list[str] = []
    try:
        config = read_config(home, arguments.config)
        checked.append(str(arguments.config or home.config or "configuration: none, so the defaults"))
    except ConfigError as error:
        problems += error.problems
    else:
        folder = home.within(config.inventory.path)
        if folder.exists():
            problems += examine(folder).problems
            checked.append(str(folder))
        clock = SystemClock()
        for path in rule_paths(config, home):
            problems += detect.build([path], Report(clock), clock).problems()
            checked.append(str(path))
    if arguments.json:
        listed = [dataclasses.asdict(problem) for problem in problems]
        print(json.dumps({"ok": not problems, "problems": listed, "checked": checked}, ensure_ascii=False))
        return 2 if problems else 0
    if problems:
        raise ConfigError(problems)
    print("good: " + ", ".join(checked))
    return 0
