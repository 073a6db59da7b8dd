"""The way of an event from an input to the spool: validate, encode, buffer in memory, and write in batches.

``emit`` never blocks: it validates and encodes in the caller's thread and puts the bytes into a buffer that is bounded
in events and bytes. A thread of its own writes the buffer to the spool every ``flush_seconds``, or sooner when
it fills. An event is collected once it is in the spool. While the disk takes nothing the buffer waits; when that fills
too, the spool makes room or drops by priority, with sequences, so that the ledger tells (agent/spool.py). Only what an
input emits faster than the disk takes it is lost before it has a sequence: lowest priority first, counted.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from agent.bounded_file import BoundedFile
from agent.spool import Spool
from agent.spool_ledger import Drop
from telemetry.clock import Clock
from telemetry.errors import Permanent, Transient
from telemetry.event import Event, Priority, event, priority
from telemetry.report import Report
from telemetry.validate import validate
from telemetry.wire import MAX_RECORD

ASIDE_BYTES = 4096
REPORT_AWAY_SECONDS = 600.0
"""How often drops are told while no collector hears it: neighbouring ranges grow together until then."""


class Pipeline:
    def __init__(
        self,
        spool: Spool,
        clock: Clock,
        report: Report,
        aside: BoundedFile,
        *,
        flush_seconds: float = 0.5,
        flush_events: int = 1000,
        buffer_events: int = 20_000,
        buffer_bytes: int = 8 * 1024 * 1024,
        urgent: Callable[[], None] = lambda: None,
        heard: Callable[[], bool] = lambda: True,
    ) -> None:
        """``urgent`` is called when a finding is in the spool; ``heard`` says whether a collector takes events now."""
        self._spool, self._clock, self._report, self._aside = spool, clock, report, aside
        self._flush_seconds, self._flush_events = flush_seconds, flush_events
        self._max_events, self._max_bytes = buffer_events, buffer_bytes
        self._urgent, self._heard = urgent, heard
        self._encode = msgspec.json.Encoder().encode
        self._buffer: dict[Priority, deque[bytes]] = {p: deque() for p in Priority}
        self._events = self._bytes = 0
        self._wake = threading.Condition()
        self._stopping = False
        self._told_at = -REPORT_AWAY_SECONDS
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self.trouble = ""
        """Why the spool takes nothing at present; empty where it does."""

    def start(self) -> None:
        self._thread.start()

    def emit(self, made: Event) -> None:
        """Take one event. Never blocks on the disk, never raises; safe from any thread."""
        try:
            data = self._encode(validate(made))
            if len(data) > MAX_RECORD - 64:
                raise Permanent("too_large", f"{len(data)} bytes")
        except Permanent as error:
            self._set_aside(made, error)
            return
        except (TypeError, ValueError, OverflowError) as error:
            self._set_aside(made, Permanent("not_encodable", str(error)))
            return
        with self._wake:
            self._buffer[priority(made)].append(data)
            self._events += 1
            self._bytes += len(data)
            while self._events > self._max_events or self._bytes > self._max_bytes:
                self._lose_one()
            if self._events >= self._flush_events:
                self._wake.notify()

    def _lose_one(self) -> None:
        for lane, waiting in self._buffer.items():
            if waiting:
                self._bytes -= len(waiting.popleft())
                self._events -= 1
                self._report.count("tengwang_agent_lost_total", reason="buffer_full", priority=lane.name.lower())
                self._report.warn("pipeline", "events come faster than the disk takes them; some are lost")
                return

    def _set_aside(self, made: Event, error: Permanent) -> None:
        self._report.count("tengwang_agent_invalid_events_total", reason=error.reason)
        self._report.warn("pipeline", f"an input made something that is no event, set aside: {error}")
        line = {"reason": error.reason, "detail": error.detail, "event": repr(made)[:ASIDE_BYTES]}
        with contextlib.suppress(OSError):
            self._aside.append(msgspec.json.encode(line))

    def _run(self) -> None:
        while True:
            with self._wake:
                if not self._stopping and self._events < self._flush_events:
                    self._wake.wait(self._flush_seconds)
                stopping = self._stopping
            try:
                taken = self.flush(pressing=stopping)
            except Exception as error:  # noqa: BLE001 - this thread must outlive any fault, or nothing is stored any more
                taken = False
                self._report.error("pipeline", f"{type(error).__name__}: {error}")
            if stopping:
                return
            if not taken:
                with self._wake:
                    self._wake.wait(self._flush_seconds)

    def flush(self, pressing: bool = False) -> bool:
        """Write what is buffered. False where the disk did not take it; it stays buffered then."""
        with self._wake:
            batch = {p: self._buffer[p] for p in reversed(Priority) if self._buffer[p]}
            pressing = pressing or 2 * self._events > self._max_events or 2 * self._bytes > self._max_bytes
            self._buffer = {p: deque() for p in Priority}
        trouble = ""
        for lane, records in batch.items():
            try:
                self._spool.append(lane, list(records), pressing)
            except Transient as error:
                trouble = str(error)
                continue
            size = sum(map(len, records))
            with self._wake:
                self._events -= len(records)
                self._bytes -= size
            records.clear()
            if lane is Priority.FINDING:
                self._urgent()
        with self._wake:
            for lane, records in batch.items():
                self._buffer[lane].extendleft(reversed(records))
        self._note(trouble)
        self._spool.maintain()
        if not trouble:
            self._tell_drops()
        return not trouble

    def _note(self, trouble: str) -> None:
        if trouble:
            self._report.count("tengwang_agent_spool_refusals_total")
            self._report.warn("spool", f"{trouble}; events wait in memory")
        elif self.trouble:
            self._report.info("spool", "the disk takes events again")
        self.trouble = trouble

    def _tell_drops(self) -> None:
        now = self._clock.monotonic()
        drops: Sequence[Drop] = self._spool.unreported()
        if not drops or (not self._heard() and now - self._told_at < REPORT_AWAY_SECONDS):
            return
        records = [self._encode(validate(drop_event(drop, self._clock.now_ms()))) for drop in drops]
        try:
            epoch, first, _ = self._spool.append(Priority.LEDGER, records)
        except Transient:
            return
        self._spool.reported(drops, epoch, first)
        self._told_at = now

    def stop(self) -> None:
        """Write what is left and end the thread."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join()


def drop_event(drop: Drop, now_ms: int) -> Event:
    """The event that tells of one dropped range."""
    made = event(now_ms, "tengwang.agent", "dropped", kind="event")
    made.update(
        {
            "event.reason": drop.reason,
            "tengwang.drop.epoch": drop.epoch,
            "tengwang.drop.first": drop.first,
            "tengwang.drop.last": drop.last,
            "tengwang.drop.count": drop.last - drop.first + 1,
            "message": f"{drop.last - drop.first + 1} events dropped: {drop.reason}",
        }
    )
    return made
