"""What a program says of itself: counters, gauges and a log that can not flood.

Every component counts what it drops. A counter's labels come from the program, never from outside traffic, and the
number of label sets per name is bounded all the same.
"""

from __future__ import annotations

import collections
import logging
import threading
from collections.abc import Iterable, Iterator

import msgspec

from telemetry.clock import Clock, SystemClock

Labels = tuple[tuple[str, str], ...]
MAX_SERIES = 1000
OVERFLOW: Labels = (("overflow", "true"),)
RECENT = 200
QUIET_SECONDS = 60.0


class Notice(msgspec.Struct, frozen=True):
    """One line of the log, kept for a person to see. ``count`` repeats were folded into it."""

    at_ms: int
    level: str
    key: str
    message: str
    count: int = 1


class Series(msgspec.Struct, frozen=True):
    """One number: ``name{labels} = value``; ``kind`` is counter or gauge."""

    name: str
    kind: str
    labels: Labels
    value: float


class Report:
    """Counters and notices of one program. Safe to use from several threads."""

    def __init__(self, clock: Clock | None = None, logger: logging.Logger | None = None) -> None:
        self._clock = clock or SystemClock()
        self._log = logger or logging.getLogger("tengwang")
        self._lock = threading.Lock()
        self._counters: dict[str, dict[Labels, float]] = {}
        self._gauges: dict[str, dict[Labels, float]] = {}
        self._recent: collections.deque[Notice] = collections.deque(maxlen=RECENT)
        self._quiet: dict[tuple[int, str], tuple[float, int]] = {}

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter, e.g. ``count("tengwang_events_refused_total", reason="unknown_field")``."""
        with self._lock:
            series = self._counters.setdefault(name, {})
            key = self._key(series, labels)
            series[key] = series.get(key, 0.0) + amount

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        with self._lock:
            series = self._gauges.setdefault(name, {})
            series[self._key(series, labels)] = value

    def value(self, name: str, **labels: str) -> float:
        """The present value of a counter or gauge, 0 where it was never touched; with no labels, the sum."""
        with self._lock:
            series = self._counters.get(name) or self._gauges.get(name) or {}
            return sum(v for k, v in series.items() if not labels or k == tuple(sorted(labels.items())))

    def series(self) -> Iterator[Series]:
        """Everything, sorted by name; what ``/metrics`` and ``status`` print."""
        with self._lock:
            rows = [
                Series(name, kind, labels, value)
                for kind, table in (("counter", self._counters), ("gauge", self._gauges))
                for name, series in table.items()
                for labels, value in series.items()
            ]
        return iter(sorted(rows, key=lambda s: (s.name, s.labels)))

    def info(self, key: str, message: str) -> None:
        self._notice(logging.INFO, key, message)

    def warn(self, key: str, message: str) -> None:
        """Log a warning. One ``key`` is written once a minute at each level; repeats are counted into the next line."""
        self._notice(logging.WARNING, key, message)

    def error(self, key: str, message: str) -> None:
        self._notice(logging.ERROR, key, message)

    def notices(self) -> Iterable[Notice]:
        """The newest notices, newest first."""
        with self._lock:
            return list(reversed(self._recent))

    def _notice(self, level: int, key: str, message: str) -> None:
        now = self._clock.monotonic()
        with self._lock:
            last, held = self._quiet.get((level, key), (-QUIET_SECONDS, 0))
            if now - last < QUIET_SECONDS and level < logging.CRITICAL:
                self._quiet[(level, key)] = (last, held + 1)
                return
            if len(self._quiet) > MAX_SERIES:
                self._quiet.clear()
            self._quiet[(level, key)] = (now, 0)
            notice = Notice(self._clock.now_ms(), logging.getLevelName(level).lower(), key, message, held + 1)
            self._recent.append(notice)
        suffix = f" (and {held} more like it)" if held else ""
        self._log.log(level, "%s: %s%s", key, message, suffix)

    @staticmethod
    def _key(series: dict[Labels, float], labels: dict[str, str]) -> Labels:
        key: Labels = tuple(sorted(labels.items()))
        if key not in series and len(series) >= MAX_SERIES:
            return OVERFLOW
        return key
