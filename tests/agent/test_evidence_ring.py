from __future__ import annotations

import contextlib
import errno
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.decoders.captures import records
from agent.decoders.pcap import Record
from agent.evidence_ring import FILES, MAX_FILES, EvidenceRing, numbers
from telemetry.clock import ManualClock
from telemetry.errors import Permanent
from telemetry.report import Report
from tests.agent.faulty_disk import FaultyDisk, FaultyFile

MB = 1 << 20
LOST = "tengwang_evidence_lost_total"
FRAME = bytes(12) + b"\x08\x06" + bytes(28)


class Ring:
    """A ring on a disk that can be filled."""

    def __init__(self, max_bytes: int = MB, disk: FaultyDisk | None = None) -> None:
        self.disk, self.clock, self.max = disk or FaultyDisk(), ManualClock(), max_bytes
        self.report = Report(self.clock)
        self.folder = Path("/dev/shm/tengwang-ring-that-is-only-a-name")
        self.open()

    def open(self) -> None:
        self.ring = EvidenceRing(self.folder, self.max, True, self.clock, self.report, self.disk)

    def fill(self, count: int, first: int = 0, size: int = 60, interface: str = "eth0") -> None:
        """So slowly that the rate is never reached."""
        for number in range(first, first + count):
            self.ring.add(number, 1, interface, number.to_bytes(4, "big") + bytes(size), size + 10)
            if not number % 10:
                self.clock.advance(size)
                self.ring.flush()
            assert self.disk.used <= self.max

    def read(self) -> list[Record]:
        found = []
        for number in numbers(self.disk, self.folder):
            data = bytes(self.disk.files[self.folder / f"{number:010}.pcapng"].now)
            with contextlib.suppress(Permanent):
                for record in records([data]):
                    found.append(record)  # noqa: PERF402  extend would lose what came before the fault
        return found

    def lost(self, reason: str = "") -> int:
        return int(self.report.value(LOST, reason=reason) if reason else self.report.value(LOST))


@pytest.fixture(autouse=True)
def no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: None)


def test_the_newest_packets_are_there_and_the_bound_is_never_passed() -> None:
    made = Ring()
    made.fill(40_000)
    made.ring.close()
    found = made.read()
    assert [record.time_ns for record in found] == list(range(40_000 - len(found), 40_000))
    assert made.disk.used > MB * (FILES - 2) // FILES
    assert made.ring.size() == made.disk.used <= MB
    assert found[-1] == Record(39_999, 70, (39_999).to_bytes(4, "big") + bytes(60), 1, "eth0")
    assert not made.lost()


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 4000), st.lists(st.integers(100, 1500), min_size=1, max_size=4), st.sampled_from([40, 900, 4000]))
def test_a_restart_keeps_what_was_there_also_with_another_bound(kib: int, runs: list[int], size: int) -> None:
    made, at = Ring(), 0
    for count in runs:
        made.fill(count, at, size)
        made.ring.close()
        at += count
        made.open()
    found = [record.time_ns for record in made.read()]
    assert found == list(range(at - len(found), at))
    made.max = MB + (kib << 10)
    made.open()
    made.fill(1, at, size)


def test_many_restarts_do_not_leave_many_files() -> None:
    made = Ring()
    for at in range(3 * MAX_FILES):
        made.fill(1, at)
        made.ring.close()
        made.open()
    assert len(made.disk.files) <= MAX_FILES


def test_many_interfaces_begin_new_files() -> None:
    made = Ring(8 * MB)
    for number in range(1000):
        made.fill(1, number, interface=f"veth{number}")
    made.ring.close()
    assert [record.interface for record in made.read()] == [f"veth{number}" for number in range(1000)]
    assert len(made.disk.files) >= 4


def test_a_full_disk_costs_packets_that_are_counted_and_nothing_else() -> None:
    made = Ring()
    made.fill(1000)
    before = made.disk.used
    made.disk.capacity = before + 1000
    made.fill(3000, 1000)
    made.ring.flush()
    lost = made.lost("disk")
    assert 0 < lost <= 3000
    assert len(made.read()) == 4000 - lost
    made.disk.capacity = 1 << 40
    made.clock.advance(60)
    made.fill(100, 4000)
    made.ring.close()
    assert [record.time_ns for record in made.read()][-100:] == list(range(4000, 4100))
    assert made.lost("disk") == lost


def test_a_disk_that_refuses_everything_never_stops_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    made = Ring()
    made.fill(50)
    made.ring.flush()
    for name in ("write_at", "truncate"):
        monkeypatch.setattr(FaultyFile, name, refuse)
    for name in ("open", "remove", "names"):
        monkeypatch.setattr(FaultyDisk, name, refuse)
    for at in range(50, 500):
        made.ring.add(at, 1, "eth0", FRAME, 60)
        made.clock.advance(10)
        made.ring.flush()
    made.ring.close()
    assert made.lost("disk") == 450


def test_a_flood_does_not_wash_the_ring_clean() -> None:
    made = Ring()
    made.fill(1000)
    for number in range(1_000_000_000, 1_000_050_000):
        made.ring.add(number, 1, "eth0", FRAME, 60)
    made.ring.flush()
    kept = len(made.read()) - 1000
    assert kept > 1000
    assert made.read()[0].time_ns == 0
    assert made.lost("rate") == 50_000 - kept
    assert made.disk.used < MB // 2


def test_a_torn_end_is_passed_over() -> None:
    made = Ring()
    made.fill(101)
    made.ring.flush()
    (content,) = made.disk.files.values()
    del content.now[-5:]
    made.open()
    made.fill(50, 101)
    made.ring.close()
    assert [record.time_ns for record in made.read()] == [*range(100), *range(101, 151)]


def test_only_headers_are_kept_unless_policy_says_more() -> None:
    secret = bytes(12) + b"\x86\xdd\x60\0\0\0\0\x20\x11\x40" + bytes(32) + bytes(8) + b"what people say"
    for payload in (False, True):
        made = Ring()
        made.ring = EvidenceRing(made.folder, MB, payload, made.clock, made.report, made.disk)
        made.ring.add(5, 1, "eth0", secret, len(secret))
        made.ring.close()
        (record,) = made.read()
        assert record.length == len(secret)
        assert (b"what people say" in record.frame) is payload
        assert len(record.frame) == (len(secret) if payload else 62)
