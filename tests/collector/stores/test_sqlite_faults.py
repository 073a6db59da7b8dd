"""SQLite when things go wrong: a full disk, a read-only one, damage, kill -9, a reader beside the writer, old files."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from collector.partition import DAY_MS
from collector.query import Aggregate, ByTerm, ByTime, Equals, Exists, Kind, Measure, Range, Search
from collector.store import StoreContext, Written
from collector.stores.sqlite import Config, SqliteStore, build, files, layout
from telemetry.clock import ManualClock, utc_day
from telemetry.errors import Transient
from telemetry.report import Report
from tests.collector.stores.test_contract import NOW, WHOLE, record

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def context(tmp_path: Path, clock: ManualClock, report: Report) -> StoreContext:
    return StoreContext(tmp_path, clock, report)


@pytest.fixture
def store(context: StoreContext) -> Iterator[SqliteStore]:
    with opened(context) as store:
        yield store


@contextlib.contextmanager
def opened(context: StoreContext, **options: object) -> Iterator[SqliteStore]:
    store = build(msgspec.convert({"reserve_mb": 0, **options}, Config), context)
    try:
        yield store
    finally:
        store.close()


@contextlib.contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", *options, str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def count(store: SqliteStore) -> int:
    return int(store.aggregate(Aggregate(*WHOLE))[0].values[0])


def counted_by_rows(store: SqliteStore) -> int:
    """Not from a roll-up: those do not know this field."""
    return int(store.aggregate(Aggregate(*WHOLE, where=(Exists("event.ingested"),)))[0].values[0])


@pytest.mark.needs("root")
def test_a_full_disk_stops_storing_without_losing_anything_and_resumes_by_itself(
    tmp_path: Path, clock: ManualClock, report: Report
) -> None:
    with (
        mounted(tmp_path / "small", "-t", "tmpfs", "-o", "size=6m", "none") as small,
        opened(StoreContext(small, clock, report)) as store,
    ):
        assert store.write_state("agent/1", b"x", 0) == 1
        (small / "filler").write_bytes(b"x" * 3_000_000)
        stored, refusal = 0, ""
        while not refusal:
            records = [record(stored + n, message="x" * 500) for n in range(50)]
            try:
                stored += store.write(records).stored
            except Transient as error:
                refusal = str(error)
        assert "disk is full" in refusal
        assert stored >= 100
        assert count(store) == counted_by_rows(store) == stored
        assert store.get(Kind.EVENT, "a1-7-49") is not None
        (small / "filler").unlink()
        assert store.write(records).stored == 50
        assert store.health().writable
        assert count(store) == counted_by_rows(store) == stored + 50


def test_below_the_reserve_nothing_is_taken_and_health_says_why(context: StoreContext) -> None:
    with opened(context) as store:
        store.write([record(1)])
    with opened(context, reserve_mb=1_000_000) as store:
        with pytest.raises(Transient, match="free some space"):
            store.write([record(2)])
        health = store.health()
        assert not health.writable
        assert "MB free" in health.detail
        assert count(store) == 1
        assert store.write_state("k", b"still works", 0) == 1


@pytest.mark.needs("root")
def test_on_a_read_only_disk_reading_goes_on(tmp_path: Path, clock: ManualClock, report: Report) -> None:
    with opened(StoreContext(tmp_path / "home", clock, report)) as store:
        store.write([record(1)])
        store.write_state("k", b"v", 0)
    with mounted(tmp_path / "readonly", "--bind", str(tmp_path / "home")) as readonly:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(readonly)], check=True)
        with opened(StoreContext(readonly, clock, report)) as store:
            assert count(store) == 1
            with pytest.raises(Transient):
                store.write([record(2)])
            assert not store.health().writable
            subprocess.run(["mount", "-o", "remount,rw,bind", str(readonly)], check=True)
            assert store.write([record(2)]) == Written(1, 0)
            assert store.health().writable


@pytest.mark.parametrize("damage", ["pages", "header", "empty", "cut"])
def test_a_damaged_day_is_left_out_and_the_others_go_on(
    context: StoreContext, report: Report, damage: str, tmp_path: Path
) -> None:
    with opened(context) as store:
        store.write([record(n, NOW - n % 3 * DAY_MS, message="m" * 200) for n in range(900)])
        path = tmp_path / "data" / f"events-{utc_day(NOW - DAY_MS)}.db"
    whole = path.read_bytes()
    if damage == "pages":
        middle = len(whole) // 8
        path.write_bytes(whole[:middle] + os.urandom(len(whole) - 2 * middle) + whole[-middle:])
    elif damage == "header":
        path.write_bytes(b"not a database" * 1000)
    else:
        path.write_bytes(b"" if damage == "empty" else whole[: len(whole) // 3])
    with opened(context) as store:
        rows = store.aggregate(Aggregate(*WHOLE, by=(ByTime(DAY_MS),), where=(Exists("message"),)))
        days = {row.keys[0]: row.values[0] for row in rows}
        assert days.get(NOW // DAY_MS * DAY_MS) == days.get((NOW - 2 * DAY_MS) // DAY_MS * DAY_MS) == 300
        assert (NOW - DAY_MS) // DAY_MS * DAY_MS not in days
        if damage != "empty":  # an empty file is what a crash at the first moment leaves: just new
            assert "damaged" in store.health().detail
            assert report.value("tengwang_store_damaged_total") == 1
        assert store.health().writable
        assert store.write([record(5000, NOW - DAY_MS)]) == Written(1, 0)
        assert [row.id for row in store.search(Search(NOW - DAY_MS, NOW - DAY_MS + 1)).rows] == ["a1-7-5000"]
        aside = list((tmp_path / "data").glob("*.damaged-*.db"))
        assert len(aside) == (damage != "empty")
        assert store.health().detail == ""


def test_a_damaged_old_day_is_renamed_at_the_next_expiry(context: StoreContext, tmp_path: Path) -> None:
    with opened(context) as store:
        store.write([record(1), record(2, NOW - DAY_MS)])
    (tmp_path / "data" / f"events-{utc_day(NOW - DAY_MS)}.db").write_bytes(b"x" * 8192)
    with opened(context) as store:
        assert count(store) == 1
        store.expire(NOW)
        assert len(list((tmp_path / "data").glob("*.damaged-*.db"))) == 1
        assert store.health().detail == ""


def test_a_batch_over_two_days_of_which_one_fails_can_be_sent_again(store: SqliteStore, tmp_path: Path) -> None:
    yesterday = tmp_path / "data" / f"events-{utc_day(NOW - DAY_MS)}.db"
    (tmp_path / "data").mkdir()
    yesterday.mkdir()  # can not be opened as a file
    batch = [record(1), record(2, NOW - DAY_MS)]
    with pytest.raises(Transient):
        store.write(batch)
    yesterday.rmdir()
    assert store.write(batch) == Written(1, 1)
    assert count(store) == 2


WRITER = """
import sys
from pathlib import Path
from collector.store import StoreContext
from collector.stores.sqlite import Config, build
from telemetry.clock import ManualClock
from telemetry.report import Report
from tests.collector.stores.test_contract import NOW, record
from collector.partition import DAY_MS
clock = ManualClock()
store = build(Config(reserve_mb=0), StoreContext(Path(sys.argv[1]), clock, Report(clock)))
for batch in range(100_000):
    numbers = range(batch * 100, batch * 100 + 100)
    store.write([record(n, NOW - n % 2 * DAY_MS, source__ip="::1", network__bytes=n) for n in numbers])
    print(batch, flush=True)
