"""Which partition a record belongs to, and when a partition may be dropped; the same for every store.

Events and hits: one partition a UTC day. Alerts, incidents, records set aside and the audit are few, so one a UTC month
keeps the number of files or indices small. The label says the period: ``2026-11-23`` or ``2026-11``. A record whose
own time is not believable goes to ``outside-2026-11``, named by the month in which it arrived; it may hold any time.
"""

from __future__ import annotations

import datetime
import re

import msgspec

from collector.query import Kind
from telemetry.clock import EPOCH

DAY_MS = 86_400_000
AHEAD_MS = DAY_MS
QUIET_MS = 2 * DAY_MS
OUTSIDE = "outside-"
DAILY = frozenset({Kind.EVENT, Kind.HIT})


class Partition(msgspec.Struct, frozen=True, order=True):
    """``first_ms`` to ``end_ms`` is the period of the label; ``outside``: the period of arrival, of any own time."""

    kind: Kind
    label: str
    first_ms: int
    end_ms: int

    @property
    def outside(self) -> bool:
        return self.label.startswith(OUTSIDE)

    @property
    def name(self) -> str:
        """``events-2026-11-23``: unique among the partitions of a store."""
        return f"{self.kind.value}-{self.label}"

    def may_hold(self, since_ms: int, until_ms: int) -> bool:
        return self.outside or (self.first_ms < until_ms and since_ms < self.end_ms)


def place(kind: Kind, ts: int, ingested_ms: int, now_ms: int, retention_days: int) -> Partition:
    """The partition of a record with this own time."""
    own = regular(kind, ts)
    if ts > now_ms + AHEAD_MS or expired(own, now_ms, retention_days):
        return month(kind, ingested_ms, OUTSIDE)
    return own


def regular(kind: Kind, ts: int) -> Partition:
    """Where a record of this time belongs when the time is believable."""
    if kind not in DAILY:
        return month(kind, ts)
    first = ts - ts % DAY_MS
    day = (EPOCH + datetime.timedelta(milliseconds=first)).date().isoformat()
    return Partition(kind, day, first, first + DAY_MS)


def month(kind: Kind, ts: int, before: str = "") -> Partition:
    moment = EPOCH + datetime.timedelta(milliseconds=ts)
    return _month(kind, moment.year, moment.month, before)


def expired(partition: Partition, now_ms: int, retention_days: int) -> bool:
    """Is everything in it older than the retention?"""
    return partition.end_ms <= now_ms - retention_days * DAY_MS


def droppable(partitions: list[Partition], now_ms: int, retention_days: int) -> list[Partition]:
    """What may be dropped, oldest first. See ``Store.expire`` for why a clock that is ahead drops nothing."""
    newest = max((p.end_ms for p in partitions if p.kind is Kind.EVENT and not p.outside), default=0)
    now = min(now_ms, newest + QUIET_MS) if newest else 0
    return sorted((p for p in partitions if expired(p, now, retention_days)), key=lambda p: (p.end_ms, p.name))


def parse(name: str) -> Partition | None:
    """The partition of a name such as ``events-2026-11-23``; None for anything else."""
    found = re.fullmatch(r"([a-z]+)-(outside-)?(\d{4})-(\d\d)(?:-(\d\d))?", name)
    if found is None or found[1] not in {kind.value for kind in Kind}:
        return None
    kind = Kind(found[1])
    by_day = kind in DAILY and not found[2]
    if by_day is not bool(found[5]):
        return None
    try:
        if not by_day:
            return _month(kind, int(found[3]), int(found[4]), found[2] or "")
        first = datetime.datetime(int(found[3]), int(found[4]), int(found[5]), tzinfo=datetime.UTC)
    except ValueError:
        return None
    return regular(kind, (first - EPOCH) // datetime.timedelta(milliseconds=1))


def _month(kind: Kind, year: int, number: int, before: str) -> Partition:
    first = datetime.datetime(year, number, 1, tzinfo=datetime.UTC)
    after = datetime.date(year + number // 12, number % 12 + 1, 1) if (year, number) != (9999, 12) else None
    end = (
        datetime.datetime(after.year, after.month, 1, tzinfo=datetime.UTC)
        if after
        else first + datetime.timedelta(days=30)
    )
    ms = datetime.timedelta(milliseconds=1)
    return Partition(kind, f"{before}{year:04d}-{number:02d}", (first - EPOCH) // ms, (end - EPOCH) // ms)
