from __future__ import annotations

from collector.standing import Standing
from collector.store import Health
from telemetry.clock import ManualClock
from telemetry.report import Report


def test_the_wait_doubles_until_a_write_goes_well_and_has_an_end() -> None:
    clock = ManualClock()
    standing = Standing(clock, Report(clock))
    waits = []
    for _ in range(8):
        standing.down("full")
        waits.append(standing.retry_s)
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
    standing.seen(Health(writable=True))
    assert standing.writable
    standing.down("full again")  # it only said that it was well
    assert standing.retry_s == 30
    standing.seen(Health(writable=True))
    standing.wrote()
    standing.down("later")
    assert standing.retry_s == 1


def test_it_knows_since_when_and_why() -> None:
    clock = ManualClock()
    standing = Standing(clock, Report(clock))
    standing.down("index is read-only")
    since = clock.now_ms()
    clock.advance(10)
    standing.down("index is read-only")
    assert (standing.down_since_ms, standing.health.detail) == (since, "index is read-only")
    standing.seen(Health(writable=True, engine="sqlite", records=7))
    assert (standing.down_since_ms, standing.health.records) == (0, 7)
