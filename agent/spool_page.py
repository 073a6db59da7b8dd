"""A page of the spool: frames of records, one frame a write. The format is told in agent/spool.py."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

from agent.disk import File

_MARK = struct.Struct("<4sQQIIQ")
_CRC = struct.Struct("<I")
MARK_BYTES = _MARK.size + _CRC.size
_HEAD, _TAIL = b"TWh1", b"TWt1"


class Frame(NamedTuple):
    """Where a frame is: ``body`` is the offset of its table. ``stamp`` is spool time in ms."""

    epoch: int
    first: int
    total: int
    size: int
    stamp: int
    body: int

    @property
    def last(self) -> int:
        return self.first + self.total - 1

    @property
    def end(self) -> int:
        return self.body + self.size + MARK_BYTES


def encode(epoch: int, first: int, records: Sequence[bytes], stamp: int) -> bytes:
    """A whole frame of at least one record; no record may be empty."""
    table = struct.pack(f"<{2 * len(records)}I", *map(len, records), *map(crc32, records))
    size = len(table) + sum(map(len, records))
    head, tail = (_mark(kind, epoch, first, len(records), size, stamp) for kind in (_HEAD, _TAIL))
    return b"".join((head, table, *records, tail))


def _mark(kind: bytes, epoch: int, first: int, count: int, size: int, stamp: int) -> bytes:
    fields = _MARK.pack(kind, epoch, first, count, size, stamp)
    return fields + _CRC.pack(crc32(fields))


def _read_mark(data: bytes, at: int, kind: bytes) -> tuple[int, int, int, int, int] | None:
    """epoch, first, count, size, stamp of a mark that is whole and undamaged."""
    end = at + _MARK.size
    if at < 0 or len(data) < end + _CRC.size or _CRC.unpack_from(data, end)[0] != crc32(data[at:end]):
        return None
    found, *fields = _MARK.unpack_from(data, at)
    return tuple(fields) if found == kind else None


def frames(file: File, start: int, end: int) -> Iterator[Frame]:
    """The frames between two offsets. Damage is skipped to the next mark that is whole; a frame whose head alone is
    damaged is found by its tail. The last frame may reach over ``end``: it was torn."""
    while end - start > MARK_BYTES:
        head = _read_mark(file.read(start, MARK_BYTES), 0, _HEAD)
        if head is not None:
            frame = Frame(*head, body=start + MARK_BYTES)
        else:
            found = _next_after_damage(file, start, end)
            if found is None:
                return
            frame = found
        yield frame
        start = frame.end


def _next_after_damage(file: File, start: int, end: int) -> Frame | None:
    data = file.read(start, end - start)
    at = 0
    while (at := data.find(b"TW", at + 1)) >= 0:
        if head := _read_mark(data, at, _HEAD):
            return Frame(*head, body=start + at + MARK_BYTES)
        if tail := _read_mark(data, at, _TAIL):
            body = start + at - tail[3]
            if body >= start:
                return Frame(*tail, body=body)
    return None


def tail_frame(file: File, end: int) -> Frame | None:
    """The last frame of a page whose end is undamaged, without reading the page."""
    tail = _read_mark(file.read(max(0, end - MARK_BYTES), MARK_BYTES), 0, _TAIL)
    return Frame(*tail, body=end - MARK_BYTES - tail[3]) if tail else None


def is_whole(file: File, frame: Frame) -> bool:
    """Was the frame written to its end? (Its records may be damaged all the same.)"""
    return _read_mark(file.read(frame.body + frame.size, MARK_BYTES), 0, _TAIL) is not None


def records(file: File, frame: Frame) -> list[bytes | None]:
    """The records of a frame in order, None for each that is damaged."""
    try:
        data = file.read(frame.body, frame.size)
    except OSError:
        return [None] * frame.total
    at = 8 * frame.total
    if len(data) < at:
        return [None] * frame.total
    table = struct.unpack_from(f"<{2 * frame.total}I", data)
    found: list[bytes | None] = []
    for length, crc in zip(table[: frame.total], table[frame.total :], strict=True):
        record = data[at : at + length]
        at += length
        found.append(record if record and crc32(record) == crc else None)
    return found
