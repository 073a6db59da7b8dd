"""Twins: for each rule a file of events that it must hit and must miss.

``rules/area/x.yml`` has ``x.jsonl``, a line ``{"match": true, "event": {...}}`` each, with at least one hit and one
miss; ``note`` may say why. The events are whole and valid, and take the way through the index as real ones do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from collector.detect.index import Index
from collector.detect.load import load_file, rule_files
from collector.detect.rule import Rule
from telemetry.errors import Permanent, Problem
from telemetry.validate import validate


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    match: bool
    event: dict[str, Any]
    note: Annotated[str, msgspec.Meta(max_length=1000)] = ""


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
    return [one(path, (twins / path.relative_to(root)).with_suffix(".jsonl")) for path in files]


def one(path: Path, twin: Path) -> Outcome:
    found = load_file(path)
    loaded, problems = found.rules, found.problems
    if problems:
        return Outcome(str(path), 0, 0, tuple(problems))
    try:
        lines = twin.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        return Outcome(str(path), 0, 0, (Problem(str(twin), 0, "", f"can not be read: {error}", "one hit, one miss"),))
    return _lines(path, twin, loaded, lines)


def _lines(path: Path, twin: Path, rules: Sequence[Rule], lines: Sequence[str]) -> Outcome:
    index = Index(rules)
    problems: list[Problem] = []
    counts = {True: 0, False: 0}
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            line = msgspec.json.decode(text, type=Line)
            validate(line.event)
        except (msgspec.DecodeError, RecursionError) as error:
            problems.append(Problem(str(twin), number, "", str(error), '{"match": true, "event": {...}}'))
            continue
        except Permanent as error:
            problems.append(Problem(str(twin), number, "event", f"no agent could send this: {error}"))
            continue
        hit = bool(index.hits(line.event))
        counts[line.match] += 1
        if hit is not line.match:
            problems.append(
                Problem(str(twin), number, "", "must hit and does not" if line.match else "hits and must not")
            )
    for match, what in ((True, "hit"), (False, "miss")):
        if not counts[match]:
            problems.append(Problem(str(twin), 0, "", f"has no {what}", "a rule is proven by both"))
    return Outcome(str(path), counts[True], counts[False], tuple(problems))
