"""What was set aside: a record that was refused, kept with the reason, so that nothing is lost without a trace."""

from __future__ import annotations

import hashlib

import msgspec

from collector.query import Kind
from collector.store import Record
from telemetry.event import Event

MAX_RAW = 8_192
MAX_DETAIL = 4_096


def record(
    id: str, agent_id: str, agent_name: str, reason: str, detail: str, raw: bytes, at_ms: int, ingested_ms: int
) -> Record:
    """``at_ms``: the event's own time where it has a believable one, so that a repeat is recognised."""
    doc: Event = {
        "@timestamp": at_ms,
        "event.id": id,
        "event.ingested": ingested_ms,
        "event.kind": "event",
        "event.dataset": "tengwang.aside",
        "event.action": "set-aside",
        "agent.id": agent_id,
        "agent.name": agent_name,
        "tengwang.aside.reason": reason[:256],
        "tengwang.aside.detail": printable(detail)[:MAX_DETAIL],
        "tengwang.aside.raw": as_json(raw),
    }
    return Record(Kind.ASIDE, id, doc)


def whole_batch(agent_id: str, agent_name: str, reason: str, detail: str, body: bytes, now_ms: int) -> Record:
    """A body of which nothing could be read; named by its digest, so a repeat is the same record."""
    digest = hashlib.sha256(body).hexdigest()[:32]
    return record(f"{agent_id}-body-{digest}", agent_id, agent_name, reason, detail, body, now_ms, now_ms)


def as_json(raw: bytes) -> str:
    """JSON text whatever it is: the JSON itself where it is short and sound, else a string cut to a bound."""
    if len(raw) <= MAX_RAW:
        try:
            msgspec.json.decode(raw)
            return raw.decode()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
    text = raw[:MAX_RAW].decode("utf-8", "backslashreplace")
    return msgspec.json.encode({"cut": len(raw) > MAX_RAW, "bytes": len(raw), "start": text[:MAX_RAW]}).decode()


def printable(text: str) -> str:
    """Without lone surrogates, which no store can write."""
    return text.encode("utf-8", "backslashreplace").decode()
