"""One small question language for the console, the API and everything later; every store answers it alike.

A query is a time range, a list of conditions that must all hold, and either a page of records or groups with measures.
"""

from __future__ import annotations

import enum
from typing import Literal

import msgspec

Scalar = str | int | float | bool


class Kind(enum.StrEnum):
    """Which records: each kind is stored, kept and dropped on its own."""

    EVENT = "events"
    ALERT = "alerts"
    ASIDE = "aside"
    AUDIT = "audit"


class Equals(msgspec.Struct, frozen=True, tag="equals"):
    """The field is one of these values; for a list, one of its elements is."""

    field: str
    values: tuple[Scalar, ...]


class Cidr(msgspec.Struct, frozen=True, tag="cidr"):
    """The address lies in the prefix (IPv4 or IPv6)."""

    field: str
    prefix: str


class Range(msgspec.Struct, frozen=True, tag="range"):
    """``low <= field < high``; either may be left out."""

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
    """A page of records, newest first by default. ``after`` is the cursor that the page before gave."""

    since_ms: int
    until_ms: int
    where: tuple[Condition, ...] = ()
    kind: Kind = Kind.EVENT
    limit: int = 100
    oldest_first: bool = False
    after: str = ""


class Measure(msgspec.Struct, frozen=True):
    """``count`` takes no field; ``percentile`` takes ``rank`` in 0..100."""

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
    """Groups, greatest first measure first (by time ascending where the first is by time); at most ``limit``."""

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
    """The newest record of each value of ``per`` (one or several fields): the present state of many things at once."""

    since_ms: int
    until_ms: int
    per: tuple[str, ...]
    where: tuple[Condition, ...] = ()
    kind: Kind = Kind.EVENT
    limit: int = 1000
