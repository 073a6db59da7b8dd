"""Named documents with compare-and-set, in ``meta.db`` beside the partitions."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from collector.store import Conflict, State
from collector.stores.sqlite.connection import CORRUPT, LATER, connect, durable, primary, sync_directory
from telemetry.errors import Transient


class States:
    """One connection, one lock: states are few and small. Other processes may write the same file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def read(self, key: str) -> State:
        with self._use() as connection:
            row = connection.execute("SELECT value, version FROM state WHERE key = ?", (key,)).fetchone()
        return State(key, bytes(row[0]), row[1]) if row else State(key, b"", 0)

    def write(self, key: str, value: bytes, version: int) -> int:
        with self._use() as connection:
            if version:
                done = connection.execute(
                    "UPDATE state SET value = ?, version = version + 1 WHERE key = ? AND version = ?",
                    (value, key, version),
                )
            else:
                done = connection.execute("INSERT OR IGNORE INTO state VALUES (?, ?, 1)", (key, value))
            if done.rowcount != 1:
                raise Conflict(key)
        return version + 1

    def delete(self, key: str) -> None:
        with self._use() as connection:
            connection.execute("DELETE FROM state WHERE key = ?", (key,))

    def all(self, prefix: str) -> Sequence[State]:
        with self._use() as connection:
            rows = connection.execute(
                "SELECT key, value, version FROM state WHERE substr(key, 1, ?) = ? ORDER BY key", (len(prefix), prefix)
            ).fetchall()
        return [State(key, bytes(value), version) for key, value, version in rows]

    def probe(self, now_ms: int) -> None:
        """Write something small and durable: raises Transient where nothing can be written."""
        with self._use() as connection:
            connection.execute("INSERT OR REPLACE INTO probe VALUES (1, ?)", (now_ms,))

    def close(self) -> None:
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    @contextlib.contextmanager
    def _use(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._open()
                yield self._connection
            except sqlite3.Error as error:
                self._close()
                code = primary(error)
                if code in CORRUPT:
                    raise Transient(
                        f"{self._path}: {error}: it is damaged; restore it from a backup, or recover it with"
                        " sqlite3 FILE .recover"
                    ) from error
                if code in LATER:
                    raise Transient(f"{self._path}: {error}: {LATER[code]}") from error
                raise

    def _open(self) -> sqlite3.Connection:
        fresh = not self._path.exists()
        connection = connect(self._path, "rwc")
        try:
            durable(connection)
            connection.execute(
                "CREATE TABLE IF NOT EXISTS state"
                " (key TEXT PRIMARY KEY, value BLOB NOT NULL, version INTEGER NOT NULL) WITHOUT ROWID"
            )
            connection.execute("CREATE TABLE IF NOT EXISTS probe (one INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL)")
        except BaseException:
            connection.close()
            raise
        if fresh:
            self._path.chmod(0o600)
            sync_directory(self._path.parent)
        return connection
