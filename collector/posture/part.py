"""The part of the operations that keeps scores: every five minutes all of them, every hour the early warnings.

It works in a thread of its own, for others (who is paged, what is undone) must not wait for a sum over a day. A run
is about the moment when its interval began, a little later, so that what was on its way has arrived; its records have
ids made of that moment, so nothing is kept here that another leader would have to know. What it observes has that
moment's time too, so it counts from the next run on: a replay then sees what the run saw, on an engine that shows what
was written only after a while as well.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

from collector.inventory_source import InventorySource
from collector.ledger import Ledgers
from collector.live import Live
from collector.operation import News
from collector.posture import records
from collector.posture.facts import gather
from collector.posture.outlook import look
from collector.posture.records import Observation
from collector.posture.score import Scores, score
from collector.posture.source import BookSource
from collector.posture.tree import tree
from collector.registry import Registry
from collector.store import Record, Store
from telemetry.clock import Clock
from telemetry.errors import Transient
from telemetry.report import Report

INTERVAL_MS = 300_000
OUTLOOK_MS = 3_600_000
LAG_MS = 15_000
AGAIN_S = 60.0
MAX_WRITTEN = 2_000


class Posture:
    """See collector/operation.py. ``step`` never waits."""

    name = "posture"

    def __init__(
        self,
        *,
        store: Store,
        book: BookSource,
        inventory: InventorySource,
        registry: Registry,
        ledgers: Ledgers,
        live: Live,
        clock: Clock,
        report: Report,
        retention_days: int,
    ) -> None:
        self._store = store
        self._book = book
        self._inventory = inventory
        self._registry = registry
        self._ledgers = ledgers
        self._live = live
        self._clock = clock
        self._report = report
        self._retention = retention_days
        self._thread: threading.Thread | None = None
        self._done = self._seen_ahead = 0
        self._not_before = float("-inf")

    def begin(self, now_ms: int) -> None:  # noqa: ARG002 - the seam's; a run is about the clock's interval
        self._done = self._seen_ahead = 0
        self._not_before = float("-inf")

    def step(self, news: News) -> None:
        slot = (news.now_ms - LAG_MS) // INTERVAL_MS * INTERVAL_MS
        busy = self._thread is not None and self._thread.is_alive()
        if busy or slot == self._done or self._clock.monotonic() < self._not_before:
            return
        self._thread = threading.Thread(target=self._guarded, args=(slot,), name="posture", daemon=True)
        self._thread.start()

    def run(self, slot: int) -> Scores:
        """All of one moment, written. Raises Transient; then nothing counts as done."""
        started = self._clock.monotonic()
        book, index = self._book.current(), self._inventory.current()
        self._write(records.of_observations(self._observed(), slot, index))
        scores = score(book, gather(self._store, book.indicators, slot), tree(index))
        self._write(records.of_scores(scores, book, index))
        hour = slot // OUTLOOK_MS * OUTLOOK_MS
        if hour != self._seen_ahead:
            self._write(records.of_outlooks(look(self._store, book, hour), book, index))
            self._seen_ahead = hour
        self._done = slot
        if scores.whole.score is not None:
            self._report.gauge("tengwang_posture_score", scores.whole.score)
        self._report.gauge("tengwang_posture_seconds", self._clock.monotonic() - started)
        self._live.publish("posture")
        return scores

    def _guarded(self, slot: int) -> None:
        try:
            self.run(slot)
        except Transient as error:
            self._failed(str(error))
        except Exception as error:  # noqa: BLE001 - a fault here must not end the scores for good
            self._failed(f"{type(error).__name__}: {error}")

    def _failed(self, why: str) -> None:
        self._not_before = self._clock.monotonic() + AGAIN_S
        self._report.count("tengwang_posture_errors_total")
        self._report.warn("posture", f"scores are late: {why}")

    def _observed(self) -> Iterator[Observation]:
        agents = {record.id: record for record in self._registry.agents() if not record.revoked}
        for account in self._ledgers.accounts():
            record = agents.get(account.agent)
            if record is not None:
                yield Observation("records-missing", float(account.missing), record.id, record.name, record.unit)
        yield Observation("retention-days", float(self._retention))

    def _write(self, made: Iterable[Record]) -> None:
        every = list(made)
        for start in range(0, len(every), MAX_WRITTEN):
            written = self._store.write(every[start : start + MAX_WRITTEN])
            for refused in written.refused:
                self._report.count("tengwang_posture_errors_total")
                self._report.error("posture", f"{refused.record.id}: {refused.reason}")
