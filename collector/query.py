"""One small question language for the console, the API and everything later; every store answers it alike.

A query is a time range (``since_ms <= @timestamp < until_ms``), a list of conditions that must all hold, and either a
page of records or groups with measures. ``collector/query_normal.py`` brings values to the field's own type, and
refuses what makes no sense, before an engine sees them.

A field that a record does not have (or has as an empty list) meets no condition, so ``Not`` of any condition holds
for it. Of a list, a condition holds when it holds for one element. JSON fields can be neither searched nor grouped,
TEXT can be searched but not grouped, and texts over ``MAX_SEARCHED`` characters are kept but not searched.
"""

from __future__ import annotations

import enum
from typing import Literal

import msgspec

Scalar = str | int | float | bool

MAX_SEARCHED = 8191
"""Longest text that is searched: a Lucene term holds 32,766 bytes and a character takes up to four."""


class Kind(enum.StrEnum):
    """Which records: each kind is stored, kept and dropped on its own."""

    EVENT = "events"
    ALERT = "alerts"
    HIT = "hits"
    """What a part of a correlation saw: an event matched one rule of several, and is no alert by itself."""
    INCIDENT = "incidents"
    """One for each change of an incident, with its state after it."""
    ASIDE = "aside"
    AUDIT = "audit"


class Equals(msgspec.Struct, frozen=True, tag="equals"):
    """The field is one of these values; for a list, one of its elements is. Case matters; addresses by value."""

    field: str
    values: tuple[Scalar, ...]


class Cidr(msgspec.Struct, frozen=True, tag="cidr"):
    """The address lies in the prefix; ``::/0`` is every IPv6 address and no IPv4 one."""

    field: str
    prefix: str


class Range(msgspec.Struct, frozen=True, tag="range"):
    """``low <= field < high`` for a number or a time; either may be left out."""

    field: str
    low: int | float | None = None
    high: int | float | None = None


class Exists(msgspec.Struct, frozen=True, tag="exists"):
    field: str


class Contains(msgspec.Struct, frozen=True, tag="contains"):
    """The text occurs in the field, case folded for ASCII."""

    field: str
    text: str


class Not(msgspec.Struct, frozen=True, tag="not"):
    of: Equals | Cidr | Range | Exists | Contains


class AnyOf(msgspec.Struct, frozen=True, tag="any"):
    of: tuple[Equals | Cidr | Range | Exists | Contains | Not, ...]


Condition = Equals | Cidr | Range | Exists | Contains | Not | AnyOf


class Search(msgspec.Struct, frozen=True):
    """A page of records, newest first by default; equal times by id. ``after`` is the cursor the page before gave."""

    since_ms: int
    until_ms: int
    where: tuple[Condition, ...] = ()
    kind: Kind = Kind.EVENT
    limit: int = 100
    oldest_first: bool = False
    after: str = ""


class Measure(msgspec.Struct, frozen=True):
    """``count`` takes no field; ``percentile`` takes ``rank`` in 0..100.

    Of no value sum and distinct are 0, the others NaN. A sum is a double: of whole numbers exact up to 2**53.

    SQLite is exact. Elasticsearch is exact but for ``distinct`` above some thousand values (HyperLogLog, about 1 %)
    and ``percentile`` (t-digest: within 1 of the rank asked for).
    """

    op: Literal["count", "sum", "min", "max", "distinct", "percentile"]
    field: str = ""
    rank: float = 50.0


class ByTerm(msgspec.Struct, frozen=True, tag="term"):
    """A group for each value of the field; of a list, for each element. Records without the field are left out."""

    field: str


class ByTime(msgspec.Struct, frozen=True, tag="time"):
    """A group for each step of ``step_ms`` since the epoch; the key is its start in ms."""

    step_ms: int


class Aggregate(msgspec.Struct, frozen=True):
    """Groups, greatest first measure first, equal ones by key; where the first is by time, by time first.

    At most ``limit``. Without ``by`` there is one row, also when nothing was found.
    """

    since_ms: int
    until_ms: int
    where: tuple[Condition, ...] = ()
    kind: Kind = Kind.EVENT
    by: tuple[ByTerm | ByTime, ...] = ()
    measures: tuple[Measure, ...] = (Measure("count"),)
    limit: int = 100


class Row(msgspec.Struct, frozen=True):
    """One group: its keys in the order of ``by``, its values in the order of ``measures``."""

    keys: tuple[Scalar, ...]
    values: tuple[float, ...]


class Latest(msgspec.Struct, frozen=True):
    """The newest record of each value of ``per`` (one or several fields): the present state of many things at once.

    Newest first, at most ``limit``; records that lack one of the fields are left out.
    """

    since_ms: int
    until_ms: int
    per: tuple[str, ...]
    where: tuple[Condition, ...] = ()
    kind: Kind = Kind.EVENT
    limit: int = 1000
