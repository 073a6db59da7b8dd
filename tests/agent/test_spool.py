"""What the model does not show by itself: files on a real disk, order, exact ranges, what a person is told."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import spool_page
from agent.disk import SystemDisk
from agent.spool import LANES, Spool, account_on_disk
from agent.spool_ledger import NAMES
from telemetry.clock import ManualClock
from telemetry.errors import ConfigError, Transient
from telemetry.event import Priority
from telemetry.intervals import Intervals
from telemetry.report import Report
from tests.agent.faulty_disk import FaultyDisk

P = Priority


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def opened(folder: Path, clock: ManualClock, disk: FaultyDisk | None = None, **bounds: float) -> Spool:
    return Spool(folder, clock, Report(clock), disk=disk, **bounds)  # type: ignore[arg-type]


def drained(spool: Spool) -> Iterator[tuple[int, int, bytes]]:
    while chunk := spool.read(100, 10_000):
        for sequence, record in chunk.records:
            yield chunk.epoch, sequence, record
        spool.ack(chunk.epoch, [(s, s) for s, _ in chunk.records])


def test_what_went_in_comes_out_after_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    spool = opened(tmp_path / "s", clock)
    epoch, first, last = spool.append(P.METRIC, [b'{"a":1}', b'{"a":2}'])
    assert (first, last) == (1, 2)
    spool.close()
    spool = opened(tmp_path / "s", clock)
    assert list(drained(spool)) == [(epoch, 1, b'{"a":1}'), (epoch, 2, b'{"a":2}')]
    assert spool.account().acked == 2
    assert spool.clean
    spool.close()


def test_only_the_owner_may_read_it(tmp_path: Path, clock: ManualClock) -> None:
    spool = opened(tmp_path / "s", clock)
    spool.append(P.FLOW, [b"{}"])
    spool.close()
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "s").iterdir()} == {0o600}


def test_it_knows_whether_the_former_run_ended_as_it_should(tmp_path: Path, clock: ManualClock) -> None:
    first = opened(tmp_path / "s", clock)
    assert first.clean, "there was none"
    first.close()
    second = opened(tmp_path / "s", clock)
    assert second.clean
    third = opened(tmp_path / "s", clock)
    assert not third.clean
    third.close()


def test_epochs_rise_though_the_clock_goes_back_and_the_spool_is_deleted(tmp_path: Path, clock: ManualClock) -> None:
    spool = opened(tmp_path / "a", clock)
    before = spool.append(P.FLOW, [b"{}"])[0]
    spool.close()
    clock.ms -= 400 * 86_400_000
    spool = opened(tmp_path / "a", clock)
    assert spool.append(P.FLOW, [b"{}"])[0] > before
    spool.close()
    clock.ms += 400 * 86_400_000 + 60_000
    spool = opened(tmp_path / "deleted and made anew", clock)
    assert spool.append(P.FLOW, [b"{}"])[0] > before + LANES
    spool.close()


def test_a_finding_overtakes_and_old_epochs_go_first(tmp_path: Path, clock: ManualClock) -> None:
    spool = opened(tmp_path / "s", clock)
    spool.append(P.METRIC, [b'"old metric"'])
    spool.close()
    clock.advance(100)
    spool = opened(tmp_path / "s", clock)
    for priority, record in ((P.FLOW, b'"flow"'), (P.METRIC, b'"metric"'), (P.FINDING, b'"finding"')):
        clock.advance(1)
        spool.append(priority, [record])
    assert [record for _, _, record in drained(spool)] == [b'"finding"', b'"old metric"', b'"flow"', b'"metric"']
    spool.append(P.FLOW, [b'"flow"'])
    spool.append(P.LEDGER, [b'"status"'])
    chunk = spool.read(10, 1000, bulk=True)
    assert chunk is not None
    assert chunk.priority is P.FLOW, "every fourth batch, so that nothing starves"
    spool.close()


def test_a_full_spool_drops_the_lowest_priority_oldest_first_in_exact_ranges(
    tmp_path: Path, clock: ManualClock
) -> None:
    spool = opened(tmp_path / "s", clock, max_bytes=80_000, page_bytes=8192)
    for number in range(20):
        spool.append(P.FINDING, [b'"%d%s"' % (number, b"f" * 500)])
    accepted = 0
    for _ in range(60):
        accepted = spool.append(P.FLOW, [b'"%s"' % (b"x" * 1900)])[2]
    drops = spool.unreported()
    assert {drop.reason for drop in drops} == {"full"}
    assert {drop.epoch % LANES for drop in drops} == {P.FLOW}
    assert [(d.first, d.last) for d in drops] == [(1, drops[-1].last)], "neighbours are one range"
    left = [(epoch % LANES, sequence) for epoch, sequence, _ in drained(spool)]
    assert [s for lane, s in left if lane == P.FLOW] == list(range(drops[-1].last + 1, accepted + 1))
    assert sum(lane == P.FINDING for lane, _ in left) == 20
    account = spool.account()
    assert account.collected == 80 == account.acked + account.dropped["full"]
    spool.close()


def test_a_record_is_never_let_in_by_dropping_a_higher_priority(tmp_path: Path, clock: ManualClock) -> None:
    spool = opened(tmp_path / "s", clock, max_bytes=40_000, page_bytes=4096)
    while spool.account().bytes < 32_000:
        spool.append(P.FINDING, [b'"%s"' % (b"f" * 3000)])
    before = spool.account().waiting["finding"]
    for _ in range(5):
        spool.append(P.FLOW, [b'"%s"' % (b"x" * 3000)])
    account = spool.account()
    assert account.waiting["finding"] == before
    assert account.dropped == {"full": 5 - account.waiting["flow"]}
    assert account.dropped["full"] >= 4
    spool.close()


def test_age_is_counted_in_running_time_so_a_wrong_clock_drops_nothing(tmp_path: Path, clock: ManualClock) -> None:
    spool = opened(tmp_path / "s", clock, max_age=100)
    spool.append(P.FLOW, [b"{}"])
    clock.ms += 365 * 86_400_000
    spool.maintain()
    assert spool.account().spooled == 1
    clock.advance(60)
    spool.close()
    spool = opened(tmp_path / "s", clock, max_age=100)
    clock.advance(39)
    spool.maintain()
    assert spool.account().spooled == 1
    clock.advance(2)
    spool.maintain()
    assert spool.account().dropped == {"age": 1}
    assert list((tmp_path / "s").glob("*.page")) == []
    spool.close()


def test_what_was_sent_and_not_answered_is_spared_by_age_and_by_a_full_spool(
    tmp_path: Path, clock: ManualClock
) -> None:
    spool = opened(tmp_path / "s", clock, max_age=100, max_bytes=40_000, page_bytes=4096)
    flow, _, _ = spool.append(P.FLOW, [b'"%d"' % n for n in range(1, 11)])
    metric, _, _ = spool.append(P.METRIC, [b'"%d"' % n for n in range(1, 5)])
    for bulk in (True, False):
        chunk = spool.read(3, 1000, bulk)
        assert chunk is not None
        spool.sent(chunk.epoch, chunk.records[-1][0])
        spool.ack(metric, [(1, 3)])
        spool.put_back()
    clock.advance(200)
    for _ in range(2):
        spool.maintain()
        assert [(d.epoch, d.first, d.last, d.reason) for d in spool.unreported()] == [
            (flow, 4, 10, "age"), (metric, 4, 4, "age"),
        ]  # fmt: skip
    for _ in range(20):
        spool.append(P.FINDING, [b'"%s"' % (b"x" * 3000)])
    again = spool.read(10, 1000, bulk=True)
    assert again is not None
    assert (again.epoch, [s for s, _ in again.records]) == (flow, [1, 2, 3])
    spool.ack(flow, [(1, 3)])
    assert spool.account().waiting["flow"] == 0
    spool.append(P.FLOW, [b'"new"'])
    spool.read(10, 1000, bulk=True)
    clock.advance(200)
    spool.maintain()
    assert spool.account().waiting["flow"] == 1, "it is under way"
    spool.put_back()
    spool.maintain()
    assert spool.account().waiting["flow"] == 0, "it never left"
    spool.close()


@pytest.mark.parametrize("killed", [False, True])
def test_what_a_former_run_sent_and_was_not_answered_is_spared_too(
    tmp_path: Path, clock: ManualClock, killed: bool
) -> None:
    spool = opened(tmp_path / "s", clock, max_age=100)
    epoch, _, _ = spool.append(P.FLOW, [b"1", b"2", b"3"])
    spool.append(P.METRIC, [b"4"])
    spool.sent(epoch, 2)
    if not killed:
        spool.close()
    spool = opened(tmp_path / "s", clock, max_age=100)
    clock.advance(200)
    spool.maintain()
    # after a kill what was sent since the ledger was saved is not known, so the whole page is spared
    assert spool.account().waiting["flow"] == (3 if killed else 2)
    assert spool.account().waiting["metric"] == (1 if killed else 0)
    spool.close()


def test_a_full_disk_refuses_keeps_everything_and_resumes_by_itself(clock: ManualClock) -> None:
    disk = FaultyDisk()
    spool = opened(Path("/nonexistent/s"), clock, disk)
    spool.append(P.FLOW, [b'"kept"'])
    disk.capacity = disk.used + 10
    with pytest.raises(Transient, match="No space left"):
        spool.append(P.FLOW, [b'"waits"'])
    assert spool.account().collected == 1
    assert spool.account().dropped == {}
    disk.capacity = 1 << 40
    assert spool.append(P.FLOW, [b'"waits"'])[1:] == (2, 2), "no gap"
    assert [record for _, _, record in drained(spool)] == [b'"kept"', b'"waits"']


def test_pressing_on_a_full_disk_drops_lower_priorities_and_then_itself_and_says_so(clock: ManualClock) -> None:
    disk = FaultyDisk()
    spool = opened(Path("/nonexistent/s"), clock, disk)
    spool.append(P.FLOW, [b'"%s"' % (b"x" * 500)])
    disk.capacity = disk.used
    spool.append(P.FINDING, [b'"finding"'], pressing=True)
    spool.append(P.FLOW, [b'"%s"' % (b"y" * 5000)], pressing=True)
    account = spool.account()
    assert account.waiting["finding"] == 1
    assert account.dropped == {"disk_full": 2}
    assert [(d.first, d.last, d.reason) for d in spool.unreported()] == [(1, 2, "disk_full")]


def test_damage_costs_exactly_the_records_it_hit(tmp_path: Path, clock: ManualClock) -> None:
    spool = opened(tmp_path / "s", clock)
    epoch, _, _ = spool.append(P.STATE, [b'"record %d"' % n for n in range(1, 11)])
    spool.append(P.STATE, [b'"record %d"' % n for n in range(11, 21)])
    spool.close()
    (page,) = (tmp_path / "s").glob("*.page")
    data = bytearray(page.read_bytes())
    data[data.index(b"record 7")] ^= 1
    page.write_bytes(data)
    spool = opened(tmp_path / "s", clock)
    assert [s for _, s, _ in drained(spool)] == [n for n in range(1, 21) if n != 7]
    assert [(d.epoch, d.first, d.last, d.reason) for d in spool.unreported()] == [(epoch, 7, 7, "corrupt")]
    assert spool.account().dropped == {"corrupt": 1}
    spool.close()


def test_a_page_that_is_missing_is_told_as_its_exact_range(tmp_path: Path, clock: ManualClock) -> None:
    spool = opened(tmp_path / "s", clock, page_bytes=4096)
    for n in range(30):
        spool.append(P.STATE, [b'"%04d%s"' % (n, b"x" * 500)])
    spool.close()
    pages = sorted((tmp_path / "s").glob("*.page"), key=lambda p: int(p.stem.split("-")[1]))
    assert len(pages) > 3
    first, after = (int(pages[i].stem.split("-")[1]) for i in (1, 2))
    pages[1].unlink()
    pages[-1].unlink()
    last = int(pages[-1].stem.split("-")[1])
    spool = opened(tmp_path / "s", clock, page_bytes=4096)
    lost = Intervals((d.first, d.last) for d in spool.unreported())
    assert list(lost) == [(first, after - 1), (last, 30)]
    assert {s for _, s, _ in drained(spool)} == set(range(1, 31)) - set(range(first, after)) - set(range(last, 31))
    spool.close()


def test_a_report_of_drops_that_is_itself_lost_is_made_again(clock: ManualClock) -> None:
    disk = FaultyDisk()
    spool = opened(Path("/nonexistent/s"), clock, disk, max_age=50)
    spool.append(P.FLOW, [b"{}"])
    clock.advance(60)
    spool.maintain()
    (drop,) = spool.unreported()
    epoch, first, _ = spool.append(P.LEDGER, [b'"report"'])
    spool.reported([drop], epoch, first)
    assert spool.unreported() == []
    clock.advance(60)
    spool.maintain()
    assert [(d.epoch % LANES, d.reason) for d in spool.unreported()] == [(P.FLOW, "age"), (P.LEDGER, "age")]


def test_acks_may_be_partial_and_in_any_order(tmp_path: Path, clock: ManualClock) -> None:
    spool = opened(tmp_path / "s", clock)
    epoch, _, _ = spool.append(P.STATE, [b'"%d"' % n for n in range(1, 11)])
    spool.ack(epoch, [(4, 6), (9, 9), (5, 6)])
    spool.ack(epoch + 8000, [(1, 5)])
    assert [s for _, s, _ in drained(spool)] == [1, 2, 3, 7, 8, 10]
    assert spool.account().acked == 10
    spool.close()


def test_both_ledgers_lost_is_said_and_nothing_waiting_is_lost(tmp_path: Path, clock: ManualClock) -> None:
    spool = opened(tmp_path / "s", clock)
    epoch, _, _ = spool.append(P.STATE, [b'"%d"' % n for n in range(1, 11)])
    spool.close()
    for name in NAMES:
        (tmp_path / "s" / name).write_bytes(os.urandom(3000))
    report = Report(clock)
    spool = Spool(tmp_path / "s", clock, report)
    assert "unreadable" in next(iter(report.notices())).message
    assert spool.boot * LANES > epoch
    assert len(list(drained(spool))) == 10
    spool.close()


def test_a_newer_program_s_spool_is_refused_and_left_alone(tmp_path: Path, clock: ManualClock) -> None:
    opened(tmp_path / "s", clock).close()
    for name in NAMES:
        path = tmp_path / "s" / name
        path.write_bytes(path.read_bytes().replace(b"tengwang-spool 1 ", b"tengwang-spool 2 ", 1))
    before = [(tmp_path / "s" / name).read_bytes() for name in NAMES]
    with pytest.raises(ConfigError, match="newer program"):
        opened(tmp_path / "s", clock)
    assert [(tmp_path / "s" / name).read_bytes() for name in NAMES] == before


def test_the_ledger_can_be_read_while_nothing_runs(tmp_path: Path, clock: ManualClock) -> None:
    assert account_on_disk(tmp_path / "none").collected == 0
    spool = opened(tmp_path / "s", clock)
    spool.append(P.STATE, [b"{}"] * 3)
    expected = spool.account()
    spool.close()
    read = account_on_disk(tmp_path / "s")
    assert (read.collected, read.spooled, read.epochs) == (3, 3, expected.epochs)


KILLED = """
import sys
from pathlib import Path
from agent.spool import Spool
from telemetry.clock import SystemClock
from telemetry.event import Priority
from telemetry.report import Report
spool = Spool(Path(sys.argv[1]), SystemClock(), Report())
number = 0
while True:
    _, _, last = spool.append(Priority.METRIC, [b'"%d"' % (number + i) for i in range(50)])
    number += 50
    print(last, flush=True)
