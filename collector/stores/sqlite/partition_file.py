"""One open partition file: its connections, its layout, and the questions that can be put to it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from collector.partition import Partition
from collector.query import Aggregate, Latest, Search
from collector.store import Found
from collector.stores.sqlite import grouping, layout, paging, searching
from collector.stores.sqlite.answers import Answers
from collector.stores.sqlite.connection import connect, durable, errors_told, reader, sync_directory
from collector.stores.sqlite.layout import Layout

MAX_READERS = 2
EMPTY = Layout({}, (), ())
"""A file that has no tables yet: another thread or process is making it, or was ended while it did."""


class File:
    """One open partition file."""

    def __init__(self, partition: Partition, path: Path) -> None:
        self.partition = partition
        self.path = path
        self.terms: dict[str, int] = {}
        self.using = 0
        self._lock = threading.Lock()
        self._layout: Layout | None = None
        self._readers: list[sqlite3.Connection] = []
        self._writer: sqlite3.Connection | None = None

    @property
    def layout(self) -> Layout:
        """What the file holds. Empty is not remembered, nor what was read before the writer made or widened it."""
        if self._layout is None:
            with self.reading() as connection:
                found = layout.read(connection)
            with self._lock:
                self._layout = self._layout or found
        return self._layout or EMPTY

    def writer(self) -> sqlite3.Connection:
        """The connection to write with; the file is made where it does not exist. One thread at a time."""
        if self._writer is None:
            fresh = not self.path.exists()
            with errors_told(self.partition, self.path, writing=True):
                connection = connect(self.path, "rwc")
                try:
                    durable(connection)
                    connection.execute("BEGIN IMMEDIATE")
                    there = layout.read(connection)
                    if there is None:
                        layout.create(connection, layout.WANTED)
                    made = layout.WANTED if there is None else layout.extend(connection, there)
                    connection.execute("COMMIT")
                except BaseException:
                    connection.close()
                    raise
            if fresh:
                sync_directory(self.path.parent)
            with self._lock:
                self._layout = made
            self._writer = connection
        return self._writer

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: durable when the block has ended, undone when it raises."""
        with errors_told(self.partition, self.path, writing=True):
            connection = self.writer()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            connection = self._readers.pop() if self._readers else None
        keep = True
        with errors_told(self.partition, self.path):
            if connection is None:
                connection, keep = reader(self.path)
            try:
                yield connection
            finally:
                with self._lock:
                    keep = keep and len(self._readers) < MAX_READERS
                    if keep:
                        self._readers.append(connection)
                if not keep:
                    connection.close()

    def page(self, query: Search, after: tuple[int, str] | None, limit: int) -> list[searching.Hit]:
        with self.reading() as connection:
            if not self.layout.columns:
                return []
            _, oldest, newest = layout.extent(connection)
            return paging.page(connection, self.layout, query, after, limit, oldest, newest)

    def newest(self, query: Latest) -> list[tuple[grouping.Key, searching.Hit]]:
        with self.reading() as connection:
            if not self.layout.columns:
                return []
            _, oldest, newest = layout.extent(connection)
            return searching.newest(connection, self.layout, query, oldest, newest)

    def groups(self, query: Aggregate, answers: Answers) -> grouping.Groups:
        with self.reading() as connection:
            records, oldest, newest = layout.extent(connection) if self.layout.columns else (0, 0, -1)
            if not records:
                return {}

            def compute() -> grouping.Groups:
                return grouping.collect(connection, self.layout, query, oldest, newest)

            version = (self.partition.name, os.stat(self.path).st_ino, records)
            whole = query.since_ms <= oldest and newest < query.until_ms
            return answers.get(version, query, compute) if whole else compute()

    def get(self, id: str) -> Found | None:
        with self.reading() as connection:
            return searching.by_id(connection, self.layout, id) if self.layout.columns else None

    def holds(self, ids: Sequence[str]) -> set[str]:
        with self.reading() as connection:
            return searching.holds(connection, ids) if self.layout.columns else set()

    def records(self) -> int:
        with self.reading() as connection:
            return layout.extent(connection)[0] if self.layout.columns else 0

    def close(self) -> None:
        for connection in [*self._readers, *([self._writer] if self._writer else [])]:
            with contextlib.suppress(sqlite3.Error):
                connection.close()
        self._readers, self._writer = [], None
