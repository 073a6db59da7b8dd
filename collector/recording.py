"""Recorded events: lines of JSON, or a batch as it travels; read piece by piece, for they may be long."""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import msgspec
import zstandard

from collector.query import Kind
from collector.store import Record
from telemetry import wire
from telemetry.errors import ConfigError, Permanent
from telemetry.event import EPOCH, SEQUENCE, Event, event_id
from telemetry.validate import validate

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
Line = tuple[int, bytes, str]
"""Line number, the event's JSON, and its id where the recording implies one."""


def read(path: Path) -> Iterator[Line]:
    """Raises ConfigError where the file can not be read; Permanent where a batch is broken."""
    try:
        file = cast(io.BufferedReader, sys.stdin.buffer) if str(path) == "-" else path.open("rb")
    except OSError as error:
        raise ConfigError.one(str(path), f"can not be read: {error.strerror}") from error
    return _lines(file)


def _lines(stream: io.BufferedReader) -> Iterator[Line]:
    with stream:
        if stream.peek(4)[:4] == ZSTD_MAGIC:
            yield from _batch(stream.read())
            return
        for number, line in enumerate(stream, 1):
            if line.strip():
                yield number, line, ""


def _batch(data: bytes) -> Iterator[Line]:
    """One batch, or NDJSON that was compressed."""
    try:
        batch = wire.decode(data)
    except Permanent as error:
        if error.reason not in ("not_json", "count_mismatch"):
            raise
        stream = io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(data))
        for number, line in enumerate(stream, 1):
            yield number, line, ""
        return
    header = batch.header
    for number, (sequence, raw) in enumerate(batch.records, 1):
        yield number, bytes(raw), event_id(header.agent, header.epoch, sequence)


def groups(lines: Iterator[Line], now_ms: int, size: int) -> Iterator[tuple[list[Record], list[tuple[int, Permanent]]]]:
    """Records as the store takes them, ``size`` at a time, and what was no event, by line."""
    records: list[Record] = []
    refused: list[tuple[int, Permanent]] = []
    for number, text, name in lines:
        try:
            records.append(_record(text, name, now_ms))
        except Permanent as error:
            refused.append((number, error))
        if len(records) >= size or len(refused) >= size:
            yield records, refused
            records, refused = [], []
    if records or refused:
        yield records, refused


def _record(text: bytes, name: str, now_ms: int) -> Record:
    try:
        event = msgspec.json.decode(text, type=dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Permanent("not_json", str(error)) from error
    made: Event = validate(event)
    if not name and all(key in made for key in ("agent.id", EPOCH, SEQUENCE)):
        name = event_id(str(made["agent.id"]), int(str(made[EPOCH])), int(str(made[SEQUENCE])))
    name = name or str(made.get("event.id", "")) or "replay-" + hashlib.sha256(text).hexdigest()[:32]
    made["event.id"] = name
    if name.count("-") >= 2 and "agent.id" not in made:
        made["agent.id"] = name.rsplit("-", 2)[0]
    made.setdefault("event.ingested", now_ms)
    return Record(Kind.EVENT, name, made)
