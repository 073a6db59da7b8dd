"""Check, test, list or explain the rules that raise alerts. Without a path: the ones that come with the program.

  tengwang rules check my-rules            load them as the collector would; every problem with path:line
  tengwang rules test my-rules             run each rule against its twin: x.yml against x.jsonl
  tengwang rules coverage                  what is looked for by kind of event, ATT&CK and GB/T 20986, and what is not
  tengwang rules explain ID event.json     why a rule did or did not match one event; '-' is standard input
  tengwang rules list                      what is looked for, and which rules are idle here

A rule is Sigma (https://sigmahq.io) with a block ``tengwang:`` for the Chinese texts, the class by GB/T 20986, what
makes one incident and what proves it over. Its log source is ``product: tengwang`` with a service: flow, ndp, dns,
snmp, host, readiness, agent ... Fields have ECS names. A twin has a line {"match": true, "event": {...}} for each
event, of a correlation {"match": true, "events": [...]}; at least one hit and one miss. It stands beside the rule, or
at the same place below --twins. Exit code 2: there are problems.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collector.detect import Detector
    from collector.detect.explain import Explanation

HELP = "check, test, list or explain the rules that raise alerts"


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, about in (
        ("check", "load rules and name every problem"),
        ("test", "run rules against their twins"),
        ("coverage", "say what is looked for and what is not"),
        ("explain", "say why a rule did or did not match an event"),
        ("list", "print what is looked for"),
    ):
        action = actions.add_parser(name, help=about, description=about)
        if name == "explain":
            action.add_argument("rule", help="id, name or path of a rule or correlation")
            action.add_argument("event", type=Path, help="a file with one event as JSON; '-' is standard input")
            action.add_argument("--path", type=Path, help="folder or file of rules; by default the program's own")
        else:
            action.add_argument("path", nargs="?", type=Path, help="folder or file; by default the program's own rules")
        action.add_argument("--json", action="store_true", help="for a program: one JSON object")
        if name == "test":
            action.add_argument("--twins", type=Path, help="folder of the twins; by default beside the rules")


def run(arguments: argparse.Namespace) -> int:
    actions = {"check": _check, "test": _test, "coverage": _coverage, "explain": _explain, "list": _list}
    return actions[arguments.action](arguments)


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


def _coverage(arguments: argparse.Namespace) -> int:
    import msgspec

    from collector.detect.coverage import coverage

    made = coverage(_load(arguments).rules())
    if arguments.json:
        print(msgspec.json.encode(made).decode())
        return 0
    print("by kind of event")
    for dataset in made.datasets:
        print(f"  {dataset.rules:4}  {dataset.name}" + ("" if dataset.rules else "  (no rule)"))
    print("by class of GB/T 20986")
    for name, count in made.classes.items():
        print(f"  {count:4}  {made.title(name).zh}  {made.title(name).en}")
    print("by ATT&CK tactic and technique")
    for tag, count in made.attack.items():
        print(f"  {count:4}  {tag}")
    print(f"fields that no rule asks for ({len(made.fields_unused)})")
    for field in made.fields_unused:
        print(f"        {field}")
    for path, why in made.idle.items():
        print(f"idle    {path}: {why}")
    return 0


def _explain(arguments: argparse.Namespace) -> int:
    import sys

    import msgspec

    from collector import shipped
    from collector.detect.explain import explain
    from telemetry.errors import ConfigError

    try:
        text = sys.stdin.read() if str(arguments.event) == "-" else arguments.event.read_text(encoding="utf-8")
        event = msgspec.json.decode(text, type=dict[str, object])
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise ConfigError.one(str(arguments.event), f"is no event: {error}", "one JSON object") from error
    if isinstance(event.get("event"), dict):  # a line of a twin
        event = event["event"]  # type: ignore[assignment]
    path = arguments.path or (Path(arguments.rule) if arguments.rule.endswith(".yml") else shipped.rules())
    found = explain([path], arguments.rule, event)  # type: ignore[arg-type]
    if arguments.json:
        print(msgspec.json.encode({"rules": found}).decode())
        return 0
    for one in found:
        _print_explanation(one)
    return 0


def _print_explanation(one: Explanation) -> None:
    print(f"{'matches' if one.matches else 'does not match'}  {one.title}  ({one.path}:{one.line})")
    if one.why_not:
        print(f"  because: {one.why_not}")
    print(f"  condition: {one.condition}")
    for selection, holds in one.selections.items():
        print(f"  {'yes' if holds else 'no ':3}  {selection}")
        for item in one.items:
            if item.selection == selection:
                found = "the event has none" if item.found is None else f"is {item.found}"
                print(f"       {'yes' if item.holds else 'no ':3}  {item.field}: wants {item.wanted}; {found}")
    for title, group in one.groups.items():
        print(f"  counts for: {title}: {group}")


def _list(arguments: argparse.Namespace) -> int:
    import msgspec

    detector = _load(arguments)
    if arguments.json:
        print(msgspec.json.encode({"rules": detector.rules()}).decode())
        return 0
    for rule in sorted(detector.rules(), key=lambda r: r.path):
        notes = [f"idle: {rule.idle}"] if rule.idle else []
        notes += [rule.kind] if rule.kind != "event" else []
        notes += [] if rule.raises else ["counted by a correlation"]
        print(f"{rule.level:13} {rule.title.en}" + (f"  ({'; '.join(notes)})" if notes else ""))
        print(f"{'':13} {rule.title.zh}  [{rule.category_title.zh}]")
        print(f"{'':13} {rule.path}:{rule.line}  {rule.id}")
    return 0
