"""A batch of events to bytes and back: what travels between agent and collector.

A batch is zstd over lines of JSON. The first line is the header; every other line is ``[sequence, {event}]``.
``zstd -dc batch | head -1`` shows it to a person.

Versions: ``v`` is the format; a reader refuses a greater one with ``unsupported_version`` and says which it can read.
Header keys that a reader does not know are ignored. ``schema`` is the version of telemetry/fields.py on the writer's
side: a reader with an older list keeps the event and sets the unknown fields apart; one with the same or a newer
list refuses an unknown field.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import zstandard

from telemetry.errors import Permanent
from telemetry.fields import SCHEMA

VERSION = 1
CONTENT_TYPE = "application/vnd.tengwang.batch+zstd"
MAX_COMPRESSED = 8 * 1024 * 1024
MAX_EXPANDED = 32 * 1024 * 1024
MAX_RECORDS = 10_000
MAX_RECORD = 256 * 1024
MAX_HEADER = 4096
MAX_SEQUENCE = 2**62


class Header(msgspec.Struct, frozen=True, omit_defaults=True):
    """First line of a batch. All records are of one ``epoch``; ``repeat``: it may have been sent before."""

    v: int
    agent: str
    epoch: int
    count: int
    schema: int = SCHEMA
    repeat: bool = False
    sent_ms: int = 0
    instance: str = ""


class Batch(msgspec.Struct, frozen=True):
    """A decoded batch; the records are still JSON text, so that one bad record spoils no other."""

    header: Header
    records: list[tuple[int, msgspec.Raw]]


class Ack(msgspec.Struct, frozen=True, omit_defaults=True):
    """The collector's answer: every record of the batch is stored, or set aside with a reason.

    ``work`` and ``orders`` are the versions of what the collector has for this agent; empty: there is none.
    """

    stored: int
    duplicates: int = 0
    refused: int = 0
    collector_ms: int = 0
    work: str = ""
    orders: str = ""


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of every 4xx and 5xx answer to an agent."""

    reason: str
    detail: str = ""
    supported: int = VERSION


_header_decoder = msgspec.json.Decoder(Header)
_record_decoder = msgspec.json.Decoder(tuple[int, msgspec.Raw])
_compressor = zstandard.ZstdCompressor(level=3, write_content_size=True)


def encode(header: Header, records: Iterable[tuple[int, bytes]]) -> bytes:
    """Make a batch of already encoded events: ``(sequence, JSON bytes)``."""
    lines = [msgspec.json.encode(header)]
    lines.extend(b"[%d,%b]" % record for record in records)
    return _compressor.compress(b"\n".join(lines))


def decode(data: bytes) -> Batch:
    """Raises Permanent: too_large, not_zstd, not_json, unsupported_version, count_mismatch, bad_sequence."""
    if len(data) > MAX_COMPRESSED:
        raise Permanent("too_large", f"{len(data)} bytes compressed, at most {MAX_COMPRESSED}")
    text = _expand(data, MAX_EXPANDED + 1)
    if len(text) > MAX_EXPANDED:
        raise Permanent("too_large", f"more than {MAX_EXPANDED} bytes expanded")
    header = _header(text.partition(b"\n")[0])
    if text.count(b"\n") > MAX_RECORDS:
        raise Permanent("count_mismatch", f"more than {MAX_RECORDS} records")
    lines = text.split(b"\n")
    if header.count != len(lines) - 1:
        raise Permanent("count_mismatch", f"header says {header.count}, {len(lines) - 1} records are there")
    if not (0 < header.epoch < MAX_SEQUENCE):
        raise Permanent("bad_sequence", f"epoch {header.epoch}")
    records = []
    last = 0
    for line in lines[1:]:
        if len(line) > MAX_RECORD:
            raise Permanent("too_large", f"a record of {len(line)} bytes, at most {MAX_RECORD}")
        try:
            sequence, raw = _record_decoder.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise Permanent("not_json", f"record after {last}: {error}") from error
        if not last < sequence < MAX_SEQUENCE:
            raise Permanent("bad_sequence", f"{sequence} after {last}")
        last = sequence
        records.append((sequence, raw))
    return Batch(header, records)


def read_header(data: bytes) -> Header:
    """Only the first line: who sends, before any record is looked at. Raises Permanent like ``decode``."""
    return _header(_expand(data, MAX_HEADER).partition(b"\n")[0])


def _header(line: bytes) -> Header:
    try:
        header = _header_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Permanent("not_json", f"header: {error}") from error
    if header.v > VERSION or header.v < 1:
        raise Permanent("unsupported_version", f"batch version {header.v}, this side reads up to {VERSION}")
    return header


def _expand(data: bytes, limit: int) -> bytes:
    """The first ``limit`` bytes of what is compressed; never more is held in memory."""
    try:
        with zstandard.ZstdDecompressor(max_window_size=8 * 1024 * 1024).stream_reader(data) as reader:
            return reader.read(limit)
    except (zstandard.ZstdError, MemoryError) as error:
        raise Permanent("not_zstd", str(error)) from error
