"""Decompression of what another made: streaming, in bounded memory, and what came before a fault is given.

gzip (RFC 1952), zstd (RFC 8878) and xz, told apart by their first bytes; what is none of them is passed on as it is. A
bomb unfolds piece by piece, and the reader of the pieces stops where they are no capture.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import zstandard

from telemetry.errors import Permanent

PIECE = 256 << 10
"""Bytes given at a time, about: a step of gzip unfolds to 258 KiB at most, of zstd to 8 MiB, of xz to 2 MiB a chunk."""
STEP = 256
"""Compressed bytes taken at a time. A fault costs what its step would have given, so steps are small."""
WINDOW = 128 << 20
"""Memory that a stream may ask for: what ``zstd --ultra -22`` and ``xz -9`` need, as their own programs allow."""


class Decoder(Protocol):
    """One stream of a compressed file; what follows its end is ``unused_data``."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


def _gzip() -> Decoder:
    return zlib.decompressobj(wbits=31)


def _zstd() -> Decoder:
    return zstandard.ZstdDecompressor(max_window_size=WINDOW).decompressobj()


def _xz() -> Decoder:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=WINDOW)


FORMATS: dict[bytes, tuple[str, Callable[[], Decoder]]] = {
    b"\x1f\x8b": ("gzip", _gzip),
    b"\x28\xb5\x2f\xfd": ("zstd", _zstd),
    b"\xfd7zXZ\x00": ("xz", _xz),
}
FAULTS = (zlib.error, zstandard.ZstdError, lzma.LZMAError, EOFError)
LONGEST = max(map(len, FORMATS))


def pieces(source: Iterator[bytes]) -> Iterator[bytes]:
    """What ``source`` unfolds to. Raises Permanent with the place in the compressed file."""
    head = b""
    for piece in source:
        head += piece
        if len(head) >= LONGEST:
            break
    for magic, (name, new) in FORMATS.items():
        if head.startswith(magic):
            yield from _unfolded(name, new, _with(head, source))
            return
    yield from _with(head, source)


def _with(head: bytes, source: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from source


def _unfolded(name: str, new: Callable[[], Decoder], source: Iterator[bytes]) -> Iterator[bytes]:
    decoder, given, taken = new(), bytearray(), 0
    try:
        for piece in source:
            left = memoryview(piece)
            while left:
                step, left = bytes(left[:STEP]), left[STEP:]
                size = len(step)
                while step:
                    if decoder.eof:
                        # another stream may follow, and zeros that fill a block
                        if not (step := step.lstrip(b"\0")):
                            break
                        decoder = new()
                    given += decoder.decompress(step)
                    step = decoder.unused_data if decoder.eof else b""
                taken += size
                if len(given) >= PIECE:
                    yield bytes(given)
                    given.clear()
            if given:
                yield bytes(given)
                given.clear()
        if not decoder.eof:
            raise Permanent("short_file", f"the {name} stream ends early, after {taken} bytes")
    except FAULTS as fault:
        if given:
            yield bytes(given)
        raise Permanent(f"bad_{name}", f"about byte {taken} of the compressed file: {fault}") from fault
