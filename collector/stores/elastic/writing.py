"""Bulk requests: bounded in bytes, repeated where the server was only busy; what became of each record."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from elasticsearch import Elasticsearch

from collector.store import Record, Refused
from collector.stores.elastic.connection import BUSY, LATER_KINDS, LATER_STATUS, Busy, Rejected, advice, errors_told
from telemetry.errors import Transient

MAX_BYTES = 8 * 1024 * 1024
TRIES = 4
FIRST_WAIT = 0.25
encode = msgspec.json.Encoder().encode
Line = tuple[Record, bytes]
"""A record and its two lines of the request."""


class Outcome(msgspec.Struct, frozen=True):
    """How many are new, how many were there, which are refused; ``why`` the server last asked to wait."""

    stored: int = 0
    duplicates: int = 0
    refused: tuple[Refused, ...] = ()
    why: str = ""

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.stored + other.stored,
            self.duplicates + other.duplicates,
            self.refused + other.refused,
            other.why or self.why,
        )


class Bulk:
    """Writes records to one index each. ``sleep`` and ``jitter`` are arguments for the tests."""

    def __init__(
        self, client: Elasticsearch, sleep: Callable[[float], None], jitter: Callable[[], float] = random.random
    ) -> None:
        self._client = client
        self._sleep = sleep
        self._jitter = jitter

    def create(self, lines: Sequence[tuple[str, Record]]) -> Outcome:
        """Create each record in its index."""
        total = Outcome()
        ready: list[Line] = []
        for index, record in lines:
            try:
                action = encode({"create": {"_index": index, "_id": record.id}})
                ready.append((record, action + b"\n" + encode(record.doc)))
            except (UnicodeError, msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
                total += Outcome(refused=(Refused(record, f"not_encodable: {error}"),))
        for chunk in chunks(ready):
            total += self._send(chunk)
        return total

    def _send(self, lines: Sequence[Line]) -> Outcome:
        """One request, repeated for what the server had no room for; halved where it was too much at once."""
        total = Outcome()
        for attempt in range(TRIES):
            if attempt:
                self._sleep(FIRST_WAIT * 2**attempt * (0.5 + self._jitter()))
            try:
                with errors_told():
                    answer = self._client.bulk(operations=[line for _, line in lines])  # type: ignore[misc]  # bytes
            except Busy as error:
                total += Outcome(why=str(error))
                if attempt and len(lines) > 1:
                    break
                continue
            except Rejected as error:
                if len(lines) > 1:
                    break
                return total + Outcome(refused=(Refused(lines[0][0], str(error)),))
            made, lines = sorted_out(lines, answer["items"])
            total += made
            if not lines:
                return total
        if len(lines) == 1 or attempt == TRIES - 1:
            raise Transient(total.why)
        half = len(lines) // 2
        return total + self._send(lines[:half]) + self._send(lines[half:])


def sorted_out(lines: Sequence[Line], items: Sequence[Mapping[str, Any]]) -> tuple[Outcome, list[Line]]:
    """What became of each record, and those to send again. Raises Transient where nothing can be written now."""
    stored = duplicates = 0
    refused: list[Refused] = []
    again: list[Line] = []
    why = ""
    for line, item in zip(lines, items, strict=True):
        result = item["create"]
        status = result["status"]
        if status == 201:
            stored += 1
        elif status == 409:
            duplicates += 1
        elif status == BUSY and result["error"]["type"] not in LATER_KINDS:
            again.append(line)
            why = f"Elasticsearch is busy: {told(result['error'])}"
        elif status in LATER_STATUS or status == 404 or result["error"]["type"] in LATER_KINDS:
            raise Transient(f"Elasticsearch: {told(result['error'])}{advice(result['error']['type'], status)}")
        else:
            refused.append(Refused(line[0], told(result["error"])))
    return Outcome(stored, duplicates, tuple(refused), why), again


def told(error: Mapping[str, Any]) -> str:
    """Why one record was not taken, with the deepest cause."""
    text = f"{error.get('type')}: {error.get('reason')}"
    cause = error.get("caused_by")
    if isinstance(cause, dict):
        text += f" ({cause.get('reason')})"
    return text[:1000]


def chunks(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Requests of at most ``MAX_BYTES``, or of one record."""
    chunk: list[Line] = []
    size = 0
    for line in lines:
        if chunk and size + len(line[1]) > MAX_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(line)
        size += len(line[1])
    if chunk:
        yield chunk