"""


def test_a_real_kill_9_loses_nothing_that_was_accepted(tmp_path: Path) -> None:
    program = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path / "s")], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    time.sleep(1.5)
    program.kill()
    told = [int(line) for line in program.stdout.read().splitlines() if line.endswith("0")]
    program.wait()
    program.stdout.close()
    spool = opened(tmp_path / "s", ManualClock())
    assert not spool.clean
    found = list(drained(spool))
    assert [s for _, s, _ in found] == list(range(1, len(found) + 1))
    assert len(found) >= told[-1] > 0
    assert [record for _, _, record in found] == [b'"%d"' % n for n in range(len(found))]
    assert spool.account().dropped == {}
    spool.close()


@given(st.binary(max_size=3000), st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=8), st.randoms())
def test_any_bytes_in_a_page_are_read_without_a_crash(junk: bytes, records: list[bytes], random: object) -> None:
    disk = FaultyDisk()
    file = disk.open(Path("/p"))
    file.append(junk)
    file.append(spool_page.encode(9, 1, records, 5))
    file.append(junk)
    found = list(spool_page.frames(file, 0, file.size()))
    whole = [f for f in found if (f.epoch, f.first, f.total) == (9, 1, len(records))]
    assert [spool_page.records(file, f) for f in whole] == [records], "found between whatever is around it"


def test_one_damaged_mark_costs_nothing(tmp_path: Path) -> None:
    file = SystemDisk().open(tmp_path / "page")
    for first in (1, 4, 7):
        file.append(spool_page.encode(3, first, [b"a", b"b", b"c"], 5))
    size = file.size() // 3
    for at in (2, size - 3, size + 10):
        byte = file.read(at, 1)
        file.write_at(at, bytes([byte[0] ^ 4]))
        found = list(spool_page.frames(file, 0, file.size()))
        assert [f.first for f in found] == [1, 4, 7], f"damage at {at}"
        file.write_at(at, byte)
    file.close()


def test_a_new_identity_begins_a_ledger_of_its_own_with_what_waits(tmp_path: Path, clock: ManualClock) -> None:
    spool = Spool(tmp_path / "s", clock, Report(clock), agent="first")
    epoch, _, _ = spool.append(P.STATE, [b'"%d"' % n for n in range(1, 11)])
    spool.ack(epoch, [(1, 4)])
    spool.close()
    spool = Spool(tmp_path / "s", clock, Report(clock), agent="second")
    account = spool.account()
    assert (account.collected, account.acked, account.spooled, account.dropped) == (10, 0, 6, {"elsewhere": 4})
    assert [(d.epoch, d.first, d.last, d.reason) for d in spool.unreported()] == [(epoch, 1, 4, "elsewhere")]
    assert [s for _, s, _ in drained(spool)] == [5, 6, 7, 8, 9, 10]
    spool.close()
    spool = Spool(tmp_path / "s", clock, Report(clock), agent="second")
    assert spool.account().acked == 6
    spool.close()
