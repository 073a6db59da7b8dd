"""From a decoded batch to records: every event is held against telemetry/fields.py and stamped; one that does not
pass is set aside with the reason and spoils no other.

Called for every event, so it is written for speed; the rare ways are in functions of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from collector import aside
from collector.ledger import ranges
from collector.query import Kind
from collector.registry import AgentRecord
from collector.store import Record
from telemetry import ledger, wire
from telemetry.errors import Permanent
from telemetry.event import Event
from telemetry.fields import SCHEMA
from telemetry.intervals import Range
from telemetry.report import Report
from telemetry.validate import unknown, validate

DATE_MAX = 253_402_300_799_999
SKEW_MS = 2_000
"""A clock difference from here on is written into every event of the batch."""


@dataclass(slots=True)
class Taken:
    """One batch, judged. ``drops`` and ``status`` are what it says about the ledger."""

    agent: AgentRecord
    header: wire.Header
    records: list[Record] = field(default_factory=list)
    asides: list[Record] = field(default_factory=list)
    aside_sequences: list[int] = field(default_factory=list)
    drops: list[tuple[int, int, int, str]] = field(default_factory=list)
    status: list[tuple[int, list[ledger.EpochLedger]]] = field(default_factory=list)
    version: str = ""
    topics: set[str] = field(default_factory=set)

    @property
    def stored_ranges(self) -> list[Range]:
        return ranges(int(r.doc["tengwang.agent.sequence"]) for r in self.records)  # type: ignore[arg-type]


class Intake:
    """``future_ms`` and ``past_ms``: how far an event's own time may be from now before it is flagged."""

    def __init__(self, report: Report, future_ms: int, past_ms: int) -> None:
        self._report = report
        self._future = future_ms
        self._past = past_ms

    def take(self, batch: wire.Batch, agent: AgentRecord, received_ms: int) -> Taken:
        """Never raises for what a record holds."""
        header = batch.header
        taken = Taken(agent, header)
        agent_id, name, epoch = agent.id, agent.name, header.epoch
        prefix = f"{agent_id}-{epoch}-"
        newer = header.schema > SCHEMA
        skew = header.sent_ms - received_ms if header.sent_ms else 0
        skewed = abs(skew) >= SKEW_MS
        earliest, latest = received_ms - self._past, received_ms + self._future
        decode, append = msgspec.json.decode, taken.records.append
        for sequence, raw in batch.records:
            event: Event | None = None
            try:
                event = decode(raw)
                if type(event) is not dict:
                    event = None
                    raise Permanent("not_an_object", "a record must be a JSON object")
                if newer:
                    self._keep_unknown(event)
                validate(event)
            except Permanent as error:
                self._aside(taken, sequence, raw, error, event, received_ms)
                continue
            except (ValueError, RecursionError) as error:  # msgspec's errors and UnicodeDecodeError are ValueErrors
                self._aside(taken, sequence, raw, Permanent("not_json", str(error)), None, received_ms)
                continue
            identity = f"{prefix}{sequence}"
            event["event.id"] = identity
            event["event.ingested"] = received_ms
            event["agent.id"] = agent_id
            event["agent.name"] = name
            event["tengwang.agent.epoch"] = epoch
            event["tengwang.agent.sequence"] = sequence
            at = event["@timestamp"]
            if not earliest <= at <= latest:  # type: ignore[operator]
                event["tengwang.time.flag"] = "past" if at < earliest else "future"  # type: ignore[operator]
                self._report.count("tengwang_events_time_flagged_total", flag=str(event["tengwang.time.flag"]))
            dataset = event["event.dataset"]
            if dataset == "tengwang.agent":
                event["tengwang.time.skew"] = skew
                self._about_agent(taken, sequence, event)
            elif skewed:
                event["tengwang.time.skew"] = skew
            taken.topics.add(dataset)  # type: ignore[arg-type]
            append(Record(Kind.EVENT, identity, event))
        return taken

    def _keep_unknown(self, event: Event) -> None:
        """Fields that only a newer agent knows are kept as one JSON text."""
        if names := unknown(event):
            kept = {str(name)[:256]: event.pop(name) for name in names}
            event["tengwang.unknown_fields"] = msgspec.json.encode(kept).decode()
            self._report.count("tengwang_unknown_fields_total", len(names))

    def _about_agent(self, taken: Taken, sequence: int, event: Event) -> None:
        action = event["event.action"]
        if action == "status":
            try:
                taken.status.append((sequence, ledger.decode(str(event.get("tengwang.ledger.detail", "[]")))))
            except msgspec.DecodeError:
                self._report.count("tengwang_ledger_unreadable_total")
        elif action == "dropped":
            numbers = [event.get(f"tengwang.drop.{part}") for part in ("epoch", "first", "last")]
            if all(type(n) is int for n in numbers):
                epoch, first, last = numbers
                taken.drops.append((epoch, first, last, str(event.get("event.reason", ""))))  # type: ignore[arg-type]
            else:
                self._report.count("tengwang_ledger_unreadable_total")
        if type(version := event.get("agent.version")) is str:
            taken.version = version

    def _aside(
        self, taken: Taken, sequence: int, raw: msgspec.Raw, error: Permanent, event: Event | None, received_ms: int
    ) -> None:
        self._report.count("tengwang_events_set_aside_total", reason=error.reason)
        at = event.get("@timestamp") if event is not None else None
        believable = type(at) is int and 0 <= at <= DATE_MAX
        taken.aside_sequences.append(sequence)
        made = aside.record(
            f"{taken.agent.id}-{taken.header.epoch}-{sequence}",
            taken.agent.id,
            taken.agent.name,
            error.reason,
            error.detail,
            bytes(raw),
            at if believable else received_ms,  # type: ignore[arg-type]
            received_ms,
        )
        made.doc["tengwang.agent.epoch"] = taken.header.epoch
        made.doc["tengwang.agent.sequence"] = sequence
        taken.asides.append(made)
