"""What an indicator, a scale and a warning are: data that a person writes in ``rules/posture/*.yml``.

An **indicator** asks the store one question and takes points off for the answer. It has one of three ways to take it:

- ``count``   so many records fulfil the query within the window
- ``sum``     the sum of one field over them
- ``latest``  of the newest record of each thing (``per``) within the window: how many are bad, by one of the searches
  in ``bad`` and, where ``stale`` is given, by being that old; with ``field`` the sum of that field over the bad ones;
  with ``share`` the bad ones in percent of all

Points: ``weight`` for each whole or part of the value beyond ``threshold``, at most ``cap`` (扣完为止). While the
indicator has any deduction, ``ceiling`` is the most that the whole score may be.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from telemetry.verdict import Text

Id = Annotated[
    str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{1,63}\Z", description="small letters, digits, '-'; at most 64")
]
Words = Annotated[str, msgspec.Meta(min_length=1, max_length=2000, description="1 to 2000 characters")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=120, description="1 to 120 characters")]
Search = Annotated[
    str, msgspec.Meta(max_length=500, description="search text as on the events page, e.g. dataset:tengwang.ndp")
]
Span = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9]{1,5}[smhd]\Z", description="a length of time like 90s, 15m, 24h or 180d")
]
Date = Annotated[str, msgspec.Meta(pattern=r"^20[0-9]{2}(-[0-9]{2}){0,2}\Z", description="a date: 2025-11-01, or 2025")]
Points = Annotated[float, msgspec.Meta(ge=0, le=100, description="points, 0 to 100")]
Amount = Annotated[float, msgspec.Meta(ge=-1e12, le=1e12, description="a number")]
Scope = Literal["unit", "zone", "level", "all"]
SCOPES: tuple[Scope, ...] = ("unit", "zone", "level", "all")
Colour = Literal["none", "blue", "yellow", "orange", "red"]
COLOURS: tuple[Colour, ...] = ("blue", "yellow", "orange", "red")
"""From the least to the worst: 一般 较大 重大 特别重大."""


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of everything that a person writes."""


class Measure(Strict, frozen=True, kw_only=True):
    """The question. ``expects`` says who can answer it: without that, an empty answer is blindness and not a zero."""

    kind: Literal["events", "alerts", "incidents"]
    take: Literal["count", "sum", "latest"]
    window: Span
    query: Search = ""
    field: str = ""
    per: Annotated[tuple[str, ...], msgspec.Meta(max_length=3)] = ()
    bad: Annotated[tuple[Search, ...], msgspec.Meta(max_length=8)] = ()
    stale: Span | None = None
    stale_of: str = "@timestamp"
    share: bool = False
    expects: Literal["agents", "devices", "systems", "nothing"] = "agents"


class Indicator(Strict, frozen=True, kw_only=True):
    """See above. ``baseline``, ``target``, ``target_year`` and ``attribute`` are as in a plan's table of indicators."""

    form: Literal["indicator"] = "indicator"
    id: Id
    title_zh: Name
    title_en: Name
    about_zh: Words
    about_en: Words
    measure: Measure
    counted_in: Literal["number", "percent", "days"] = "number"
    direction: Literal["lower", "higher"] = "lower"
    """Which way is better."""
    threshold: Amount = 0.0
    weight: Points
    cap: Points
    ceiling: Points | None = None
    scope: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1, max_length=4)] = SCOPES
    sight: bool = False
    """About whether the platform itself can see; being measured, it does not make a unit seen."""
    attribute: Literal["binding", "expected"] = "expected"
    """约束性 or 预期性."""
    baseline: Amount | None = None
    target: Amount | None = None
    target_year: Annotated[int, msgspec.Meta(ge=2000, le=2100)] | None = None
    source: Words
    date: Date

    @property
    def title(self) -> Text:
        return Text(self.title_zh, self.title_en)

    def points(self, value: float) -> tuple[float, bool]:
        """What is taken off for a value, and whether the cap was reached."""
        beyond = value - self.threshold if self.direction == "lower" else self.threshold - value
        points = max(0.0, beyond) * self.weight
        return (min(points, self.cap), points >= self.cap > 0)


class Colours(Strict, frozen=True, kw_only=True):
    """Where each colour begins. Which way is worse follows from their order."""

    blue: Amount
    yellow: Amount
    orange: Amount
    red: Amount

    def __post_init__(self) -> None:
        steps = [self.blue, self.yellow, self.orange, self.red]
        if steps not in (sorted(set(steps)), sorted(set(steps), reverse=True)):
            raise ValueError("blue, yellow, orange and red must rise all the way, or fall all the way")

    def of(self, value: float) -> Colour:
        """The worst colour that the value reaches."""
        rising = self.blue < self.red
        found: Colour = "none"
        for name in COLOURS:
            limit = getattr(self, name)
            if value >= limit if rising else value <= limit:
                found = name
        return found


class Scale(Strict, frozen=True, kw_only=True):
    """How a score reads: the floor that it never goes through, and below which score each colour begins."""

    form: Literal["scale"]
    id: Id
    title_zh: Name
    title_en: Name
    floor: Points
    below: Colours
    source: Words
    date: Date

    def colour(self, score: float) -> Colour:
        found: Colour = "none"
        for name in COLOURS:
            if score < getattr(self.below, name):
                found = name
        return found


class WarningRule(Strict, frozen=True, kw_only=True):
    """What is looked for before it happens. ``colours`` are in robust deviations (baseline), else in days left.

    - ``baseline``: ``query`` counted by the hour, against the same hour of the weeks before (``minimum`` of them)
    - ``capacity``: octets of each interface against ``limit`` percent of its speed
    - ``expiry``:   dates that readiness checks found in certificates
    - ``target``:   the indicator's value by the end of its target year; ``colours`` in percentage points missed
    """

    form: Literal["warning"]
    id: Id
    title_zh: Name
    title_en: Name
    about_zh: Words
    about_en: Words
    method: Literal["baseline", "capacity", "expiry", "target"]
    kind: Literal["events", "alerts", "incidents"] = "events"
    query: Search = ""
    field: str = ""
    """baseline: the field whose sum is looked at; the number of records where it is empty."""
    indicator: str = ""
    limit: Annotated[float, msgspec.Meta(gt=0, le=100, description="percent")] = 80.0
    window: Span = "56d"
    minimum: Annotated[int, msgspec.Meta(ge=2, le=10_000)] = 4
    """Fewer values than this are not enough data, and that is what the answer says."""
    colours: Colours
    source: Words
    date: Date

    @property
    def title(self) -> Text:
        return Text(self.title_zh, self.title_en)


class Book(msgspec.Struct, frozen=True):
    """All that ``rules/posture`` and a user's own folders say."""

    indicators: tuple[Indicator, ...]
    warnings: tuple[WarningRule, ...]
    scale: Scale

    def indicator(self, id: str) -> Indicator | None:
        return next((i for i in self.indicators if i.id == id), None)
