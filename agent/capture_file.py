"""A capture file in memory, without being read into memory."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def open_capture(path: Path) -> Iterator[bytes | mmap.mmap]:
    """The file's bytes, mapped while the block runs."""
    with path.open("rb") as file:
        if not file.seek(0, 2):
            yield b""
            return
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        yield data
    finally:
        # an array that still looks into it keeps it open until it goes too
        with suppress(BufferError):
            data.close()
