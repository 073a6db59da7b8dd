"""The indicators in use: read again when a file changes; what is wrong stays out alone and is said."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from collector.posture.indicator import Book
from collector.posture.load import files, load
from telemetry.errors import Problem
from telemetry.report import Report

Stamp = tuple[str, int, int]


class BookSource:
    """``current`` and ``problems`` from any thread."""

    def __init__(self, paths: Sequence[Path], report: Report) -> None:
        self._paths = tuple(paths)
        self._report = report
        self._lock = threading.Lock()
        self._stamps: list[Stamp] | None = None
        self._book, self._problems = load(())
        self.reload_if_changed()

    def current(self) -> Book:
        return self._book

    def problems(self) -> list[Problem]:
        return self._problems

    def reload_if_changed(self) -> bool:
        with self._lock:
            stamps = self._look()
            if stamps == self._stamps:
                return False
            self._stamps = stamps
            self._book, self._problems = load(self._paths)
        self._report.gauge("tengwang_posture_indicators", len(self._book.indicators))
        if self._problems:
            count, first = len(self._problems), self._problems[0]
            self._report.warn("posture", f"{count} problem(s), these indicators are not in use; the first: {first}")
        return True

    def _look(self) -> list[Stamp]:
        found = []
        for path in files(self._paths):
            try:
                about = path.stat()
            except OSError:
                continue
            found.append((str(path), about.st_mtime_ns, about.st_size))
        return found
