"""Show incidents and do with them what the console does, from the command line.

  tengwang incidents list                          what is open, the gravest first
  tengwang incidents list --state closed --since 30d --json
  tengwang incidents show ID                       one, with its clocks and its whole record
  tengwang incidents ack ID
  tengwang incidents handle ID                     work on it has begun
  tengwang incidents hand-over ID PERSON           somebody else has it now
  tengwang incidents note ID "the port is 5/12"
  tengwang incidents grade ID relatively_major     a person confirms the grade; its reporting clocks hold
  tengwang incidents close ID --reason "the port was shut"
  tengwang incidents false-positive ID --reason "a drill"
  tengwang incidents reopen ID --reason "it is back"
  tengwang incidents merge ID INTO                 what belongs together is one
  tengwang incidents split ID ALERT [ALERT ...]    these alerts are an incident of their own
  tengwang incidents reported ID operator-report   one of its reports was handed in
  tengwang incidents report ID --language en       a draft of the report; what is not known is marked
  tengwang incidents suppress --unit hgt --for 4h --reason "cutover"      a maintenance window: nobody is paged
  tengwang incidents suppressions                  which there are; --end ID ends one now

The beginning of an id is enough where it is the only one.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from collector.attached import add_home
from collector.duration import seconds

if TYPE_CHECKING:
    from collector.incidents.model import Incident
    from collector.services import Services

HELP = "show incidents; acknowledge, handle, hand over, note, grade, close, merge, split, report"
STATES = ("open", "found", "notified", "acknowledged", "handling", "verifying", "closed", "false_positive", "any")
GRADES = ("general", "relatively_major", "major", "particularly_major")


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="many", description="incidents, the gravest first")
    listing.add_argument("--state", choices=STATES, default="open", help="in this state (open)")
    listing.add_argument("--unit", default="", help="of this unit or one below it")
    listing.add_argument("--level", default="", choices=("informational", "low", "medium", "high", "critical"))
    listing.add_argument("--since", type=seconds, default=366 * 86_400, metavar="LENGTH", help="how far back (1 year)")
    listing.add_argument("--limit", type=int, default=100, help="how many at most (100)")
    listing.add_argument("--json", action="store_true", help="for a program")
    show = actions.add_parser("show", help="one with its record", description="one incident with its whole record")
    show.add_argument("--json", action="store_true", help="for a program")
    ack = actions.add_parser("ack", help="acknowledge", description="somebody has it now")
    handle = actions.add_parser("handle", help="begin work", description="work on it has begun")
    hand_over = actions.add_parser("hand-over", help="give it to somebody", description="somebody else has it now")
    note = actions.add_parser("note", help="add a note", description="add a note")
    grade = actions.add_parser("grade", help="confirm the grade", description="confirm the grade")
    close = actions.add_parser("close", help="close", description="close; without a measurement only with a reason")
    false = actions.add_parser("false-positive", help="nothing was wrong", description="close it: nothing was wrong")
    reopen = actions.add_parser("reopen", help="found once more", description="one that is over is found once more")
    merge = actions.add_parser("merge", help="join two", description="what belongs together is one incident")
    split = actions.add_parser("split", help="part one", description="some of its alerts are an incident of their own")
    reported = actions.add_parser("reported", help="a report was handed in", description="stop one reporting clock")
    report = actions.add_parser("report", help="draft of the report", description="a draft of the report, on stdout")
    changing = (ack, handle, hand_over, note, grade, close, false, reopen, merge, split, reported)
    for action in (show, *changing, report):
        action.add_argument("incident", help="id, or its beginning")
    hand_over.add_argument("to", help="to whom")
    for action in (false, reopen):
        action.add_argument("--reason", required=True, help="why")
    merge.add_argument("into", help="the incident that stays, or the beginning of its id")
    split.add_argument("alerts", nargs="+", help="ids of alerts")
    reported.add_argument("clock", help="which, as show names it")
    reported.add_argument("--note", default="", help="to whom, and how")
    note.add_argument("text", help="what to note")
    grade.add_argument("grade", choices=GRADES)
    close.add_argument("--reason", default="", help="why it is closed")
    report.add_argument("--language", choices=("zh-CN", "en"), default="zh-CN", help="of the draft (zh-CN)")
    suppress = actions.add_parser("suppress", help="page nobody for a while", description="a maintenance window")
    for name, means in (
        ("unit", "of this unit or one below it"),
        ("asset", "about it"),
        ("rule", "of it"),
        ("key", ""),
    ):
        suppress.add_argument(f"--{name}", default="", help=f"incidents {means or 'with this alert key'}")
    suppress.add_argument("--for", dest="length", type=seconds, required=True, metavar="LENGTH", help="like 4h")
    suppress.add_argument("--in", dest="delay", type=seconds, default=0, metavar="LENGTH", help="begins so much later")
    suppress.add_argument("--reason", required=True, help="why")
    windows = actions.add_parser("suppressions", help="show or end them", description="the maintenance windows")
    windows.add_argument("--end", default="", metavar="ID", help="end this one now")
    for action in (listing, show, *changing, report, suppress, windows):
        add_home(action)


def run(arguments: argparse.Namespace) -> int:
    from collector.attached import services

    with services(arguments) as parts:
        if arguments.action == "list":
            return _list(parts, arguments)
        if arguments.action in ("suppress", "suppressions"):
            return _suppress(parts, arguments)
        name = _named(parts, arguments.incident)
        if arguments.action == "show":
            return _show(parts, name, arguments.json)
        if arguments.action == "report":
            from collector.incidents import dossier, report

            print(report.draft(dossier.sources(parts, name), arguments.language), end="")
            return 0
        changed = _change(parts, name, arguments)
    print(f"{changed.id} is {changed.state.value}", file=sys.stderr)
    return 0


def _change(parts: Services, name: str, arguments: argparse.Namespace) -> Incident:
    from collector.attached import who
    from collector.incidents.model import Grade

    desk, by = parts.desk, who()
    match arguments.action:
        case "ack":
            return desk.acknowledge(name, by)
        case "handle":
            return desk.handle(name, by)
        case "hand-over":
            return desk.hand_over(name, by, arguments.to)
        case "note":
            return desk.note(name, by, arguments.text)
        case "grade":
            return desk.grade(name, by, Grade(arguments.grade))
        case "false-positive":
            return desk.false_positive(name, by, arguments.reason)
        case "reopen":
            return desk.reopen(name, by, arguments.reason)
        case "merge":
            return desk.merge(name, _named(parts, arguments.into), by)
        case "split":
            return desk.split(name, arguments.alerts, by)
        case "reported":
            return desk.reported(name, by, arguments.clock, arguments.note)
        case _:
            return desk.close(name, by, arguments.reason)


def _suppress(parts: Services, arguments: argparse.Namespace) -> int:
    from collector.attached import who
    from telemetry.clock import iso

    held = parts.desk.suppressions
    if arguments.action == "suppress":
        begin = parts.clock.now_ms() + arguments.delay * 1000
        made = held.add(
            who(),
            arguments.reason,
            begin + arguments.length * 1000,
            from_ms=begin,
            unit=arguments.unit,
            asset=arguments.asset,
            rule=arguments.rule,
            key=arguments.key,
        )
        print(f"{made.id} until {iso(made.until_ms)}", file=sys.stderr)
        return 0
    if arguments.end:
        held.end(arguments.end, who())
    now = parts.clock.now_ms()
    for one in held.all():
        state = "over" if one.until_ms <= now else "waits" if one.from_ms > now else "HOLDS"
        about = " ".join(f"{n}={v}" for n in ("unit", "asset", "rule", "key") if (v := getattr(one, n)))
        print(f"{one.id}  {state:<5}  {iso(one.from_ms)} to {iso(one.until_ms)}  {about}  {one.reason}  ({one.by})")
    return 0


def _named(parts: Services, text: str) -> str:
    """The id that begins so; raises Permanent where several do."""
    from telemetry.errors import Permanent

    found = [one.id for one in parts.desk.docket.all(0) if one.id.startswith(text.lower())] if text else []
    if len(found) > 1:
        raise Permanent("ambiguous", f"{len(found)} incidents begin with {text!r}: {', '.join(found[:5])}")
    return found[0] if found else text


def _list(parts: Services, arguments: argparse.Namespace) -> int:
    import msgspec

    from collector.detect.rule import SEVERITY
    from collector.incidents.model import OPEN, State
    from telemetry.clock import iso

    states = {"open": OPEN, "any": frozenset(State)}.get(arguments.state) or frozenset({State(arguments.state)})
    since = parts.clock.now_ms() - arguments.since * 1000
    rows = parts.desk.list(states, arguments.unit, arguments.level, since, arguments.limit)
    rows = sorted(rows, key=lambda one: (SEVERITY.get(one.level, 0), one.found_ms), reverse=True)
    if arguments.json:
        print(msgspec.json.encode(rows).decode())
        return 0
    if not rows:
        print("no incident; --state any shows those that are over", file=sys.stderr)
    for one in rows:
        who = one.assignee or one.acknowledged_by or "-"
        told = " SUPPRESSED" if one.suppressed_until_ms > parts.clock.now_ms() else ""
        told += f" BLIND: {one.blind}" if one.blind else ""
        print(
            f"{one.id}  {one.level:<13} {one.state.value:<14} {iso(one.found_ms)}  {one.count:>6}  "
            f"{one.unit_name or one.unit or '-'}  {one.title.zh or one.title.en}  {who}{told}"
        )
    return 0


def _show(parts: Services, name: str, as_json: bool) -> int:
    import msgspec

    from collector.incidents import dossier
    from telemetry.clock import iso

    one = dossier.incident(parts, name)
    history = parts.desk.history(name)
    clocks = dossier.countdowns(parts, one)
    if as_json:
        print(msgspec.json.encode({"incident": one, "history": history, "clocks": clocks}).decode())
        return 0
    print(f"{one.id}  {one.title.zh}  {one.title.en}")
    print(f"{one.level}, {one.state.value}, {one.count} alert(s), {one.unit_name or one.unit}, rule {one.rule}")
    subject = {name: value for name, value in msgspec.structs.asdict(one.subject).items() if value}
    print("  ".join(f"{key}={value}" for key, value in subject.items()))
    for label, at in (
        ("first", one.first_ms),
        ("found", one.found_ms),
        ("acknowledged", one.acknowledged_ms),
        ("contained", one.contained_ms),
        ("verifying", one.verifying_ms),
        ("closed", one.closed_ms),
    ):
        if at:
            print(f"  {label:<13} {iso(at)}")
    for clock in clocks:
        due = f"due {iso(clock.due_ms)}" if clock.due_ms else ""
        print(f"  clock {clock.id}: {clock.phase.value} {due}  {clock.title.zh} -> {clock.to.zh}")
    for entry in history:
        data = "  ".join(f"{key}={value}" for key, value in entry.data.items())
        print(f"{iso(entry.at_ms)}  {entry.by:<12} {entry.action:<14} {entry.note}  {data}".rstrip())
    return 0
