from __future__ import annotations

import logging

import pytest

from telemetry.clock import ManualClock
from telemetry.report import MAX_SERIES, OVERFLOW, RECENT, Report


def test_counters_add_up_and_gauges_are_set() -> None:
    report = Report(ManualClock())
    report.count("a_total", reason="x")
    report.count("a_total", 2, reason="y")
    report.gauge("b", 4)
    report.gauge("b", 5)
    assert report.value("a_total") == 3
    assert report.value("a_total", reason="y") == 2
    assert [(s.name, s.kind, s.value) for s in report.series()] == [
        ("a_total", "counter", 1),
        ("a_total", "counter", 2),
        ("b", "gauge", 5),
    ]


def test_label_sets_are_bounded() -> None:
    report = Report(ManualClock())
    for n in range(MAX_SERIES + 50):
        report.count("a_total", peer=str(n))
    series = list(report.series())
    assert len(series) == MAX_SERIES + 1
    assert next(s.value for s in series if s.labels == OVERFLOW) == 50


def test_the_same_warning_is_written_once_a_minute_and_counts_its_repeats(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    report = Report(clock)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            report.warn("uplink", "no answer")
        clock.advance(61)
        report.warn("uplink", "no answer")
    assert [r.getMessage() for r in caplog.records] == [
        "uplink: no answer",
        "uplink: no answer (and 4 more like it)",
    ]
    assert [n.count for n in report.notices()] == [5, 1]


def test_notices_are_bounded() -> None:
    report = Report(ManualClock())
    for n in range(RECENT * 2):
        report.error(f"key{n}", "x")
    assert len(list(report.notices())) == RECENT
