"""Reporting clocks as data: who has to report what to whom, how soon, and which article says so.

``rules/reporting/*.yml``. What is wrong with a file is said with path:line and that file is left out; the others hold.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from collector import duration
from collector.incidents.model import Grade
from telemetry import config
from telemetry.errors import ConfigError, Problem

Word = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,63}\Z", description="small letters, digits and '-'")]
Date = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d\Z", description="a date like 2025-11-01, in quotes")]
Sentence = Annotated[str, Meta(min_length=1, max_length=500, description="1 to 500 characters")]
Operator = Literal["cii", "organ", "other"]
LONGEST_S = 366 * 86_400


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a person writes: an unknown key is a mistake."""


class Both(Strict, frozen=True):
    """The same sentence in both languages."""

    zh: Sentence
    en: Sentence


class Clock(Strict, frozen=True):
    """One duty to report. ``who``: for which operators it holds; ``ours``: false where somebody else has to do it."""

    id: Word
    title: Both
    to: Both
    article: Sentence
    who: Annotated[tuple[Operator, ...], Meta(min_length=1)]
    grades: Annotated[tuple[Grade, ...], Meta(min_length=1)]
    start: Literal["found", "reported", "ended"]
    within: Annotated[str, Meta(description="a length like 1h, 30m, 30d")]
    warn: Annotated[str, Meta(description="so long before its end people are told")]
    after: str = ""
    """Of ``start: reported``: the clock whose report starts this one."""
    quote: str = ""
    ours: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.warn_ms < self.within_ms <= LONGEST_S * 1000:
            raise ValueError(f"warn ({self.warn}) must be shorter than within ({self.within}), and that within a year")
        if (self.start == "reported") is not bool(self.after):
            raise ValueError("'after' names the report that starts this clock; it goes with start: reported")

    @property
    def within_ms(self) -> int:
        return _seconds(self.within) * 1000

    @property
    def warn_ms(self) -> int:
        return _seconds(self.warn) * 1000


class Regulation(Strict, frozen=True):
    """One file: a regulation, where its text is, since when it holds, and when that was last looked at."""

    title: Both
    source: Annotated[str, Meta(pattern="^https?://", description="where its text is")]
    in_force: Date
    checked: Date
    clocks: Annotated[tuple[Clock, ...], Meta(min_length=1, max_length=100)]

    def __post_init__(self) -> None:
        ids = [clock.id for clock in self.clocks]
        if twice := {name for name in ids if ids.count(name) > 1}:
            raise ValueError(f"several clocks are named {', '.join(sorted(twice))}")
        for clock in self.clocks:
            if clock.after and clock.after not in ids:
                raise ValueError(f"clock {clock.id}: after: {clock.after!r} is no clock of this file")


def read(paths: Sequence[Path]) -> tuple[tuple[Regulation, ...], list[Problem]]:
    """All regulations of these files and folders, and what is wrong with the others. Never raises."""
    files = [f for path in paths for f in (sorted(path.rglob("*.yml")) if path.is_dir() else [path])]
    found: list[Regulation] = []
    problems: list[Problem] = []
    known: dict[str, Path] = {}
    for file in files:
        try:
            made = config.load(file, Regulation)
        except ConfigError as error:
            problems += error.problems
            continue
        if again := [clock.id for clock in made.clocks if clock.id in known]:
            where = ", ".join(f"{name} is in {known[name]}" for name in again)
            problems.append(Problem(str(file), 1, "clocks", f"there already: {where}", "give it another id"))
            continue
        known.update({clock.id: file for clock in made.clocks})
        found.append(made)
    return tuple(found), problems


def _seconds(text: str) -> int:
    try:
        return duration.seconds(text)
    except argparse.ArgumentTypeError as error:
        raise ValueError(str(error)) from None
