"""pcapng, written: blocks of one section in little-endian, times in nanoseconds. Pure.

Format: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html. Readers take a section to its end or to the
end of the file, so blocks can be appended as packets come.
"""

from __future__ import annotations

import struct

from agent.decoders import pcapng

COMMENT, PROGRAM, NAME = 1, 4, 2
NANOSECONDS = b"\x09"
OVERHEAD = 32
"""Of a packet without a comment, beside its bytes and what fills them up to four."""


def section(program: str, comment: str = "") -> bytes:
    """To begin with. ``program`` is who wrote it."""
    body = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
    return _block(pcapng.SECTION, body + _options((COMMENT, comment.encode()), (PROGRAM, program.encode())))


def interface(link: int, name: str = "", snap: int = 0) -> bytes:
    """The next one of the section; the first has the number 0."""
    options = _options((NAME, name.encode()), (pcapng.RESOLUTION, NANOSECONDS))
    return _block(pcapng.INTERFACE, struct.pack("<HxxI", link, snap) + options)


def packet(number: int, time_ns: int, frame: bytes, length: int, comment: str = "") -> bytes:
    """On the interface of that number; ``length`` is on the wire, ``frame`` what is kept of it."""
    head = struct.pack("<5I", number, time_ns >> 32, time_ns & 0xFFFFFFFF, len(frame), length)
    return _block(pcapng.ENHANCED, head + frame + bytes(-len(frame) % 4) + _options((COMMENT, comment.encode())))


def _options(*given: tuple[int, bytes]) -> bytes:
    made = [
        struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)
        for code, value in ((code, value[:0xFFFF]) for code, value in given)
        if value
    ]
    return b"".join(made) + bytes(4) if made else b""


def _block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size
