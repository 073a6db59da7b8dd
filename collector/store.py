"""What a store is: the seam behind which sqlite and elastic live. One contract test suite holds both.

Records are kept in one partition a UTC day of their **own** time, so a repeat lands where the first one is and is
recognised by its id. Records whose own time is not believable (older than the retention, or more than a day ahead of
the collector) go to one partition of their own, so a wrong clock can not make partitions without end.

Methods block; callers run them in a worker thread. All may raise ``Transient`` (nothing was lost: try again).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from collector.query import Aggregate, Kind, Latest, Row, Search
from telemetry.event import Event


class Record(msgspec.Struct, frozen=True):
    """What is written: ``id`` is unique within its kind; ``doc`` holds ``@timestamp`` and ``event.ingested``."""

    kind: Kind
    id: str
    doc: Event


class Refused(msgspec.Struct, frozen=True):
    """A record that the engine would never take, e.g. by its mapping."""

    record: Record
    reason: str


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
        """Drop whole partitions older than the retention; returns what was dropped."""

    def health(self) -> Health: ...

    def close(self) -> None: ...