"""


def test_after_kill_9_everything_that_was_acknowledged_is_there_and_the_roll_ups_are_exact(
    context: StoreContext, tmp_path: Path
) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert writer.stdout is not None
    with writer:
        lines = [writer.stdout.readline() for _ in range(20)]
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.readlines()
    acknowledged = len([line for line in lines if line.endswith(b"\n")])
    assert acknowledged >= 20
    with opened(context) as store:
        stored = count(store)
        assert stored >= acknowledged * 100
        assert stored == counted_by_rows(store)
        again = [record(n, NOW - n % 2 * DAY_MS, source__ip="::1", network__bytes=n) for n in range(stored + 100)]
        written = store.write(again)
        assert (written.stored, written.duplicates) == (100, stored)
        query = Aggregate(*WHOLE, by=(ByTerm("source.ip"),), measures=(Measure("sum", "network.bytes"),))
        assert store.aggregate(query)[0].values == (sum(range(stored + 100)),)


def test_others_read_while_one_writes(context: StoreContext) -> None:
    failures: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        with opened(context) as reader:
            while not done.is_set():
                try:
                    rows = reader.aggregate(Aggregate(*WHOLE, by=(ByTerm("tengwang.unit.id"),)))
                    total = sum(row.values[0] for row in rows)
                    assert total % 20 == 0
                    assert len(reader.search(Search(*WHOLE, limit=10)).rows) in (0, 10)
                except BaseException as error:  # noqa: BLE001  # told to the test's own thread
                    failures.append(error)
                    return

    threads = [threading.Thread(target=read) for _ in range(2)]
    with opened(context) as store:
        for thread in threads:
            thread.start()
        for batch in range(40):
            store.write([record(batch * 20 + n, tengwang__unit__id=f"u{n % 3}") for n in range(20)])
        done.set()
        for thread in threads:
            thread.join()
        assert failures == []
        assert count(store) == 800


def test_who_looks_while_a_file_is_made_does_not_spoil_it(
    store: SqliteStore, context: StoreContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / f"events-{utc_day(NOW)}.db").touch()  # as the writer leaves it for a moment
    read = layout.read
    slow: list[None] = [None]

    def looking(connection: sqlite3.Connection) -> layout.Layout | None:
        found = read(connection)
        if slow:
            slow.pop()
            assert store.write([record(1)]) == Written(1, 0)
        return found

    monkeypatch.setattr(layout, "read", looking)
    count(store)
    assert not slow
    assert store.write([record(2)]) == Written(1, 0)
    assert count(store) == 2


def test_a_file_that_another_process_makes_is_seen_when_it_is_made(context: StoreContext, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / f"events-{utc_day(NOW)}.db").touch()
    with opened(context) as reader, opened(context) as store:
        assert count(reader) == 0
        store.write([record(1)])
        assert count(reader) == 1


def test_a_day_that_retention_drops_while_it_is_asked_for_is_left_out(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write([record(1), record(2, NOW - DAY_MS)])
    (yesterday,) = (tmp_path / "data").glob(f"events-{utc_day(NOW - DAY_MS)}.db")
    listed = files.Files.partitions
    everything = Aggregate(*WHOLE, where=(Exists("event.ingested"),))
    for when in ("listed", "open"):
        store.write([record(2, NOW - DAY_MS)])
        there = store._files.partitions()
        monkeypatch.setattr(files.Files, "partitions", lambda _, there=there: there)
        if when == "listed":
            store._files.forget(there[0])
        else:
            assert count(store) == 2
        for path in (tmp_path / "data").glob(f"{yesterday.name}*"):
            path.unlink()
        assert store.aggregate(everything)[0].values == (1.0,)
        assert len(store.search(Search(*WHOLE)).rows) in (1, 2)
        assert store.health().detail == ""
        monkeypatch.setattr(files.Files, "partitions", listed)
        store._files.forget(there[0])


def test_a_file_of_an_older_program_gets_a_place_for_new_fields_and_answers_as_before(
    context: StoreContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = layout.WANTED
    later = {"host.name", "message", "source.ip", "tags"}
    with monkeypatch.context() as before:
        older = msgspec.structs.replace(
            wanted,
            columns={name: kind for name, kind in wanted.columns.items() if name not in ("host.name", "source.ip")},
            fields=tuple(name for name in wanted.fields if name not in later - {"source.ip"}),
            rollups=wanted.rollups[:1],
        )
        before.setattr(layout, "WANTED", older)
        with opened(context) as store:
            store.write([record(1, source__ip="2001:db8::1", agent__name="a"), record(2, agent__name="b")])
    with opened(context) as store:
        assert [r.id for r in store.search(Search(*WHOLE, where=(Exists("message"),))).rows] == []
        new = record(3, host__name="h", message="new", tags=["t"], source__ip="10.0.0.1")
        assert store.write([new]) == Written(1, 0)
        found = store.get(Kind.EVENT, new.id)
        assert found is not None
        assert found.doc == new.doc
        for condition, ids in (
            (Equals("host.name", ("h",)), ["a1-7-3"]),
            (Equals("source.ip", ("2001:db8::1",)), ["a1-7-1"]),
            (Exists("source.ip"), ["a1-7-1", "a1-7-3"]),
            (Equals("tags", ("t",)), ["a1-7-3"]),
            (Range("@timestamp", NOW), ["a1-7-1", "a1-7-2", "a1-7-3"]),
        ):
            assert sorted(r.id for r in store.search(Search(*WHOLE, where=(condition,))).rows) == ids
        top = store.aggregate(Aggregate(*WHOLE, by=(ByTerm("source.ip"),)))
        assert [row.keys for row in top] == [("10.0.0.1",), ("2001:db8::1",)]


def test_the_number_of_open_files_is_bounded(store: SqliteStore, tmp_path: Path) -> None:
    store.write([record(n, NOW - n * DAY_MS) for n in range(60)])
    assert count(store) == 60
    folder = Path(f"/proc/{os.getpid()}/fd")
    held = [os.readlink(fd) for fd in folder.iterdir() if fd.exists()]
    assert (
        len({name for name in held if name.startswith(f"{tmp_path}/data/events-") and name.endswith(".db")})
        <= files.MAX_OPEN
    )
