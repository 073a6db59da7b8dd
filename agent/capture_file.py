"""The bytes of a capture file: plain or compressed (gzip, zstd, xz), a file or standard input, never all in memory."""

from __future__ import annotations

import mmap
import os
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from agent import decompress
from telemetry.errors import Permanent

STANDARD_INPUT = "-"
PIECE = 256 << 10
LOOK_S = 0.2
"""How soon a reader that waits for standard input sees that it is to stop."""


@contextmanager
def open_capture(path: Path) -> Iterator[bytes | mmap.mmap]:
    """The file's bytes as they are, mapped while the block runs."""
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


def pieces(name: str, stopped: Callable[[], bool]) -> Iterator[bytes]:
    """The capture piece by piece, decompressed. Raises Permanent where that can not be read on. Blocks."""
    return decompress.pieces(_read(name, stopped))


def _read(name: str, stopped: Callable[[], bool]) -> Iterator[bytes]:
    try:
        fd = os.dup(0) if name == STANDARD_INPUT else os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            ready = select.poll()
            ready.register(fd, select.POLLIN)
            while not stopped():
                # a plain file is always ready; a pipe may never be
                if ready.poll(LOOK_S * 1000):
                    if not (piece := os.read(fd, PIECE)):
                        return
                    yield piece
        finally:
            os.close(fd)
    except OSError as error:
        raise Permanent("unreadable_file", error.strerror or str(error)) from error
