"""Can the store take events now? One answer that receiver, pipeline, console and metrics share."""

from __future__ import annotations

import threading

from collector.store import Health
from telemetry.clock import Clock
from telemetry.report import Report

FIRST_RETRY_S = 1.0
LAST_RETRY_S = 30.0


class Standing:
    """The state of the store as last seen. Thread-safe; asks nothing itself."""

    def __init__(self, clock: Clock, report: Report) -> None:
        self._clock = clock
        self._report = report
        self._lock = threading.Lock()
        self._health = Health(writable=True)
        self._down_since_ms = 0
        self._wait = FIRST_RETRY_S / 2
        report.gauge("tengwang_store_writable", 1)

    @property
    def writable(self) -> bool:
        return self._health.writable

    @property
    def health(self) -> Health:
        """The newest answer; ``detail`` says why it takes nothing, and what to do."""
        return self._health

    @property
    def down_since_ms(self) -> int:
        """Since when nothing can be stored; 0 while it can."""
        return self._down_since_ms

    @property
    def retry_s(self) -> float:
        """How long a sender should wait before it tries again, and the pipeline before it asks again."""
        return max(self._wait, FIRST_RETRY_S)

    def down(self, detail: str) -> None:
        """The store refused to write for now. Every time until the next good write doubles the wait."""
        with self._lock:
            if self._health.writable:
                self._down_since_ms = self._clock.now_ms()
                self._report.count("tengwang_store_outages_total")
            self._wait = min(self._wait * 2, LAST_RETRY_S)
            self._health = Health(False, detail, self._health.engine, self._health.records, self._health.bytes)
        self._report.gauge("tengwang_store_writable", 0)
        self._report.error("store-down", f"nothing is acknowledged until the store takes events again: {detail}")

    def wrote(self) -> None:
        """A write went well: the next outage starts with a short wait. A store that only says it is well does not."""
        self._wait = FIRST_RETRY_S / 2

    def seen(self, health: Health) -> None:
        """What the store said of itself."""
        if not health.writable:
            self.down(health.detail)
            return
        with self._lock:
            was_down = self._down_since_ms
            self._health = health
            self._down_since_ms = 0
        self._report.gauge("tengwang_store_writable", 1)
        if was_down:
            seconds = (self._clock.now_ms() - was_down) / 1000
            self._report.info("store-up", f"the store takes events again after {seconds:.0f} s")
