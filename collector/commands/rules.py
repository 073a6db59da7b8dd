"""Check, test or list the rules that raise alerts. Without a path: the ones that come with the program.

  tengwang rules check my-rules            load them as the collector would; every problem with path:line
  tengwang rules test my-rules             run each rule against its twin: x.yml against x.jsonl
  tengwang rules list                      what is looked for, and which rules are idle here

A rule is Sigma (https://sigmahq.io) with a block ``tengwang:`` for the Chinese texts and the class by GB/T 20986. Its
log source is ``product: tengwang`` with a service: flow, ndp, snmp, host, readiness or agent; fields have ECS names.
A twin has a line {"match": true, "event": {...}} for each event, at least one hit and one miss. It stands beside the
rule, or at the same place below --twins. Exit code 2: there are problems.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collector.detect import Detector

HELP = "check, test or list the rules that raise alerts"


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, about in (
        ("check", "load rules and name every problem"),
        ("test", "run rules against their twins"),
        ("list", "print what is looked for"),
    ):
        action = actions.add_parser(name, help=about, description=about)
        action.add_argument("path", nargs="?", type=Path, help="folder or file; by default the program's own rules")
        action.add_argument("--json", action="store_true", help="for a program: one JSON object")
        if name == "test":
            action.add_argument("--twins", type=Path, help="folder of the twins; by default beside the rules")


def run(arguments: argparse.Namespace) -> int:
    return {"check": _check, "test": _test, "list": _list}[arguments.action](arguments)


def _load(arguments: argparse.Namespace) -> Detector:
    from collector import shipped
    from collector.detect import build
    from telemetry.clock import SystemClock
    from telemetry.report import Report

    clock = SystemClock()
    return build([arguments.path or shipped.rules()], Report(clock), clock)


def _check(arguments: argparse.Namespace) -> int:
    from telemetry.errors import ConfigError

    detector = _load(arguments)
    idle = sum(bool(rule.idle) for rule in detector.rules())
    active = len(detector.rules()) - idle
    if arguments.json:
        problems = [dataclasses.asdict(problem) for problem in detector.problems()]
        print(
            json.dumps({"ok": not problems, "problems": problems, "active": active, "idle": idle}, ensure_ascii=False)
        )
        return 2 if problems else 0
    if detector.problems():
        raise ConfigError(detector.problems())
    print(f"{active} rules good" + (f", {idle} more that no agent of ours sends events for" if idle else ""))
    return 0


def _test(arguments: argparse.Namespace) -> int:
    from collector import shipped
    from collector.detect import twins
    from telemetry.errors import ConfigError

    rules = arguments.path or shipped.rules()
    beside = rules if rules.is_dir() else rules.parent
    ours = rules.parent / "tests" / "rules"
    outcomes = twins.run(rules, arguments.twins or (ours if ours.is_dir() else beside))
    problems = [problem for outcome in outcomes for problem in outcome.problems]
    if arguments.json:
        made = [
            {
                "rule": outcome.rule,
                "hits": outcome.hits,
                "misses": outcome.misses,
                "problems": [dataclasses.asdict(problem) for problem in outcome.problems],
            }
            for outcome in outcomes
        ]
        print(json.dumps({"ok": not problems, "rules": made}, ensure_ascii=False))
        return 2 if problems else 0
    for outcome in outcomes:
        state = "wrong" if outcome.problems else "good"
        print(f"{state}  {outcome.rule}: {outcome.hits} to hit, {outcome.misses} to miss")
    if problems:
        raise ConfigError(problems)
    return 0


def _list(arguments: argparse.Namespace) -> int:
    import msgspec

    detector = _load(arguments)
    if arguments.json:
        print(msgspec.json.encode({"rules": detector.rules()}).decode())
        return 0
    for rule in sorted(detector.rules(), key=lambda r: r.path):
        print(f"{rule.level:13} {rule.title.en}" + (f"  (idle: {rule.idle})" if rule.idle else ""))
        print(f"{'':13} {rule.title.zh}  [{rule.category_title.zh}]")
        print(f"{'':13} {rule.path}:{rule.line}  {rule.id}")
    return 0
