"""The embedded store: SQLite, one file a UTC day, nothing to install and nothing to look after.

Retention drops whole files. A damaged file is left out and reported while every other goes on; when it is to be
written to again it is renamed. Free space is watched: below ``reserve_mb`` the store takes nothing more, so that what
it holds stays readable and state can still be written, and it resumes by itself.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from collector import query_normal as normal
from collector.partition import Partition, droppable, parse, place, regular
from collector.query import Aggregate, Kind, Latest, Row, Search
from collector.store import (
    INGESTED,
    Found,
    Health,
    Page,
    Record,
    Refused,
    State,
    StoreContext,
    Written,
    completed,
    time_of,
)
from collector.stores.sqlite import grouping, searching
from collector.stores.sqlite.answers import Answers
from collector.stores.sqlite.connection import Corrupt
from collector.stores.sqlite.files import Files
from collector.stores.sqlite.partition_file import File
from collector.stores.sqlite.state import States
from collector.stores.sqlite.writing import insert, refusal
from telemetry.errors import Transient

MB = 1024 * 1024
UNSTORABLE = (
    UnicodeError,
    TypeError,
    ValueError,
    OverflowError,
    KeyError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
"""What a document of a wrong shape raises on its way into SQLite."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    path: Annotated[
        str, msgspec.Meta(description="Directory of the files; relative to the collector's home", min_length=1)
    ] = "data"
    retention_days: Annotated[
        int, msgspec.Meta(description="Whole days that every record is kept at least", ge=1, le=36_500)
    ] = 180
    reserve_mb: Annotated[
        int, msgspec.Meta(description="Free space in MB below which nothing more is stored", ge=0, le=1_000_000)
    ] = 64


def build(config: Config, context: StoreContext) -> SqliteStore:
    return SqliteStore(config, context)


