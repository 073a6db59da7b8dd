"""Connections to SQLite files: how they are opened, made durable, and what their errors mean.

Each file is in WAL mode, so that any number of processes read while one writes. Connections are autocommit; who
writes opens transactions. ``synchronous=FULL`` costs one fsync a commit, which is one a batch and file; with
``NORMAL`` a power cut could take back what an agent was told is stored.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from collector.partition import Partition
from collector.query_order import packed
from telemetry.errors import TengwangError, Transient

BUSY_SECONDS = 5.0
CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
OWN_FAULT = frozenset({sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISUSE, sqlite3.SQLITE_RANGE})
LATER = {
    sqlite3.SQLITE_FULL: "the disk is full: free some space; writing resumes by itself",
    sqlite3.SQLITE_READONLY: "the file can not be written: check owner, mode and mount; writing resumes by itself",
    sqlite3.SQLITE_CANTOPEN: "the file can not be opened: check that the directory exists and may be written",
    sqlite3.SQLITE_IOERR: "the disk reports an input/output error: check it",
    sqlite3.SQLITE_BUSY: "another process holds the file",
    sqlite3.SQLITE_LOCKED: "another process holds the file",
    sqlite3.SQLITE_PERM: "access is denied: check owner and mode",
    sqlite3.SQLITE_NOMEM: "out of memory",
    sqlite3.SQLITE_PROTOCOL: "another process holds the file",
}


class Corrupt(Exception):
    """This file's content is damaged; the caller leaves it out, or sets it aside."""

    def __init__(self, partition: Partition, detail: str) -> None:
        super().__init__(detail)
        self.partition = partition


def primary(error: sqlite3.Error) -> int:
    """The primary result code; 0 where the error is Python's own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


@contextlib.contextmanager
def errors_told(partition: Partition, path: Path, writing: bool = False) -> Iterator[None]:
    """Turn SQLite's errors into ``Corrupt`` or ``Transient``; what is a mistake in the program stays as it is.

    Damage shows itself in many ways (a missing table, text that is no UTF-8, half a record), so before anything else is
    taken for a mistake of the program the file is checked. That takes a while, so not for what a writer was given.
    """
    try:
        yield
    except (TengwangError, Corrupt):
        raise
    except Exception as error:
        if writing and (not isinstance(error, sqlite3.DatabaseError) or isinstance(error, sqlite3.ProgrammingError)):
            raise  # the records' own fault
        if isinstance(error, OSError):
            raise Transient(f"{path}: {error.strerror}") from error
        code = primary(error) if isinstance(error, sqlite3.Error) else 0
        if code in LATER:
            raise Transient(f"{path}: {error}: {LATER[code]}") from error
        if code in CORRUPT or (code not in OWN_FAULT and damaged(path)):
            raise Corrupt(partition, f"{path}: {error}") from error
        raise


def damaged(path: Path) -> bool:
    """Does SQLite itself find the file damaged?"""
    try:
        connection = connect(path, "ro")
    except sqlite3.Error:
        return False
    with contextlib.closing(connection):
        try:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",))
        except sqlite3.Error as error:
            return primary(error) in CORRUPT


def connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=64,
    )


def durable(connection: sqlite3.Connection) -> None:
    """WAL with an fsync at each commit: with ``NORMAL`` a power cut could take back what was acknowledged."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA wal_autocheckpoint=4000")
    connection.execute("PRAGMA journal_size_limit=33554432")
    connection.execute("PRAGMA cache_size=-16384")


def reader(path: Path) -> tuple[sqlite3.Connection, bool]:
    """A connection that only reads, and whether it may be kept.

    It opens read-write where it may, as reading a WAL needs its index file. On a read-only disk there can be neither
    (``immutable``, for a file without a WAL); such a connection would not notice a later change.
    """
    tries = ["rw", "ro", *([] if Path(f"{path}-wal").exists() else ["ro&immutable=1"])]
    for mode in tries:
        try:
            connection = connect(path, mode)
        except sqlite3.OperationalError:
            if mode is tries[-1]:
                raise
            continue
        try:
            connection.execute("PRAGMA query_only=1")
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
            connection.execute("PRAGMA cache_size=-8192")
            connection.execute("PRAGMA temp_store=MEMORY")
            connection.create_function("packed", 1, _packed, deterministic=True)
            return connection, mode == "rw"
        except sqlite3.Error as error:
            connection.close()
            if mode is tries[-1] or primary(error) not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
                raise
    raise AssertionError(path)  # the last try has returned or raised


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _packed(address: object) -> bytes | None:
    return packed(address) if isinstance(address, str) else None
