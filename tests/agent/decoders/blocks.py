"""pcapng blocks made by hand, byte by byte."""

from __future__ import annotations

import struct

from agent.decoders import pcapng


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str, major: int = 1) -> bytes:
    return block(order, pcapng.SECTION, struct.pack(order + "IHHq", 0x1A2B3C4D, major, 0, -1))


def interface(order: str, link: int = 1, snap: int = 0, options: bytes = b"") -> bytes:
    return block(order, pcapng.INTERFACE, struct.pack(order + "HxxI", link, snap) + options)


def packet(order: str, ticks: int, frame: bytes, number: int = 0, length: int | None = None) -> bytes:
    length = len(frame) if length is None else length
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), length)
    return block(order, pcapng.ENHANCED, head + frame)


def old_packet(order: str, ticks: int, frame: bytes, number: int = 0) -> bytes:
    head = struct.pack(order + "HHIIII", number, 0, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
    return block(order, pcapng.OLD_PACKET, head + frame)


def simple(order: str, length: int, frame: bytes) -> bytes:
    return block(order, pcapng.SIMPLE, struct.pack(order + "I", length) + frame)
