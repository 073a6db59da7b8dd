"""Capture files: pcap of either byte order, microseconds or nanoseconds, Ethernet. Pure.

Format: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html. A 24-byte header, then per packet 16 bytes
(seconds, fraction, captured length, length on the wire) and the captured bytes.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator

import msgspec

from telemetry.errors import Permanent

ETHERNET = 1
MAX_CAPTURED = 262_144
"""libpcap's own bound on one packet."""
MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}


class Record(msgspec.Struct, frozen=True, gc=False):
    """One captured packet: nanoseconds since 1970 UTC, bytes on the wire, bytes captured."""

    time_ns: int
    length: int
    frame: bytes


def records(data: bytes | mmap.mmap) -> Iterator[Record]:
    """Every packet in order. Raises Permanent where the file stops being a capture; what came before was given."""
    form = MAGIC.get(bytes(data[:4]))
    if form is None or len(data) < 24:
        raise Permanent("not_pcap", "no pcap header (pcapng is not read: convert with editcap -F pcap)")
    order, unit = form
    link = struct.unpack_from(order + "I", data, 20)[0] & 0x0FFFFFFF
    if link != ETHERNET:
        raise Permanent("not_ethernet", f"link type {link}")
    head = struct.Struct(order + "IIII")
    at, end = 24, len(data)
    while at < end:
        if end - at < head.size:
            raise Permanent("short_file", f"{end - at} bytes where a packet header should be")
        seconds, fraction, captured, length = head.unpack_from(data, at)
        at += head.size
        if captured > MAX_CAPTURED or captured > end - at:
            raise Permanent("short_file", f"a packet of {captured} bytes, {end - at} left")
        yield Record(seconds * 1_000_000_000 + fraction * unit, length, bytes(data[at : at + captured]))
        at += captured
