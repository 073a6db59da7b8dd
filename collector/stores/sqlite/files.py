"""The partition files of one directory: opened when asked for, a bounded number at a time, set aside when damaged."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

from collector.partition import Partition, parse
from collector.stores.sqlite.connection import Corrupt, sync_directory
from collector.stores.sqlite.partition_file import File
from telemetry.errors import Transient
from telemetry.report import Report

MAX_OPEN = 24
SUFFIXES = ("", "-wal", "-shm")


class Files:
    """All partitions under one directory."""

    def __init__(self, directory: Path, report: Report) -> None:
        self.directory = directory
        self._report = report
        self._lock = threading.Lock()
        self._open: OrderedDict[str, File] = OrderedDict()
        self.damaged: dict[str, str] = {}

    def partitions(self) -> list[Partition]:
        """What there is on disk, oldest first, without what is known to be damaged."""
        try:
            found = [parse(e.name[:-3]) for e in os.scandir(self.directory) if e.name.endswith(".db")]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Transient(f"{self.directory}: {error.strerror}") from error
        return sorted(
            (p for p in found if p is not None and p.name not in self.damaged), key=lambda p: (p.first_ms, p.name)
        )

    def path(self, partition: Partition) -> Path:
        return self.directory / f"{partition.name}.db"

    @contextlib.contextmanager
    def use(self, partition: Partition) -> Iterator[File]:
        """The file, kept open while the block runs; beyond ``MAX_OPEN`` the least recently used are closed."""
        with self._lock:
            file = self._open.get(partition.name) or File(partition, self.path(partition))
            self._open[partition.name] = file
            self._open.move_to_end(partition.name)
            file.using += 1
            idle = [f for f in self._open.values() if not f.using]
            for old in idle[: max(0, len(self._open) - MAX_OPEN)]:
                del self._open[old.partition.name]
                old.close()
        try:
            yield file
        finally:
            with self._lock:
                file.using -= 1
                if not file.using and self._open.get(partition.name) is not file:
                    file.close()

    def leave_out(self, damage: Corrupt) -> None:
        """Go on without this file; ``set_aside`` moves it away when the program writes."""
        self.damaged[damage.partition.name] = str(damage)
        self._report.count("tengwang_store_damaged_total")
        self._report.error(
            f"store.damaged.{damage.partition.name}",
            f"{damage}: left out of every answer; other partitions go on. What can be saved: sqlite3 FILE .recover",
        )

    def set_aside(self, partition: Partition, now_ms: int) -> None:
        """Rename a damaged file, so that a new one takes its place."""
        self.forget(partition)
        for suffix in SUFFIXES:
            old = Path(f"{self.path(partition)}{suffix}")
            with contextlib.suppress(FileNotFoundError):
                old.rename(old.with_name(f"{partition.name}.damaged-{now_ms}.db{suffix}"))
        sync_directory(self.directory)
        self.damaged.pop(partition.name, None)
        self._report.error(
            f"store.aside.{partition.name}",
            f"{self.path(partition)} is damaged and was renamed to {partition.name}.damaged-{now_ms}.db; a new file"
            " takes its place",
        )

    def remove(self, partition: Partition) -> None:
        self.forget(partition)
        for suffix in reversed(SUFFIXES):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self.path(partition)}{suffix}")
        sync_directory(self.directory)

    def size(self, partition: Partition) -> int:
        """Bytes on disk."""
        total = 0
        for suffix in SUFFIXES:
            with contextlib.suppress(OSError):
                total += os.stat(f"{self.path(partition)}{suffix}").st_size
        return total

    def forget(self, partition: Partition) -> None:
        """Close the file as soon as nobody uses it."""
        with self._lock:
            file = self._open.pop(partition.name, None)
            if file is not None and not file.using:
                file.close()

    def close(self) -> None:
        with self._lock:
            for file in self._open.values():
                file.close()
            self._open.clear()
