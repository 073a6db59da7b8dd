"""What a store is: the seam behind which sqlite and elastic live. One contract test suite holds both.

Records are kept in partitions by their **own** time (collector/partition.py), so a repeat lands where the first one is
and is recognised by its id. Records whose own time is not believable (older than the retention, or more than a day
ahead of the collector) go to a partition of their own, so a wrong clock can not make partitions without end; a query
finds them by their own time like any other.

Methods block and may be called from several threads; callers run them in a worker thread. All may raise ``Transient``
(nothing was lost: try again); a question that makes no sense raises ``Permanent("bad_query")``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from collector.query import Aggregate, Kind, Latest, Row, Search
from telemetry.clock import Clock
from telemetry.event import TIMESTAMP, Event
from telemetry.fields import BY_NAME
from telemetry.report import Report


@dataclass(frozen=True)
class StoreContext:
    """What a store's ``build(config, context)`` gets. ``home`` is the collector's own directory."""

    home: Path
    clock: Clock
    report: Report


class Record(msgspec.Struct, frozen=True):
    """What is written. ``id`` is unique within its kind; ``doc`` passed ``telemetry.validate``.

    A store puts ``event.id`` into the document where it is not there, and ``event.ingested`` is its own clock then.
    """

    kind: Kind
    id: str
    doc: Event


class Refused(msgspec.Struct, frozen=True):
    """A record that the engine would never take, e.g. by its mapping."""

    record: Record
    reason: str


INGESTED = "event.ingested"
KNOWN = frozenset(BY_NAME)


def completed(record: Record, now_ms: int) -> Record | Refused:
    """The record with its id and its time of arrival in the document; or why no store takes it."""
    doc = record.doc
    if type(doc.get(TIMESTAMP)) is not int:
        return Refused(record, f"wrong_type: {TIMESTAMP} wants a date")
    if not KNOWN.issuperset(doc):
        return Refused(record, f"unknown_field: {next(name for name in doc if name not in BY_NAME)[:200]}")
    if doc.get("event.id") != record.id or type(doc.get(INGESTED)) is not int:
        return Record(record.kind, record.id, {INGESTED: now_ms, **doc, "event.id": record.id})
    return record


def time_of(record: Record, name: str = TIMESTAMP) -> int:
    """A time of a completed record."""
    value = record.doc[name]
    return value if isinstance(value, int) else 0


class Written(msgspec.Struct, frozen=True):
    """What became of a batch. ``stored + duplicates + len(refused)`` is the number of records given."""

    stored: int
    duplicates: int
    refused: tuple[Refused, ...] = ()


class Found(msgspec.Struct, frozen=True):
    id: str
    doc: Event


class Page(msgspec.Struct, frozen=True):
    """``after`` is empty on the last page."""

    rows: tuple[Found, ...]
    after: str = ""


class State(msgspec.Struct, frozen=True):
    """A small named document with a version for compare-and-set; version 0 means that it does not exist."""

    key: str
    value: bytes
    version: int


class Health(msgspec.Struct, frozen=True):
    """Can it take events now? ``detail`` says why not, and what to do."""

    writable: bool
    detail: str = ""
    engine: str = ""
    records: int = 0
    bytes: int = 0
    oldest_day: str = ""
    newest_day: str = ""


class Conflict(Exception):
    """Compare-and-set failed: someone else wrote first. Read again and decide again."""


class Store(Protocol):
    """See collector/stores/sqlite.py and collector/stores/elastic.py."""

    def write(self, records: Sequence[Record], repeat: bool = False) -> Written:
        """Durable when it returns. A record whose id is there already is a duplicate, not an error.

        ``repeat``: these may have been written before, perhaps when their time was judged otherwise; so both
        possible partitions are asked.
        """

    def search(self, query: Search) -> Page: ...

    def aggregate(self, query: Aggregate) -> Sequence[Row]: ...

    def latest(self, query: Latest) -> Sequence[Found]: ...

    def get(self, kind: Kind, id: str) -> Found | None: ...

    def read_state(self, key: str) -> State:
        """The document, or one with version 0 and an empty value."""

    def write_state(self, key: str, value: bytes, version: int) -> int:
        """Write where the present version is ``version``; returns the new one. Raises Conflict."""

    def delete_state(self, key: str) -> None: ...

    def list_state(self, prefix: str) -> Sequence[State]: ...

    def expire(self, now_ms: int) -> Sequence[str]:
        """Drop whole partitions older than the retention; returns what was dropped.

        A clock that jumped ahead must not erase the past: "now" counts as at most two days after the newest
        partition, so nothing is dropped while nothing new is stored.
        """

    def health(self) -> Health: ...

    def close(self) -> None: ...
