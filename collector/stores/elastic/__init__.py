"""The store for a cluster: Elasticsearch 8.19 or 9, daily indices named by the events' own time.

Needs only what the plain server has: no lifecycle policies, data streams, scripts or delete-by-query; retention
drops whole indices. A write returns after the translog of every copy in sync is on disk. Searching sees a record
about one second after it was written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from elasticsearch import Elasticsearch

from collector import query_normal as normal
from collector.partition import Partition, droppable, place, regular
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
from collector.stores.elastic import grouping, searching
from collector.stores.elastic.connection import Connection, Rejected, client, errors_told, refuse
from collector.stores.elastic.indices import Indices
from collector.stores.elastic.state import States
from collector.stores.elastic.writing import Bulk
from telemetry.errors import Transient

PROBE = "probe"
T = TypeVar("T")
BLOCKS = ("read_only", "read_only_allow_delete", "write")


class Config(Connection, frozen=True, forbid_unknown_fields=True, kw_only=True):
    prefix: Annotated[
        str, msgspec.Meta(description="First part of every index name", pattern="^[a-z][a-z0-9_-]{0,63}$")
    ] = "tengwang"
    retention_days: Annotated[
        int, msgspec.Meta(description="Whole days that every record is kept at least", ge=1, le=36_500)
    ] = 180
    shards: Annotated[int, msgspec.Meta(description="Primary shards of each new index", ge=1, le=64)] = 1
    replicas: Annotated[int, msgspec.Meta(description="Copies of each new index beside the primary", ge=0, le=8)] = 1
    refresh: Annotated[
        str, msgspec.Meta(description="How soon a stored record can be found", pattern="^([0-9]+(ms|s|m)|-1)$")
    ] = "1s"


def build(config: Config, context: StoreContext) -> ElasticStore:
    return ElasticStore(config, context, client(config, context.home))


class ElasticStore:
    """See collector/store.py."""

    def __init__(
        self,
        config: Config,
        context: StoreContext,
        connected: Elasticsearch,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._days = config.retention_days
        self._prefix = config.prefix
        self._clock = context.clock
        self._report = context.report
        self._client = connected
        self._indices = Indices(connected, config.prefix, config.shards, config.replicas, config.refresh, context.clock)
        self._states = States(connected, self._indices)
        self._bulk = Bulk(connected, sleep)

    def write(self, records: Sequence[Record], repeat: bool = False) -> Written:
        try:
            return self._write(records, repeat)
        except (Transient, Rejected) as error:
            self._indices.forget()
            raise Transient(str(error)) from error

    def search(self, query: Search) -> Page:
        query = normal.search(query)
        if query.after:
            normal.uncursor(query.after)
        indices = self._indices.holding(query.kind, query.since_ms, query.until_ms)
        return self._asked(lambda: searching.page(self._client, indices, query)) if indices else Page(())

    def aggregate(self, query: Aggregate) -> Sequence[Row]:
        query = normal.aggregate(query)
        indices = self._indices.holding(query.kind, query.since_ms, query.until_ms)
        return self._asked(lambda: grouping.rows(self._client, indices, query))

    def latest(self, query: Latest) -> Sequence[Found]:
        query = normal.latest(query)
        indices = self._indices.holding(query.kind, query.since_ms, query.until_ms)
        return self._asked(lambda: searching.newest(self._client, indices, query)) if indices else []

    def get(self, kind: Kind, id: str) -> Found | None:
        indices = self._indices.holding(kind, 0, normal.TIME_MAX)
        return self._asked(lambda: searching.by_id(self._client, indices, id)) if indices else None

    def read_state(self, key: str) -> State:
        return self._kept(lambda: self._states.read(key))

    def write_state(self, key: str, value: bytes, version: int) -> int:
        return self._kept(lambda: self._states.write(key, value, version))

    def delete_state(self, key: str) -> None:
        self._kept(lambda: self._states.delete(key))

    def list_state(self, prefix: str) -> Sequence[State]:
        return self._kept(lambda: self._states.all(prefix))

    def expire(self, now_ms: int) -> Sequence[str]:
        self._indices.forget()
        dropped = []
        for partition in droppable(self._indices.partitions(), now_ms, self._days):
            with errors_told():
                self._client.indices.delete(index=self._indices.name(partition), ignore_unavailable=True)
            dropped.append(partition.name)
            self._report.info("store.expired", f"{partition.name}: older than {self._days} days, dropped")
        if dropped:
            self._indices.forget()
            self._report.count("tengwang_store_partitions_dropped_total", len(dropped))
        return dropped

    def refresh(self) -> None:
        """Make everything written so far visible to searches now, instead of within ``refresh``."""
        self._indices.forget()
        with errors_told():
            self._client.indices.refresh(index=f"{self._prefix}-*", ignore_unavailable=True)

    def health(self) -> Health:
        """What the server says now. That the last write failed is not held against it: while the store counts as down
        nobody writes, so it would stay down for ever.
        """
        try:
            return self._health()
        except (Transient, Rejected) as error:
            return Health(writable=False, detail=str(error), engine="Elasticsearch")

    def close(self) -> None:
        self._client.close()

    def _write(self, records: Sequence[Record], repeat: bool) -> Written:
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
        duplicates = 0
        lines: list[tuple[str, Record]] = []
        for partition, group in parts.items():
            self._indices.prepare(partition)
            fresh = self._without_known(partition, group) if repeat else group
            duplicates += len(group) - len(fresh)
            name = self._indices.name(partition)
            lines += [(name, record) for record in fresh]
        made = self._bulk.create(lines)
        return Written(made.stored, duplicates + made.duplicates, (*refused, *made.refused))

    def _without_known(self, partition: Partition, records: Sequence[Record]) -> list[Record]:
        """The records that no other partition in which they may have been put has."""
        kind = records[0].kind
        existing = self._indices.partitions()
        others = [p for p in existing if p.kind is kind and p != partition and p.outside]
        if partition.outside:
            own = {regular(kind, time_of(r)) for r in records}
            others += [p for p in existing if p in own]
        there: set[str] = set()
        for other in others:
            there |= searching.holds(self._client, self._indices.name(other), [r.id for r in records])
        return [r for r in records if r.id not in there]

    def _health(self) -> Health:
        with errors_told():
            cluster = self._client.cluster.health(timeout="5s")
            stats = self._client.indices.stats(
                index=f"{self._prefix}-*", metric=["docs", "store"], level="cluster", forbid_closed_indices=False
            )
            held = self._client.indices.get_settings(index=f"{self._prefix}-*", name="index.blocks.*")
            blocks = self._blocks(held.body)
            nodes = self._client.nodes.info(metric="http", filter_path="nodes.*.version")
        detail = ""
        if cluster["status"] == "red":
            detail = "the cluster is red: some shards have no primary; storing resumes when it is yellow or green"
        elif blocks:
            detail = f"{blocks}: free disk space or remove the block; storing resumes by itself"
        else:
            self._probe()
        all_ = stats["_all"]["primaries"]
        days = [p for p in self._indices.partitions() if p.kind is Kind.EVENT and not p.outside]
        versions = sorted({node["version"] for node in nodes["nodes"].values()})
        return Health(
            writable=not detail,
            detail=detail,
            engine=f"Elasticsearch {', '.join(versions)}",
            records=all_["docs"]["count"] if all_ else 0,
            bytes=all_["store"]["size_in_bytes"] if all_ else 0,
            oldest_day=days[0].label if days else "",
            newest_day=days[-1].label if days else "",
        )

    def _blocks(self, held: dict[str, Any]) -> str:
        """The indices that are blocked for writing, where one of them is the newest of its kind or the state."""
        blocked = sorted(
            name
            for name, body in held.items()
            if any(body["settings"]["index"]["blocks"].get(block) == "true" for block in BLOCKS)
        )
        return f"read-only: {', '.join(blocked[:3])}" + (" ..." if len(blocked) > 3 else "") if blocked else ""

    def _probe(self) -> None:
        """Write something small: raises where nothing can be written."""
        index = self._indices.prepare_state()
        with errors_told():
            self._client.index(index=index, id=PROBE, document={"key": PROBE}, timeout="5s")

    def _asked(self, ask: Callable[[], T]) -> T:
        """What Elasticsearch refuses to answer is a question that makes no sense."""
        try:
            return ask()
        except Rejected as error:
            raise refuse(error) from error

    def _kept(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except Rejected as error:
            self._indices.forget()
            raise Transient(str(error)) from error
