"""Capture files: pcap of either byte order, microseconds or nanoseconds. Pure.

Format: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html. A 24-byte header, then per packet 16 bytes
(seconds, fraction, captured length, length on the wire) and the captured bytes.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator

import msgspec

from agent.decoders.window import Window
from telemetry.errors import Permanent

SECOND = 1_000_000_000
ETHERNET = 1
HEADER = 24
MAX_CAPTURED = 262_144
"""libpcap's own bound on one packet."""
MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}


class Form(msgspec.Struct, frozen=True):
    """What the file's header says: byte order, nanoseconds of a unit of the fraction, link type."""

    order: str
    unit: int
    link: int


class Record(msgspec.Struct, frozen=True, gc=False):
    """One captured packet: nanoseconds since 1970 UTC, bytes on the wire, bytes captured, link type; where
    the file tells it, the name of the interface."""

    time_ns: int
    length: int
    frame: bytes
    link: int = ETHERNET
    interface: str = ""


def records(data: bytes | mmap.mmap) -> Iterator[Record]:
    """Every Ethernet frame in order. Raises Permanent where the file stops being one; what came before was given."""
    window = Window((data,))
    if (link := form(window).link) != ETHERNET:
        raise Permanent("not_ethernet", f"link type {link}")
    yield from read(window)


def form(window: Window) -> Form:
    """Raises Permanent where no pcap file begins here."""
    window.more(0, HEADER)
    head = bytes(window.data[:HEADER])
    if len(head) < HEADER or head[:4] not in MAGIC:
        raise Permanent("not_pcap", f"no pcap header; the file begins with {head[:4].hex() or 'nothing'}")
    order, unit = MAGIC[head[:4]]
    # the upper six bits tell of a frame check sequence
    return Form(order, unit, int(struct.unpack_from(order + "I", head, 20)[0]) & 0x03FFFFFF)


def read(window: Window) -> Iterator[Record]:
    """Every packet in order, from the file's first byte."""
    kind = form(window)
    unpack, unit, link = struct.Struct(kind.order + "IIII").unpack_from, kind.unit, kind.link
    at, data = HEADER, window.data
    end = len(data)
    while True:
        if end - at < 16:
            at, data = window.more(at, 16), window.data
            end = len(data)
            if end - at < 16:
                break
        seconds, fraction, captured, length = unpack(data, at)
        if captured > end - at - 16:
            if captured > MAX_CAPTURED:
                break
            at, data = window.more(at, 16 + captured), window.data
            end = len(data)
        if captured > MAX_CAPTURED or captured > end - at - 16:
            break
        at += 16
        yield Record(seconds * SECOND + fraction * unit, length, bytes(data[at : at + captured]), link)
        at += captured
    finish(window, at, kind)


def finish(window: Window, at: int, kind: Form) -> None:
    """Where no whole packet is left. Raises Permanent where that is not the end of the file."""
    left = len(window.data) - at
    if left >= 16:
        captured = struct.unpack_from(kind.order + "IIII", window.data, at)[2]
        if captured > MAX_CAPTURED:
            window.fail("bad_packet", at, f"a packet of {captured} bytes; {MAX_CAPTURED} is the most")
        window.fail("short_file", at, f"a packet of {captured} bytes, {left - 16} left")
    if left:
        window.fail("short_file", at, f"{left} bytes where a packet header should be")
    window.end()
