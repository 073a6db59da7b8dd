"""Bulk requests: bounded in bytes, repeated where the server was only busy; what became of each record."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

import msgspec
from elasticsearch import Elasticsearch

from collector.store import Record, Refused
from collector.stores.elastic.connection import LATER_KINDS, Rejected, advice, errors_told
from telemetry.errors import Transient

MAX_BYTES = 8 * 1024 * 1024
TRIES = 4
FIRST_WAIT = 0.25
encode = msgspec.json.Encoder().encode
Line = tuple[Record, bytes]
"""A record and its two lines of the request."""


class Bulk:
    """Writes records to one index each. ``sleep`` and ``jitter`` are arguments for the tests."""

    def __init__(
        self, client: Elasticsearch, sleep: Callable[[float], None], jitter: Callable[[], float] = random.random
    ) -> None:
        self._client = client
        self._sleep = sleep
        self._jitter = jitter

    def create(self, lines: Sequence[tuple[str, Record]]) -> tuple[int, int, list[Refused]]:
        """Create each record in its index: how many are new, how many were there, and which are refused, with why."""
        stored = duplicates = 0
        refused: list[Refused] = []
        ready: list[Line] = []
        for index, record in lines:
            try:
                action = encode({"create": {"_index": index, "_id": record.id}})
                ready.append((record, action + b"\n" + encode(record.doc)))
            except (UnicodeError, msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
                refused.append(Refused(record, f"not_encodable: {error}"))
        for chunk in chunks(ready):
            new, old, bad = self._send(chunk)
            stored, duplicates = stored + new, duplicates + old
            refused += bad
        return stored, duplicates, refused

    def _send(self, lines: Sequence[Line]) -> tuple[int, int, list[Refused]]:
        stored = duplicates = 0
        refused: list[Refused] = []
        why = ""
        for attempt in range(TRIES):
            if attempt:
                self._sleep(FIRST_WAIT * 2**attempt * (0.5 + self._jitter()))
            try:
                with errors_told():
                    answer = self._client.bulk(operations=[line for _, line in lines])  # type: ignore[misc]  # bytes go as they are
            except Rejected as error:
                if len(lines) == 1:
                    return stored, duplicates, [*refused, *(Refused(r, str(error)) for r, _ in lines)]
                half = len(lines) // 2
                parts = [self._send(lines[:half]), self._send(lines[half:])]
                return (
                    stored + sum(p[0] for p in parts),
                    duplicates + sum(p[1] for p in parts),
                    [*refused, *parts[0][2], *parts[1][2]],
                )
            busy: list[Line] = []
            for line, item in zip(lines, answer["items"], strict=True):
                result = item["create"]
                status = result["status"]
                if status == 201:
                    stored += 1
                elif status == 409:
                    duplicates += 1
                elif status == 429 and result["error"]["type"] not in LATER_KINDS:
                    busy.append(line)
                    why = told(result["error"])
                elif status >= 429 or status in (401, 403, 404) or result["error"]["type"] in LATER_KINDS:
                    kind = result["error"]["type"]
                    raise Transient(f"Elasticsearch: {told(result['error'])}{advice(kind, status)}")
                else:
                    refused.append(Refused(line[0], told(result["error"])))
            if not busy:
                return stored, duplicates, refused
            lines = busy
        raise Transient(f"Elasticsearch is busy: {why}")


def told(error: dict[str, object]) -> str:
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
