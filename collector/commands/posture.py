"""Scores of units, zones and levels, now or as they were; and the files that they are made by.

  tengwang posture show                     every unit's score in the tree, and what takes most points off
  tengwang posture show unit/hgt            one score, explained (also branch/, zone/, level/, all/all)
  tengwang posture show --at=-7d            as it was a week ago, computed from what is stored
  tengwang posture check my-rules           indicators, warnings and the scale; every problem with path:line
  tengwang posture test my-rules            run each file against its twin: x.yml against x.jsonl

What is scored, and how, is data: rules/posture/*.yml. A unit that nobody sees has no score. Exit code 2: problems.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from collector.attached import add_home

if TYPE_CHECKING:
    from collector.store import Store
    from collector.views.posture import Posture, PostureDetail

HELP = "scores of units, zones and levels, now or as they were"


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("show", help="print scores", description="print scores")
    show.add_argument("what", nargs="?", default="", help="unit/ID, branch/ID, zone/ID, level/ID or all/all")
    show.add_argument("--at", default="now", help="the moment: now, -7d (write --at=-7d), or RFC 3339")
    show.add_argument("--json", action="store_true", help="for a program: one JSON object")
    add_home(show)
    for name, about in (("check", "load files and name every problem"), ("test", "run files against their twins")):
        action = actions.add_parser(name, help=about, description=about)
        action.add_argument("path", nargs="?", type=Path, help="folder or file; by default the program's own")
        if name == "test":
            action.add_argument("--twins", type=Path, help="folder of the twins; by default beside the files")


def run(arguments: argparse.Namespace) -> int:
    return {"show": _show, "check": _check, "test": _test}[arguments.action](arguments)


def _show(arguments: argparse.Namespace) -> int:
    import msgspec

    from collector.attached import services
    from collector.views import posture as views
    from collector.views.events import instant
    from telemetry.errors import ConfigError, Permanent

    with services(arguments) as found:
        now = found.clock.now_ms()
        try:
            at_ms = now if arguments.at == "now" else min(instant(arguments.at, now), now)
        except Permanent as error:
            raise ConfigError.one("--at", error.detail) from error
        computed = views.computed(found, at_ms)
        scope, _, subject = arguments.what.partition("/")
        made = views.detail(found, computed, scope, subject) if arguments.what else views.posture(found, computed)
    if made is None:
        raise ConfigError.one(arguments.what, "is not there", "unit/ID, branch/ID, zone/ID, level/ID or all/all")
    if arguments.json:
        print(msgspec.json.encode(made).decode())
    elif isinstance(made, views.PostureDetail):
        _print_one(made)
    else:
        _print_all(made)
    return 0


def _print_all(made: Posture) -> None:
    print(f"{_number(made.whole.score)}  {made.whole.name} ({made.whole.seen} of {made.whole.units} units are seen)")
    for unit in made.units:
        worst = f"  most lost: {unit.worst_en}" if unit.worst else ""
        print(f"{_number(unit.score)}  {'  ' * (unit.depth + 1)}{unit.name} [{unit.subject}] {unit.state}{worst}")


def _print_one(made: PostureDetail) -> None:
    print(
        f"{_number(made.score.score)}  {made.score.name} [{made.score.scope}/{made.score.subject}] {made.score.state}"
    )
    for line in made.lines:
        print(f"{-line.points:+7.2f}  {line.title_en} / {line.title_zh}: {line.value:g}  {line.evidence}")
    blind = [value.title_en for value in made.values if value.value is None]
    if blind:
        print("not measured: " + ", ".join(blind))


def _number(score: float | None) -> str:
    return "    —" if score is None else f"{score:5.1f}"


def _check(arguments: argparse.Namespace) -> int:
    from collector import shipped
    from collector.posture.load import load
    from telemetry.errors import ConfigError

    book, problems = load([arguments.path or shipped.rules()])
    if problems:
        raise ConfigError(problems)
    print(
        f"{len(book.indicators)} indicators and {len(book.warnings)} early warnings good; the scale is {book.scale.id}"
    )
    return 0


def _test(arguments: argparse.Namespace) -> int:
    import itertools
    import tempfile

    from collector import shipped
    from collector.posture import twins
    from collector.store import StoreContext
    from collector.stores import sqlite
    from telemetry.clock import ManualClock
    from telemetry.errors import ConfigError, Problem
    from telemetry.report import Report

    path = arguments.path or shipped.rules() / "posture"
    folder = path if path.is_dir() else path.parent
    beside = shipped.rules().parent / "tests/rules/posture"
    found = twins.pairs(folder, arguments.twins or (folder if arguments.path or not beside.is_dir() else beside))
    problems: list[Problem] = []
    clock, numbers = ManualClock(twins.NOW), itertools.count()
    with tempfile.TemporaryDirectory() as home:

        def make() -> Store:
            context = StoreContext(Path(home), clock, Report(clock))
            return sqlite.build(sqlite.Config(path=str(next(numbers)), reserve_mb=0), context)

        for file, twin in found:
            if path.is_dir() or file == path:
                outcome = twins.one(file, twin, make)
                print(f"{'wrong' if outcome.problems else 'good'}  {outcome.file}: {outcome.cases} cases")
                problems += outcome.problems
    if problems:
        raise ConfigError(problems)
    return 0
