"""Twins: for each rule file a file of events that it must hit and must miss.

``rules/area/x.yml`` has ``x.jsonl``, with at least one hit and one miss, a line each:

    {"match": true, "event": {...}}                               one event
    {"match": true, "events": [{...}, {...}], "after": "5m"}      for correlations: events in order, at their own times
    {"match": false, "proves": true, "event": {...}}              the event shows that the matter is over

``after`` lets time pass after the last event; by default so much that every window is over, for an ``absence`` none.
``note`` may say why. The events are whole and valid, and take the way through the index as real ones do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from collector.detect.load import Loaded, load_file, rule_files
from collector.detect.rehearsal import Rehearsal
from collector.detect.rule import seconds
from collector.detect.ruleset import Ruleset, join
from collector.query import Kind
from telemetry.clock import SystemClock
from telemetry.errors import Permanent, Problem
from telemetry.event import Event
from telemetry.report import Report
from telemetry.validate import validate


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    match: bool
    event: dict[str, Any] | None = None
    events: Annotated[tuple[dict[str, Any], ...], msgspec.Meta(max_length=10_000)] = ()
    after: str = ""
    proves: bool | None = None
    note: Annotated[str, msgspec.Meta(max_length=1000)] = ""

    def __post_init__(self) -> None:
        if (self.event is None) == (not self.events):
            raise ValueError("has either 'event' or 'events'")
        if self.after:
            seconds(self.after)


class Outcome(msgspec.Struct, frozen=True):
    """What the twin of one rule file showed."""

    rule: str
    hits: int
    misses: int
    problems: tuple[Problem, ...]


def run(rules: Path, twins: Path) -> list[Outcome]:
    """Every rule file below ``rules`` against its twin below ``twins``; a rule without one is a problem."""
    files = rule_files(rules) if rules.is_dir() else [rules]
    root = rules if rules.is_dir() else rules.parent
    loaded = {path: load_file(path) for path in files}
    made = []
    for path, found in loaded.items():
        if found.rules or found.correlations or found.problems:  # filters and pipelines alone have nothing to show
            twin = (twins / path.relative_to(root)).with_suffix(".jsonl")
            made.append(_against(path, twin, found, (other for at, other in loaded.items() if at != path)))
    return made


def one(path: Path, twin: Path) -> Outcome:
    """One file; rules that it names are looked for in its folder as well."""
    found = load_file(path)
    others = [other for other in rule_files(path.parent) if other != path] if found.correlations else []
    return _against(path, twin, found, map(load_file, others))


def _against(path: Path, twin: Path, found: Loaded, others: Iterable[Loaded]) -> Outcome:
    ours = {rule.info.id for rule in found.rules} | {one.id for one in found.correlations}
    ruleset = join([found, *others] if found.correlations else [found])
    problems = [problem for problem in ruleset.problems if problem.path == str(path)]
    if problems:
        return Outcome(str(path), 0, 0, tuple(problems))
    try:
        lines = twin.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        return Outcome(str(path), 0, 0, (Problem(str(twin), 0, "", f"can not be read: {error}", "one hit, one miss"),))
    return _lines(path, twin, _only(ruleset, ours), lines)


def _only(ruleset: Ruleset, ours: set[str]) -> Ruleset:
    """Without the rules of other files that this one has nothing to do with."""
    parts = ours | {part for one in ruleset.correlations if one.id in ours for part in one.rules}
    while more := {p for one in ruleset.correlations if one.id in parts for p in one.rules} - parts:
        parts |= more
    return Ruleset(
        tuple(rule for rule in ruleset.rules if rule.info.id in parts),
        tuple(one for one in ruleset.correlations if one.id in parts),
        used_by={part: tuple(u for u in users if u.id in parts) for part, users in ruleset.used_by.items()},
    )


def _lines(path: Path, twin: Path, ruleset: Ruleset, lines: Sequence[str]) -> Outcome:
    problems: list[Problem] = []
    counts = {True: 0, False: 0}
    ours = {info.id for info in ruleset.infos() if info.path == str(path)}
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            line = msgspec.json.decode(text, type=Line)
            events = [_whole(event, number, at) for at, event in enumerate(line.events or (line.event or {},))]
        except (msgspec.DecodeError, RecursionError) as error:
            problems.append(Problem(str(twin), number, "", str(error), '{"match": true, "event": {...}}'))
            continue
        except Permanent as error:
            problems.append(Problem(str(twin), number, "event", f"no agent could send this: {error}"))
            continue
        hit, proof = _played(ruleset, ours, events, line)
        counts[line.match] += 1
        if hit is not line.match:
            problems.append(
                Problem(str(twin), number, "", "must hit and does not" if line.match else "hits and must not")
            )
        if line.proves is not None and proof is not line.proves:
            told = "must prove the end and does not" if line.proves else "proves the end and must not"
            problems.append(Problem(str(twin), number, "", told))
    for match, what in ((True, "hit"), (False, "miss")):
        if not counts[match]:
            problems.append(Problem(str(twin), 0, "", f"has no {what}", "a rule is proven by both"))
    return Outcome(str(path), counts[True], counts[False], tuple(problems))


def _whole(event: Mapping[str, Any], line: int, number: int) -> Event:
    made = {"event.id": f"twin-{line}-{number}", **event}
    return validate(made)


def _played(ruleset: Ruleset, ours: set[str], events: Sequence[Event], line: Line) -> tuple[bool, bool]:
    """Was one of our rules hit, and was the end of one proven? A part of a correlation counts where it raises."""
    rehearsal = Rehearsal(ruleset, Report(SystemClock()))
    made = [record for event in events for record in rehearsal.play(event)]
    made += rehearsal.end(seconds(line.after) * 1000 if line.after else None)
    hit = any(record.kind is Kind.ALERT and record.doc["rule.id"] in ours for record in made)
    return hit, any(r.doc.get("tengwang.hit.role") == "proof" and r.doc["tengwang.hit.rule"] in ours for r in made)
