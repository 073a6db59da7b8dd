"""The part of a capture file that is in memory, while it is read piece by piece. Pure.

A file that is mapped is one piece; standard input and what a decompressor gives are many. A reader looks at ``data``
from its own position on and calls ``more`` only where a record is not wholly there, so that a record costs no call.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from typing import NoReturn

from telemetry.errors import Permanent

Piece = bytes | mmap.mmap


class Window:
    """``data[0]`` is byte ``base`` of the file. A fault of the source ends it, after what came before was read."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self.data: Piece = b""
        self.base = 0
        self._pieces = iter(pieces)
        self._fault: Permanent | None = None
        self._over = False

    def more(self, at: int, least: int) -> int:
        """The same place in the new ``data``: at least so many bytes lie behind it, or all that the file has."""
        if self._over or len(self.data) - at >= least:
            return at
        parts: list[Piece] = []
        there = len(self.data) - at
        while there < least:
            try:
                piece = next(self._pieces, None)
            except Permanent as fault:
                self._fault, piece = fault, None
            if piece is None:
                self._over = True
                break
            parts.append(piece)
            there += len(piece)
        if not parts:
            return at
        self.base += at
        rest = self.data[at:]
        # one mapped file is never copied
        self.data = parts[0] if not rest and len(parts) == 1 else b"".join([rest, *map(bytes, parts)])
        return 0

    def end(self) -> None:
        """To be called where nothing is left. Raises Permanent where the source failed."""
        if self._fault:
            raise self._fault

    def fail(self, reason: str, at: int, detail: str) -> NoReturn:
        """Raises Permanent with the place in the file; what the source itself said comes first."""
        if self._fault and reason == "short_file":
            raise self._fault
        raise Permanent(reason, f"at byte {self.base + at}: {detail}")
