"""Twins of indicators, scales and warnings: ``x.yml`` has ``x.jsonl`` with cases and what must come out.

A line of an indicator has records of one unit and the value they give (``null``: nobody could measure), and the points
that come off. There must be a case that takes points off and one that takes none. A line of the scale is a score and
its colour; one of a warning a value and its colour.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from collector.duration import seconds
from collector.posture.facts import gather
from collector.posture.indicator import Book, Indicator, Scale, WarningRule
from collector.posture.load import PLAIN, load_file
from collector.posture.score import score
from collector.posture.tree import Place, Tree
from collector.query import Kind
from collector.store import Record, Store
from telemetry.errors import Permanent, Problem
from telemetry.validate import validate

NOW = 1_790_000_000_000
UNIT = "unit"
MAX_LINES = 1000


class Given(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stored record, so long ``ago``; ``doc`` needs neither time nor unit."""

    ago: str
    doc: dict[str, Any]
    kind: Literal["events", "alerts", "incidents", "audit"] | None = None


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    records: tuple[Given, ...]
    value: float | None
    points: float = 0.0
    note: Annotated[str, msgspec.Meta(max_length=1000)] = ""


class Reading(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of a scale or a warning."""

    value: float
    colour: str
    note: str = ""


class Outcome(msgspec.Struct, frozen=True):
    file: str
    cases: int
    problems: tuple[Problem, ...]


def one(path: Path, twin: Path, make: Callable[[], Store]) -> Outcome:
    """``make`` opens an empty store for each case."""
    loaded, problems = load_file(path)
    if loaded is None or problems:
        return Outcome(str(path), 0, tuple(problems))
    try:
        lines = twin.read_text(encoding="utf-8").splitlines()[:MAX_LINES]
    except (OSError, UnicodeDecodeError) as error:
        return Outcome(str(path), 0, (Problem(str(twin), 0, "", f"can not be read: {error}", "one case a line"),))
    found: list[Problem] = []
    kinds: set[bool] = set()
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            if isinstance(loaded, Indicator):
                case = msgspec.json.decode(text, type=Case)
                kinds |= _of_indicator(loaded, case, make)
            else:
                reading = msgspec.json.decode(text, type=Reading)
                kinds |= _of_colours(loaded, reading)
        except (msgspec.DecodeError, Permanent, ValueError) as error:
            found.append(Problem(str(twin), number, "", str(error)))
    if kinds != {True, False}:
        found.append(Problem(str(twin), 0, "", "wants a case that takes something off, and one that does not"))
    return Outcome(str(path), len(lines), tuple(found))


def records(case: Case, kind: str, at_ms: int = NOW, unit: str = UNIT) -> list[Record]:
    """The records of a case as a store takes them."""
    made = []
    for number, given in enumerate(case.records):
        doc = {"@timestamp": at_ms - seconds(given.ago) * 1000, "tengwang.unit.id": unit, **given.doc}
        if doc["tengwang.unit.id"] == "":
            del doc["tengwang.unit.id"]
        name = f"{unit}-{number}"
        doc["event.id"] = name
        doc["event.ingested"] = doc["@timestamp"]
        made.append(Record(Kind(given.kind or kind), name, validate(doc)))
    return made


def place(unit: str = UNIT) -> Place:
    return Place(unit, unit, unit, "county", "", "", 0, 0, 0, "")


def _of_indicator(indicator: Indicator, case: Case, make: Callable[[], Store]) -> set[bool]:
    store = make()
    try:
        refused = store.write(records(case, indicator.measure.kind)).refused
        if refused:
            raise ValueError(f"no store takes this: {refused[0].reason}")
        book = Book((indicator,), (), PLAIN)
        scores = score(book, gather(store, book.indicators, NOW), Tree([place()]))
    finally:
        store.close()
    # what only the whole has is there without a score where no unit is seen; its points are read from the value
    value = (scores.whole if indicator.scope == ("all",) else scores.own[UNIT]).values.get(indicator.id)
    if (value is None) is not (case.value is None):
        raise ValueError(f"the value is {value}, not {case.value}")
    points = 0.0
    if value is not None and case.value is not None:
        points = indicator.points(value)[0]
        if not math.isclose(value, case.value, abs_tol=1e-3):
            raise ValueError(f"the value is {value:g}, not {case.value:g}")
    if not math.isclose(points, case.points, abs_tol=1e-3):
        raise ValueError(f"{points:g} points come off, not {case.points:g}")
    return {points > 0} if value is not None else set()


def _of_colours(loaded: Scale | WarningRule, reading: Reading) -> set[bool]:
    colour = loaded.colour(reading.value) if isinstance(loaded, Scale) else loaded.colours.of(reading.value)
    if colour != reading.colour:
        raise ValueError(f"{reading.value:g} is {colour}, not {reading.colour}")
    return {colour != "none"}


def pairs(folder: Path, twins: Path) -> Sequence[tuple[Path, Path]]:
    """Every file below ``folder`` with its twin."""
    return [(path, (twins / path.relative_to(folder)).with_suffix(".jsonl")) for path in sorted(folder.rglob("*.yml"))]
