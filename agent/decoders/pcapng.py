"""Capture files: pcapng of either byte order. Pure.

Format: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html. A file is blocks (type, length, body, length
again) in sections; a section has a byte order and interfaces of its own, an interface a link type and a unit of time
of its own. Blocks of other kinds are passed over. What a Simple Packet Block does not tell, its time, is taken from
the packet before it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from agent.decoders.pcap import MAX_CAPTURED, SECOND, Record
from agent.decoders.window import Window
from telemetry.errors import Permanent

MAGIC = b"\x0a\x0d\x0d\x0a"
ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
SECTION, INTERFACE, OLD_PACKET, SIMPLE, ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
MAX_BLOCK = 16 << 20
"""libpcap's bound on one block."""
MAX_INTERFACES = 4096
"""Of a section; they are held in memory."""
END, NAME, RESOLUTION, OFFSET = 0, 2, 9, 14
MAX_NAME = 256
"""Bytes of an interface's name that are kept."""
MICROSECOND = 6
LATEST = (1 << 32) * SECOND
"""Times outside those that pcap can tell are a fault of the interface's unit, not of its clock."""


class Interface(msgspec.Struct, frozen=True):
    """Link type, bytes kept of a packet (0 is all), units of time in a second, seconds to add, name."""

    link: int
    snap: int
    units: int
    offset: int
    name: str


class Section(msgspec.Struct):
    """Byte order, and the interfaces told so far."""

    order: str
    interfaces: list[Interface]


def read(window: Window) -> Iterator[Record]:
    """Every packet in order. Raises Permanent where the file stops being a capture; what came before was given."""
    section, at, seen = Section("<", []), 0, 0
    while True:
        at = window.more(at, 12)
        left = len(window.data) - at
        if left < 12:
            break
        if window.data[at : at + 4] == MAGIC:
            section = _section(window, at)
        kind, size = struct.unpack_from(section.order + "II", window.data, at)
        if size < 12 or size % 4 or size > MAX_BLOCK:
            window.fail("bad_block", at, f"a block of type {kind} with {size} bytes")
        at = window.more(at, size)
        data = window.data
        if len(data) - at < size:
            window.fail("short_file", at, f"a block of {size} bytes, {len(data) - at} left")
        if struct.unpack_from(section.order + "I", data, at + size - 4)[0] != size:
            window.fail("bad_block", at, f"a block of type {kind} does not end with its length")
        try:
            record = _block(section, kind, bytes(data[at + 8 : at + size - 4]), seen)
        except Permanent as fault:
            window.fail(fault.reason, at, fault.detail)
        if record is not None:
            seen = record.time_ns
            yield record
        at += size
    if left:
        window.fail("short_file", at, f"{left} bytes where a block should be")
    window.end()


def _section(window: Window, at: int) -> Section:
    order = ORDERS.get(bytes(window.data[at + 8 : at + 12]))
    if order is None:
        window.fail("bad_block", at, "a section without byte order")
    return Section(order, [])


def _block(section: Section, kind: int, body: bytes, seen: int) -> Record | None:
    """A packet, or None where the block is none. Raises Permanent without the place."""
    if kind == ENHANCED:
        return _packet(section, body, section.order + "IIIII")
    if kind == SIMPLE:
        return _simple(section, body, seen)
    if kind == INTERFACE:
        if len(section.interfaces) >= MAX_INTERFACES:
            raise Permanent("bad_interface", f"more than {MAX_INTERFACES} interfaces in a section")
        section.interfaces.append(_interface(section.order, body))
    elif kind == OLD_PACKET:
        return _packet(section, body, section.order + "HxxIIII")
    elif kind == SECTION:
        major = struct.unpack_from(section.order + "H", body, 4)[0] if len(body) >= 16 else 0
        if major != 1:
            raise Permanent("bad_version", f"a section of {len(body)} bytes and version {major}")
    return None


def _packet(section: Section, body: bytes, form: str) -> Record:
    if len(body) < 20:
        raise Permanent("bad_packet", f"a packet block of {len(body)} bytes")
    number, high, low, captured, length = struct.unpack_from(form, body)
    if captured > MAX_CAPTURED or captured > len(body) - 20:
        raise Permanent("bad_packet", f"a packet of {captured} bytes in {len(body) - 20}")
    interface = _of(section, number)
    time_ns = interface.offset * SECOND + (high << 32 | low) * SECOND // interface.units
    return Record(min(max(time_ns, 0), LATEST), length, body[20 : 20 + captured], interface.link, interface.name)


def _simple(section: Section, body: bytes, seen: int) -> Record:
    if len(body) < 4:
        raise Permanent("bad_packet", f"a simple packet block of {len(body)} bytes")
    interface = _of(section, 0)
    length: int = struct.unpack_from(section.order + "I", body)[0]
    captured = min(length, interface.snap or length)
    if captured > MAX_CAPTURED or captured > len(body) - 4:
        raise Permanent("bad_packet", f"a packet of {captured} bytes in {len(body) - 4}")
    return Record(seen, length, body[4 : 4 + captured], interface.link, interface.name)


def _of(section: Section, number: int) -> Interface:
    if number >= len(section.interfaces):
        raise Permanent("bad_interface", f"interface {number} of {len(section.interfaces)}")
    return section.interfaces[number]


def _interface(order: str, body: bytes) -> Interface:
    if len(body) < 8:
        raise Permanent("bad_interface", f"an interface block of {len(body)} bytes")
    link, snap = struct.unpack_from(order + "HxxI", body)
    units, offset, name = 10**MICROSECOND, 0, ""
    for code, value in _options(order, body, 8):
        if code == RESOLUTION and len(value) == 1:
            units = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
        elif code == OFFSET and len(value) == 8:
            offset = struct.unpack(order + "q", value)[0]
        elif code == NAME:
            name = value[:MAX_NAME].rstrip(b"\0").decode("utf-8", "replace")
    return Interface(link, snap, units, offset, name)


def _options(order: str, body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Raises Permanent where one goes past the end: a unit of time that was not read would make every time wrong."""
    while len(body) - at >= 4:
        code, size = struct.unpack_from(order + "HH", body, at)
        at += 4
        if code == END:
            return
        if size > len(body) - at:
            raise Permanent("bad_interface", f"option {code} of {size} bytes, {len(body) - at} left")
        yield code, body[at : at + size]
        at += size + -size % 4
