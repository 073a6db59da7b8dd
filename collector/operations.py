"""The leader's loop: takes what is new, and goes through the parts with it (collector/operation.py has their order).

Two threads. One keeps the lease, and gives it up where the loop has not moved for ``STUCK_S``. The other looks about
once a second, and at once when the pipeline stored something; while another collector leads it only empties the feed.
Whoever begins to lead reads from the store what was not looked at yet (collector/catch_up.py). Up to where that is
done is saved as ``operations/cursor``, always *after* the parts have seen it: what was acknowledged to an agent is
looked at at least once, and every part recognises what it sees twice.

Before each part the lease is asked: a leader that could not renew in time stops in the middle. A fault in a part is
counted and logged, and the parts after it go on; what was new in that step is given again (the part asked for it by
raising Transient) until the part has taken it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

import msgspec

from collector.catch_up import CatchUp, Cursors, Known, mark
from collector.clock_notes import ClockNotes
from collector.feed import Feed
from collector.lease import RENEW_S, Lease
from collector.operation import News, Part
from collector.query import Kind
from collector.standing import Standing
from collector.store import Conflict, Record, Store
from telemetry.clock import Clock
from telemetry.errors import Transient
from telemetry.report import Report

CURSOR = "operations/cursor"
BEAT_S = 1.0
TOGETHER_S = 0.05
"""After the first of several alerts so long is waited for the others: they then cost one change together."""
SAVE_S = 5.0
STUCK_S = 120.0
MAX_AT_ONCE = 1_000
"""So many go through all parts before the next: a thousand new incidents are three thousand durable writes."""
MAX_KEPT = 20_000


class Operations:
    """``start`` and ``stop`` once. ``parts`` are called in this order."""

    def __init__(
        self,
        *,
        store: Store,
        standing: Standing,
        lease: Lease,
        feed: Feed,
        clock_notes: ClockNotes,
        parts: Sequence[Part],
        clock: Clock,
        report: Report,
    ) -> None:
        self._store = store
        self._standing = standing
        self._lease = lease
        self._feed = feed
        self._clock_notes = clock_notes
        self._parts = tuple(parts)
        self._clock = clock
        self._report = report
        self._catch_up = CatchUp(store, clock, lease.holder)
        self._known = Known()
        self._again: dict[str, list[Record]] = {}
        self._begun: dict[str, bool] = {}
        self._term = 0
        self._behind = False
        self._cursor_version = 0
        self._saved = Cursors()
        self._saved_at = float("-inf")
        self._moved = clock.monotonic()
        self._stopping = threading.Event()
        self._threads = (
            threading.Thread(target=self._keep, name="lease", daemon=True),
            threading.Thread(target=self._work, name="operations", daemon=True),
        )

    @property
    def leading(self) -> bool:
        return self._lease.leading

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts, in order."""
        return tuple(part.name for part in self._parts)

    def start(self) -> None:
        self._moved = self._clock.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the present step, and let another collector lead at once. Blocks; may be called without start."""
        self._stopping.set()
        self._feed.changed.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        if self._lease.leading:
            with contextlib.suppress(Transient):
                self._save()
        self._lease.release()

    def keep(self) -> None:
        """What the lease's thread does every ``RENEW_S``."""
        if self._clock.monotonic() - self._moved > STUCK_S:
            self._report.error("operations", f"no step ended for {STUCK_S:.0f} s: another collector may lead")
            self._lease.release()
            return
        try:
            leading = self._lease.beat()
        except Transient as error:
            leading = self._lease.leading
            self._report.warn("lease", str(error))
        self._report.gauge("tengwang_operations_leading", leading)

    def step(self) -> None:
        """Look once. What the operations' thread does at every beat; tests call it by hand."""
        self._moved = self._clock.monotonic()
        waiting = self._feed.take()
        if not self._lease.leading:
            self._term = 0
            return
        if not self._standing.writable:
            if any(waiting):
                self._fall_behind()
            return
        try:
            self._clock_notes.saw(self._clock.now_ms())  # parts store alerts of their own
            if self._term != self._lease.term:
                self._begin()
            if waiting.overflowed:
                self._report.count("tengwang_operations_overflows_total")
                self._fall_behind()
            if self._behind:
                self._go_through(self._catch_up.everything(), again=True)
                self._behind = False
            self._hand_over(waiting.new)
            if waiting.repeated:
                self._hand_over(waiting.repeated, again=True)
            self._go_through(self._catch_up.of_others())
            self._save_now_and_then()
        except Stopped:
            self._fall_behind()
        except Transient as error:
            self._fall_behind()
            self._report.count("tengwang_operations_errors_total", part="store")
            self._report.warn("operations", str(error))

    def _fall_behind(self) -> None:
        """What was new may not have gone through all parts: read it from the store, from where it was last done."""
        self._behind = True
        self._known.forget()

    def _keep(self) -> None:
        self._guarded(self.keep)
        while not self._stopping.wait(RENEW_S):
            self._guarded(self.keep)

    def _work(self) -> None:
        while not self._stopping.is_set():
            if self._feed.changed.wait(BEAT_S) and self._stopping.wait(TOGETHER_S):
                break
            self._guarded(self.step)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the loop never ends because of what it met
            self._report.count("tengwang_operations_errors_total", part="loop")
            self._report.error("operations", f"{type(error).__name__}: {error}")

    def _begin(self) -> None:
        """This collector leads from now on."""
        term = self._lease.term
        state = self._store.read_state(CURSOR)
        self._cursor_version = state.version
        try:
            self._saved = msgspec.json.decode(state.value, type=Cursors) if state.version else Cursors()
        except msgspec.DecodeError:
            self._saved = Cursors()
        self._catch_up.begin(self._saved)
        self._known.forget()
        self._again = {}
        self._begun = dict.fromkeys(self.parts, False)
        self._behind = True
        self._term = term
        self._report.count("tengwang_operations_terms_total")
        self._report.info("operations", f"this collector leads (term {term})")

    def _go_through(self, pages: Iterator[list[Record]], again: bool = False) -> None:
        """The cursors move only when the whole question was gone through: its pages are in order of their own time."""
        marks: dict[str, int] = {}
        for page in pages:
            new = self._known.new(page)
            for start in range(0, len(new), MAX_AT_ONCE):
                self._pass(new[start : start + MAX_AT_ONCE], again)
            mark(marks, new)
        self._catch_up.advance(marks)

    def _hand_over(self, taken: list[Record], again: bool = False) -> None:
        new = self._known.new(taken)
        for start in range(0, max(len(new), 1), MAX_AT_ONCE):
            some = new[start : start + MAX_AT_ONCE]
            self._pass(some, again)
            self._catch_up.note(some)

    def _pass(self, records: Sequence[Record], again: bool = False) -> None:
        """Through every part, in order. Raises Stopped where this collector leads no longer."""
        news = News(
            self._clock.now_ms(),
            [r for r in records if r.kind is Kind.ALERT],
            [r for r in records if r.kind is Kind.HIT],
            again,
        )
        for part in self._parts:
            if not self._lease.leading or self._stopping.is_set():
                raise Stopped
            self._moved = started = self._clock.monotonic()
            given = News(news.now_ms, list(news.alerts), list(news.hits), again)
            if kept := self._again.pop(part.name, None):
                given.again = True
                given.alerts = [r for r in kept if r.kind is Kind.ALERT] + given.alerts
                given.hits = [r for r in kept if r.kind is Kind.HIT] + given.hits
            before, hits = len(given.alerts), len(given.hits)
            try:
                if not self._begun[part.name]:
                    part.begin(news.now_ms)
                    self._begun[part.name] = True
                part.step(given)
            except Exception as error:  # noqa: BLE001 - a fault in one part must not stop the others
                self._report.count("tengwang_operations_errors_total", part=part.name)
                again = isinstance(error, Transient | Conflict)
                say = self._report.warn if again else self._report.error
                say(f"operations-{part.name}", f"{type(error).__name__}: {error}")
                if again:
                    self._keep_for(part.name, [*given.alerts[:before], *given.hits[:hits]])
            news.alerts += given.alerts[before:]
            news.hits += given.hits[hits:]
            self._report.gauge("tengwang_operations_seconds", self._clock.monotonic() - started, part=part.name)

    def _keep_for(self, name: str, records: list[Record]) -> None:
        """To be given again to a part that could not take it now."""
        if len(records) <= MAX_KEPT:
            self._again[name] = records
        else:
            self._fall_behind()

    def _save_now_and_then(self) -> None:
        if self._clock.monotonic() - self._saved_at >= SAVE_S:
            self._saved_at = self._clock.monotonic()
            self._save()

    def _save(self) -> None:
        """Not while a part has yet to take something: after a take-over that must be read again."""
        cursors = self._catch_up.cursors
        if any(self._again.values()) or self._behind or cursors == self._saved or not self._term:
            return
        value = msgspec.json.encode(cursors)
        try:
            self._cursor_version = self._store.write_state(CURSOR, value, self._cursor_version)
        except Conflict:  # only a leader writes it
            self._report.warn("operations", "another collector leads: the cursor was changed by somebody else")
            self._lease.lost()
            self._term = 0
        else:
            self._saved = cursors


class Stopped(Exception):
    """This collector leads no longer, or ends."""
