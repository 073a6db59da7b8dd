from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agent.bounded_file import BoundedFile
from agent.pipeline import Pipeline
from agent.spool import Spool
from telemetry.clock import ManualClock
from telemetry.event import Event, Priority, event
from telemetry.report import Report
from tests.agent.faulty_disk import FaultyDisk

NOW = 1_790_000_000_000


class Site:
    """A pipeline over a disk that can be filled. The spool's thread is not started: ``flush`` is called by hand."""

    def __init__(self, folder: Path, **options: int) -> None:
        self.clock = ManualClock()
        self.report = Report(self.clock)
        self.disk = FaultyDisk()
        self.spool = Spool(Path("/nonexistent/s"), self.clock, self.report, disk=self.disk, max_age=100)
        self.urgent = 0
        self.connected = True
        self.aside = folder / "aside.jsonl"
        self.pipeline = Pipeline(
            self.spool, self.clock, self.report, BoundedFile(self.aside, 10_000),
            urgent=self.wake, heard=lambda: self.connected, **options,
        )  # fmt: skip

    def wake(self) -> None:
        self.urgent += 1

    def sent(self) -> Iterator[Event]:
        while chunk := self.spool.read(1000, 1 << 20):
            self.spool.ack(chunk.epoch, [(s, s) for s, _ in chunk.records])
            for _, record in chunk.records:
                yield msgspec.json.decode(record)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def flow(number: int = 0) -> Event:
    return event(NOW + number, "tengwang.flow", "flow") | {"network.bytes": number}


def test_events_reach_the_spool_in_order_and_by_priority(site: Site) -> None:
    site.pipeline.emit(flow(1))
    site.pipeline.emit(event(NOW, "tengwang.readiness", "check"))
    site.pipeline.emit(flow(2))
    assert site.spool.account().collected == 0, "collected means: on the disk"
    assert site.pipeline.flush()
    assert site.spool.account().waiting == {"flow": 2, "metric": 0, "state": 1, "finding": 0, "ledger": 0}
    assert [e.get("network.bytes") for e in site.sent() if e["event.dataset"] == "tengwang.flow"] == [1, 2]


def test_a_finding_wakes_the_uplink_and_nothing_else_does(site: Site) -> None:
    site.pipeline.emit(flow())
    site.pipeline.flush()
    assert site.urgent == 0
    site.pipeline.emit(event(NOW, "tengwang.ndp", "router_advertisement"))
    site.pipeline.flush()
    assert site.urgent == 1


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"@timestamp": NOW, "event.dataset": "x", "event.action": "y", "no.such": 1}, "unknown_field"),
        ({"@timestamp": "now", "event.dataset": "x", "event.action": "y"}, "wrong_type"),
        ({"@timestamp": NOW}, "missing_field"),
        ({"@timestamp": NOW, "event.dataset": "x", "event.action": "y", "source.ip": "fe80::1%eth0"}, "wrong_type"),
    ],
)
def test_what_is_no_event_is_counted_and_set_aside_with_the_reason(site: Site, bad: Event, reason: str) -> None:
    site.pipeline.emit(bad)
    site.pipeline.flush()
    assert site.spool.account().collected == 0
    assert site.report.value("tengwang_agent_invalid_events_total", reason=reason) == 1
    (line,) = site.aside.read_bytes().splitlines()
    assert msgspec.json.decode(line)["reason"] == reason


def test_what_is_set_aside_can_not_fill_the_disk(site: Site) -> None:
    for number in range(500):
        site.pipeline.emit({"x" * 100: number})
    assert sum(path.stat().st_size for path in site.aside.parent.iterdir()) < 25_000


def test_a_full_disk_makes_events_wait_in_memory_and_then_they_go_on_in_order(site: Site) -> None:
    site.disk.capacity = site.disk.used
    for number in range(1, 6):
        site.pipeline.emit(flow(number))
        assert not site.pipeline.flush()
    assert "No space left" in site.pipeline.trouble
    assert site.spool.account().collected == 0
    site.disk.capacity = 1 << 40
    assert site.pipeline.flush()
    assert site.pipeline.trouble == ""
    assert [e["network.bytes"] for e in site.sent()] == [1, 2, 3, 4, 5]


def test_memory_full_too_drops_by_priority_in_the_ledger_and_tells(tmp_path: Path) -> None:
    site = Site(tmp_path, buffer_events=10)
    site.disk.capacity = site.disk.used
    for number in range(8):
        site.pipeline.emit(flow(number))
    site.pipeline.emit(event(NOW, "tengwang.agent", "status"))
    site.pipeline.flush()
    assert site.spool.account().dropped == {"disk_full": 9}
    site.disk.capacity = 1 << 40
    site.pipeline.flush()
    told = [e for e in site.sent() if e["event.action"] == "dropped"]
    assert sorted(e["tengwang.drop.count"] for e in told) == [1, 8]
    assert {e["event.reason"] for e in told} == {"disk_full"}
    assert site.spool.unreported() == []
    account = site.spool.account()
    assert account.collected == account.acked + account.spooled + sum(account.dropped.values()) == 11


def test_what_comes_faster_than_the_disk_is_lost_lowest_priority_first_and_counted(tmp_path: Path) -> None:
    site = Site(tmp_path, buffer_events=10)
    site.pipeline.emit(event(NOW, "tengwang.agent", "status"))
    for number in range(15):
        site.pipeline.emit(flow(number))
    site.pipeline.flush()
    assert site.report.value("tengwang_agent_lost_total", reason="buffer_full", priority="flow") == 6
    assert [e["network.bytes"] for e in site.sent() if e["event.action"] == "flow"] == list(range(6, 15))


def test_drops_are_told_at_once_while_a_collector_hears_and_seldom_while_none_does(site: Site) -> None:
    site.connected = False
    told = []
    for _ in range(3):
        site.pipeline.emit(flow())
        site.pipeline.flush()
        site.clock.advance(101)
        site.pipeline.flush()
        told += [(e["tengwang.drop.first"], e["tengwang.drop.last"]) for e in site.sent()]
    assert told == [(1, 1)]
    assert [(d.first, d.last) for d in site.spool.unreported()] == [(2, 3)], "neighbours grow together"
    site.connected = True
    site.pipeline.flush()
    assert [(e["tengwang.drop.first"], e["tengwang.drop.last"]) for e in site.sent()] == [(2, 3)]


def test_the_thread_writes_soon_by_itself_and_stop_writes_the_rest(site: Site) -> None:
    site.pipeline.start()
    site.pipeline.emit(flow(1))
    deadline = time.monotonic() + 5
    while site.spool.account().collected == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert site.spool.account().collected == 1
    site.pipeline.emit(flow(2))
    site.pipeline.stop()
    assert site.spool.account().collected == 2


def test_many_threads_may_emit(site: Site) -> None:
    site.pipeline.start()

    def many() -> None:
        for number in range(500):
            site.pipeline.emit(flow(number))

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    site.pipeline.stop()
    assert site.spool.account().collected == 2000
    assert site.spool.account().waiting[Priority.FLOW.name.lower()] == 2000
