"""Which index holds which partition, which exist, and making one with the right mapping before it is written to."""

from __future__ import annotations

import threading

from elasticsearch import Elasticsearch

from collector.partition import Partition, parse
from collector.query import Kind
from collector.stores.elastic.connection import Rejected, errors_told
from collector.stores.elastic.template import properties, templates
from telemetry.clock import Clock

KNOWN_SECONDS = 2.0
MAX_NAMED = 60
"""More indices than this are asked for by a pattern: a request line holds 4 kB."""


class Indices:
    """``events-2026-11-23`` is the index ``PREFIX-events-2026.11.23``: daily, named by the records' own time."""

    def __init__(
        self, client: Elasticsearch, prefix: str, shards: int, replicas: int, refresh: str, clock: Clock
    ) -> None:
        self._client = client
        self.prefix = prefix
        self._templates = templates(prefix, shards, replicas, refresh)
        self._clock = clock
        self._lock = threading.Lock()
        self._ready: set[str] = set()
        self._known: list[Partition] = []
        self._known_at = -KNOWN_SECONDS

    def name(self, partition: Partition) -> str:
        kind, _, label = partition.name.partition("-")
        head, dash, day = label.rpartition("outside-")
        return f"{self.prefix}-{kind}-{head}{dash}{day.replace('-', '.')}"

    def prepare(self, partition: Partition) -> None:
        """Make the index where it is not there; teach an older one the fields that were added since."""
        name = self.name(partition)
        with self._lock:
            if name in self._ready:
                return
            with errors_told():
                self._put_templates()
                if self._client.indices.exists(index=name):
                    self._client.indices.put_mapping(index=name, properties=properties())
                else:
                    self.create(name)
            self._ready.add(name)
            self._known_at = -KNOWN_SECONDS

    def prepare_state(self) -> str:
        name = f"{self.prefix}-state"
        with self._lock:
            if name not in self._ready:
                with errors_told():
                    self._put_templates()
                    if not self._client.indices.exists(index=name):
                        self.create(name)
                self._ready.add(name)
        return name

    def forget(self) -> None:
        """Look again at what exists before the next write."""
        with self._lock:
            self._ready.clear()
            self._known_at = -KNOWN_SECONDS

    def create(self, name: str) -> None:
        try:
            with errors_told():
                self._client.indices.create(index=name)
        except Rejected as error:
            if error.kind != "resource_already_exists_exception":
                raise

    def partitions(self) -> list[Partition]:
        """What exists, oldest first; looked up at most every two seconds."""
        with self._lock:
            if self._clock.monotonic() - self._known_at >= KNOWN_SECONDS:
                with errors_told():
                    answer = self._client.indices.resolve_index(name=f"{self.prefix}-*")
                found = [self._parse(entry["name"]) for entry in answer["indices"]]
                self._known = sorted((p for p in found if p is not None), key=lambda p: (p.first_ms, p.name))
                self._known_at = self._clock.monotonic()
            return list(self._known)

    def holding(self, kind: Kind, since_ms: int, until_ms: int) -> list[str]:
        """The indices to ask for a period; none where nothing can be there."""
        found = [p for p in self.partitions() if p.kind is kind and p.may_hold(since_ms, until_ms)]
        return [f"{self.prefix}-{kind.value}-*"] if len(found) > MAX_NAMED else [self.name(p) for p in found]

    def _parse(self, name: str) -> Partition | None:
        return parse(name.removeprefix(f"{self.prefix}-").replace(".", "-"))

    def _put_templates(self) -> None:
        if self._ready:
            return
        for name, body in self._templates.items():
            self._client.perform_request(
                "PUT",
                f"/_index_template/{name}",
                headers={"accept": "application/json", "content-type": "application/json"},
                body=body,
            )
