"""A disk in memory that fills up, tears writes, loses power and flips bits: what the spool must survive."""

from __future__ import annotations

import errno
import random
from pathlib import Path


class Killed(BaseException):
    """The program ends here, in the middle of what it did."""


class Content:
    """What a file holds in memory (``now``) and surely on the disk (``durable``)."""

    def __init__(self) -> None:
        self.now = bytearray()
        self.durable = b""
        self.damaged = False


class FaultyFile:
    def __init__(self, disk: FaultyDisk, content: Content) -> None:
        self._disk, self._content = disk, content

    def append(self, data: bytes) -> None:
        self.write_at(len(self._content.now), data)

    def write_at(self, offset: int, data: bytes) -> None:
        room = max(0, self._disk.capacity - self._disk.used + len(self._content.now) - offset)
        taken = data[: min(len(data), room)]
        if killed := self._disk.ticks():
            taken = taken[: self._disk.random.randint(0, len(taken))]
        self._content.now[offset : offset + len(taken)] = taken
        if killed:
            raise Killed
        if len(taken) < len(data):
            raise OSError(errno.ENOSPC, "No space left on device")

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self._content.now[offset : offset + size])

    def size(self) -> int:
        return len(self._content.now)

    def truncate(self, size: int) -> None:
        if self._disk.ticks():
            raise Killed
        del self._content.now[size:]
        self._content.durable = self._content.durable[:size]

    def sync(self) -> None:
        if self._disk.ticks():
            raise Killed
        self._content.durable = bytes(self._content.now)

    def close(self) -> None:
        pass


class FaultyDisk:
    """``fuse``: the program is killed at that many changes from now."""

    def __init__(self, seed: int = 0) -> None:
        self.random = random.Random(seed)
        self.capacity = 1 << 40
        self.fuse = 0
        self.files: dict[Path, Content] = {}
        self._durable_names: dict[Path, Content] = {}

    @property
    def used(self) -> int:
        return sum(len(content.now) for content in self.files.values())

    def ticks(self) -> bool:
        self.fuse -= 1
        return self.fuse == 0

    def open(self, path: Path) -> FaultyFile:
        if path not in self.files:
            if self.used >= self.capacity:
                raise OSError(errno.ENOSPC, "No space left on device")
            if self.ticks():
                raise Killed
        return FaultyFile(self, self.files.setdefault(path, Content()))

    def names(self, folder: Path) -> list[str]:
        return [path.name for path in self.files if path.parent == folder]

    def remove(self, path: Path) -> None:
        if self.ticks():
            raise Killed
        self.files.pop(path, None)

    def sync_folder(self, folder: Path) -> None:
        if self.ticks():
            raise Killed
        self._durable_names = dict(self.files)

    def lose_power(self) -> None:
        """What was not synced is there, in part, or not: of names, of appended bytes, of bytes written in place."""
        for path in self.files.keys() ^ self._durable_names.keys():
            if self.random.random() < 0.5:
                if path in self.files:
                    del self.files[path]
                else:
                    self.files[path] = self._durable_names[path]
        for content in self.files.values():
            old, new = content.durable, bytes(content.now)
            if old != new:
                keep = self.random.randint(0, len(new))
                mixed = new[:keep] + old[keep:]
                if self.random.random() < 0.3:
                    mixed += b"\0" * (len(new) - len(mixed))
                content.now = bytearray(mixed)
            content.durable = bytes(content.now)
        self._durable_names = dict(self.files)

    def flip(self, suffix: str) -> bool:
        """Turn one bit over in a file that was not damaged yet. False where there is none."""
        sound = [c for path, c in self.files.items() if path.suffix == suffix and c.now and not c.damaged]
        if not sound:
            return False
        content = self.random.choice(sound)
        at = self.random.randrange(len(content.now))
        content.now[at] ^= 1 << self.random.randrange(8)
        content.durable = bytes(content.now)
        content.damaged = True
        return True
