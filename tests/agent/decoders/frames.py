"""Neighbour discovery frames made by hand, byte by byte."""

from __future__ import annotations

import socket

SOURCE, GROUP = socket.inet_pton(socket.AF_INET6, "fe80::1"), socket.inet_pton(socket.AF_INET6, "ff02::1")


def frame(payload: bytes, first: int = 58, hop_limit: int = 255) -> bytes:
    head = b"\x60\0\0\0" + len(payload).to_bytes(2, "big") + bytes([first, hop_limit])
    return b"\x33\x33\0\0\0\1\2\0\0\0\0\1\x86\xdd" + head + SOURCE + GROUP + payload


def advertisement(*options: bytes) -> bytes:
    return bytes([134, 0, 0, 0, 64, 0xC8, 0x07, 0x08]) + bytes(8) + b"".join(options)


def prefix(text: str, length: int, valid: int) -> bytes:
    packed = socket.inet_pton(socket.AF_INET6, text)
    return bytes([3, 4, length, 0xC0]) + valid.to_bytes(4, "big") + bytes(8) + packed


def fragments(data: bytes, first: int, cuts: list[int], identification: bytes = b"abcd") -> list[bytes]:
    ends = [*cuts, len(data)]
    return [
        frame(
            bytes([first, 0]) + (start | (end != len(data))).to_bytes(2, "big") + identification + data[start:end], 44
        )
        for start, end in zip([0, *cuts], ends, strict=True)
    ]