class SqliteStore:
    """See collector/store.py. Readers run side by side; one thread writes at a time."""

    def __init__(self, config: Config, context: StoreContext) -> None:
        self._directory = context.home / Path(config.path)
        self._days = config.retention_days
        self._reserve = config.reserve_mb * MB
        self._clock = context.clock
        self._report = context.report
        self._files = Files(self._directory, context.report)
        self._states = States(self._directory / "meta.db")
        self._answers = Answers()
        self._writing = threading.Lock()
        self._ready = False

    def write(self, records: Sequence[Record], repeat: bool = False) -> Written:
        if not records:
            return Written(0, 0)
        self._check_space()
        now = self._clock.now_ms()
        refused: list[Refused] = []
        parts: dict[Partition, list[Record]] = {}
        places: dict[tuple[Kind, int], Partition] = {}
        for record in records:
            ready = completed(record, now)
            if isinstance(ready, Refused):
                refused.append(ready)
                continue
            slot = (record.kind, time_of(ready) // 60_000)
            partition = places.get(slot)
            if partition is None:
                partition = place(record.kind, time_of(ready), time_of(ready, INGESTED), now, self._days)
                places[slot] = partition
            parts.setdefault(partition, []).append(ready)
        stored = duplicates = 0
        with self._writing:
            for partition, group in parts.items():
                fresh = self._without_known(partition, group) if repeat else group
                duplicates += len(group) - len(fresh)
                new, old, bad = self._insert(partition, fresh)
                stored, duplicates = stored + new, duplicates + old
                refused += bad
        return Written(stored, duplicates, tuple(refused))

    def search(self, query: Search) -> Page:
        query = normal.search(query)
        after = normal.uncursor(query.after) if query.after else None
        hits: list[searching.Hit] = []
        for partition in self._in_order(query):
            if len(hits) > query.limit and not partition.outside:
                last = hits[query.limit][0]
                if last < partition.first_ms if query.oldest_first else last >= partition.end_ms:
                    continue
            with self._reading(partition) as file:
                if file is not None:
                    hits += file.page(query, after, query.limit + 1)
            hits.sort(key=lambda hit: hit[:2], reverse=not query.oldest_first)
            del hits[query.limit + 1 :]
        more = len(hits) > query.limit
        rows = tuple(hit[2] for hit in hits[: query.limit])
        return Page(rows, normal.cursor(*hits[query.limit - 1][:2]) if more else "")

    def aggregate(self, query: Aggregate) -> Sequence[Row]:
        query = normal.aggregate(query)
        groups: grouping.Groups = {}
        for partition in self._holding(query.kind, query.since_ms, query.until_ms):
            with self._reading(partition) as file:
                if file is not None:
                    grouping.merge(query, groups, file.groups(query, self._answers))
        return grouping.rows(query, groups)

    def latest(self, query: Latest) -> Sequence[Found]:
        query = normal.latest(query)
        seen: dict[grouping.Key, searching.Hit] = {}
        for partition in self._holding(query.kind, query.since_ms, query.until_ms):
            with self._reading(partition) as file:
                if file is not None:
                    for key, hit in file.newest(query):
                        if key not in seen or hit[:2] > seen[key][:2]:
                            seen[key] = hit
        hits = sorted(seen.values(), key=lambda hit: hit[:2], reverse=True)
        return [hit[2] for hit in hits[: query.limit]]

    def get(self, kind: Kind, id: str) -> Found | None:
        found: Found | None = None
        for partition in reversed([p for p in self._files.partitions() if p.kind is kind]):
            with self._reading(partition) as file:
                found = file.get(id) if file is not None else None
            if found is not None:
                break
        return found

    def read_state(self, key: str) -> State:
        self._prepare()
        return self._states.read(key)

    def write_state(self, key: str, value: bytes, version: int) -> int:
        self._prepare()
        return self._states.write(key, value, version)

    def delete_state(self, key: str) -> None:
        self._prepare()
        self._states.delete(key)

    def list_state(self, prefix: str) -> Sequence[State]:
        self._prepare()
        return self._states.all(prefix)

    def expire(self, now_ms: int) -> Sequence[str]:
        for name in list(self._files.damaged):
            if (partition := parse(name)) is not None:
                self._files.set_aside(partition, now_ms)
        dropped = []
        with self._writing:
            for partition in droppable(self._files.partitions(), now_ms, self._days):
                self._files.remove(partition)
                dropped.append(partition.name)
                self._report.info("store.expired", f"{partition.name}: older than {self._days} days, dropped")
        if dropped:
            self._report.count("tengwang_store_partitions_dropped_total", len(dropped))
        return dropped

    def health(self) -> Health:
        detail, records, size = "", 0, 0
        partitions: list[Partition] = []
        try:
            self._prepare()
            self._check_space()
            self._states.probe(self._clock.now_ms())
        except Transient as error:
            detail = str(error)
        try:
            partitions = self._files.partitions()
            for partition in partitions:
                size += self._files.size(partition)
                with self._reading(partition) as file:
                    records += file.records() if file is not None else 0
        except Transient as error:
            detail = detail or str(error)
        days = [p for p in partitions if p.kind is Kind.EVENT and not p.outside]
        damaged = "".join(f"; {name} is damaged and left out" for name in self._files.damaged)
        return Health(
            writable=not detail,
            detail=(detail + damaged).removeprefix("; "),
            engine=f"SQLite {sqlite3.sqlite_version}",
            records=records,
            bytes=size,
            oldest_day=days[0].label if days else "",
            newest_day=days[-1].label if days else "",
        )

    def close(self) -> None:
        with self._writing:
            self._files.close()
            self._states.close()

    def _prepare(self) -> None:
        if not self._ready:
            try:
                self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise Transient(f"{self._directory}: {error.strerror}: it can not be made") from error
            self._ready = True

    def _check_space(self) -> None:
        self._prepare()
        try:
            free = shutil.disk_usage(self._directory).free
        except OSError as error:
            self._ready = False
            raise Transient(f"{self._directory}: {error.strerror}") from error
        if free < self._reserve:
            raise Transient(
                f"{self._directory}: {free // MB} MB free, less than the {self._reserve // MB} MB kept in reserve:"
                " free some space or lower retention_days; storing resumes by itself"
            )

    def _insert(self, partition: Partition, records: Sequence[Record]) -> tuple[int, int, list[Refused]]:
        """Write to one partition; a damaged file is set aside first, a record that can not be stored is left out."""
        if not records:
            return 0, 0, []
        if partition.name in self._files.damaged:
            self._files.set_aside(partition, self._clock.now_ms())
        try:
            with self._files.use(partition) as file:
                return *insert(file, records), []
        except Corrupt as damage:
            self._files.leave_out(damage)
            return self._insert(partition, records)
        except UNSTORABLE:
            refused = [why for record in records if (why := refusal(record)) is not None]
            if not refused:
                raise
            bad = {id(why.record) for why in refused}
            new, old, more = self._insert(partition, [r for r in records if id(r) not in bad])
            return new, old, refused + more

    def _without_known(self, partition: Partition, records: Sequence[Record]) -> list[Record]:
        """The records that no other partition in which they may have been put has."""
        kind = records[0].kind
        others = [p for p in self._files.partitions() if p.kind is kind and p != partition and p.outside]
        if partition.outside:
            own = {regular(kind, time_of(r)) for r in records}
            others += [p for p in self._files.partitions() if p in own]
        there: set[str] = set()
        for other in others:
            with self._reading(other) as file:
                if file is not None:
                    there |= file.holds([r.id for r in records])
        return [r for r in records if r.id not in there]

    def _holding(self, kind: Kind, since_ms: int, until_ms: int) -> list[Partition]:
        """The partitions that may hold records of this period, oldest first, those of any time at the end."""
        found = [p for p in self._files.partitions() if p.kind is kind and p.may_hold(since_ms, until_ms)]
        return sorted(found, key=lambda p: (p.outside, p.first_ms))

    def _in_order(self, query: Search) -> list[Partition]:
        """The partitions in the order in which a page is filled; those of any time first."""
        found = self._holding(query.kind, query.since_ms, query.until_ms)
        if not query.oldest_first:
            found.reverse()
        return sorted(found, key=lambda p: not p.outside)

    @contextlib.contextmanager
    def _reading(self, partition: Partition) -> Iterator[File | None]:
        """The file while the block runs. One that proves damaged ends the block and is left out from then on; so is
        one that is not there any more: retention dropped it after it was listed.
        """
        try:
            with self._files.use(partition) as file:
                yield file
        except Corrupt as damage:
            self._files.leave_out(damage)
        except Transient:
            if self._files.path(partition).exists():
                raise
