"""The file system as the spool uses it: a seam, so that a test can fill the disk, tear a write or lose power.

Every method may raise OSError. A failed ``append`` may have written a part; the caller truncates it away.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Protocol


class File(Protocol):
    def append(self, data: bytes) -> None: ...

    def write_at(self, offset: int, data: bytes) -> None: ...

    def read(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes; fewer at the end of the file."""

    def size(self) -> int: ...

    def truncate(self, size: int) -> None: ...

    def sync(self) -> None:
        """Returns when the content is on the disk itself."""

    def close(self) -> None: ...


class Disk(Protocol):
    def open(self, path: Path) -> File:
        """Open for reading and writing; made with mode 0600 where it is missing."""

    def names(self, folder: Path) -> list[str]: ...

    def remove(self, path: Path) -> None: ...

    def sync_folder(self, folder: Path) -> None:
        """Returns when files made and removed in the folder stay so after a power loss."""


class SystemFile:
    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._end = os.fstat(self._fd).st_size

    def append(self, data: bytes) -> None:
        self.write_at(self._end, data)

    def write_at(self, offset: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._fd, view, offset)
            offset += written
            self._end = max(self._end, offset)
            view = view[written:]

    def read(self, offset: int, size: int) -> bytes:
        return os.pread(self._fd, size, offset)

    def size(self) -> int:
        return self._end

    def truncate(self, size: int) -> None:
        os.ftruncate(self._fd, size)
        self._end = size

    def sync(self) -> None:
        os.fdatasync(self._fd)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class SystemDisk:
    def open(self, path: Path) -> SystemFile:
        return SystemFile(path)

    def names(self, folder: Path) -> list[str]:
        return os.listdir(folder)

    def remove(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    def sync_folder(self, folder: Path) -> None:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
