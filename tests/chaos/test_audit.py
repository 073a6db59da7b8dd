"""The count at the end finds what it is for: losses, doubles, and ledgers that say something else than the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from agent.spool import Spool
from collector.ledger import Account
from collector.query import Kind
from collector.store import Record, Store, StoreContext
from collector.stores import sqlite
from telemetry.clock import ManualClock
from telemetry.event import Event, Priority, event, event_id
from telemetry.ledger import EpochLedger
from telemetry.report import Report
from tests.chaos.audit import Accepted, accepted, audit

NOW = 1_790_000_000_000
DAY = 86_400_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = sqlite.build(sqlite.Config(reserve_mb=0), StoreContext(tmp_path, ManualClock(NOW), Report()))
    yield opened
    opened.close()


Fields = Mapping[str, int | str]


def put(store: Store, *sequences: int, epoch: int = 9, at: int = NOW, more: Fields | None = None) -> None:
    records = []
    for sequence in sequences:
        doc: Event = event(at, "tengwang.host", "host")
        doc |= {"agent.id": "a1", "tengwang.agent.epoch": epoch, "tengwang.agent.sequence": sequence}
        doc |= {"event.id": event_id("a1", epoch, sequence), "event.ingested": NOW, **(more or {})}
        records.append(Record(Kind.EVENT, event_id("a1", epoch, sequence), doc))
    written = store.write(records)
    assert written.stored == len(sequences)


def account(stored: int, **changes: object) -> Account:
    all_well = Account("a1", stored, stored, 0, {}, 0, True)
    return msgspec.structs.replace(all_well, **changes)


ALL = Accepted("a1", 5, (EpochLedger(9, 5, 5, 0),))


def test_nothing_is_wrong(store: Store) -> None:
    put(store, 1, 2, 3, 4, 5)
    assert audit(store, [ALL], [account(5)]) == []


def test_a_loss_is_found(store: Store) -> None:
    put(store, 1, 2, 5)
    (problem,) = audit(store, [ALL], [account(3)])
    assert "2 of 5 are lost" in problem


def test_what_waits_in_the_spool_is_not_lost(store: Store) -> None:
    put(store, 1, 2, 3)
    assert audit(store, [Accepted("a1", 5, (EpochLedger(9, 5, 3, 2),))], [account(3)]) == []


def test_a_reported_drop_is_not_a_loss_and_what_is_stored_all_the_same_counts_as_stored(store: Store) -> None:
    drop: Fields = {
        "event.action": "dropped",
        "tengwang.drop.epoch": 9,
        "tengwang.drop.first": 2,
        "tengwang.drop.last": 3,
    }
    put(store, 1, 4, 5)
    put(store, 1, epoch=10, more=drop)
    accepted = Accepted("a1", 6, (EpochLedger(9, 5, 3, 0, {"full": 2}), EpochLedger(10, 1, 1, 0)))
    assert audit(store, [accepted], [account(4, collected=6, dropped={"full": 2})]) == []
    put(store, 2)
    assert audit(store, [accepted], [account(5, collected=6, dropped={"full": 1})]) == []
    twice, once = audit(store, [accepted], [account(5, collected=6, dropped={"full": 2})])
    assert "does not add up" in twice
    assert "says 2 dropped, the events that report it 1" in once


def test_a_drop_whose_report_has_not_come_is_not_a_loss(store: Store, tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    spool = Spool(tmp_path / "spool", clock, Report(clock), max_age=5)
    epoch, _, last = spool.append(Priority.STATE, [b"{}"] * 3)
    put(store, *range(1, last + 1), epoch=epoch)
    spool.ack(epoch, [(1, last)])
    spool.append(Priority.STATE, [b"{}"])
    clock.advance(6)
    spool.maintain()
    spool.close()
    (problem,) = audit(store, [Accepted("a1", 4, (EpochLedger(epoch, 4, 3, 0),))], [account(3)])
    assert "1 of 4 are lost" in problem, "of which the agent knows nothing"
    told = accepted("a1", tmp_path / "spool")
    assert (told.collected, told.dropped, told.untold) == (4, 1, ((epoch, 4, 4),))
    assert audit(store, [told], [account(3)]) == []
    assert audit(store, [replace(told, open_epochs=())], [account(3)]) == [], "of a finished epoch too"


def test_a_double_in_another_partition_is_found(store: Store) -> None:
    put(store, 1, 2, 3, 4, 5)
    put(store, 3, at=NOW - 3 * DAY)
    assert audit(store, [ALL], [account(5)]) == ["a1: 9/3 is stored 2 times"]


def test_a_finished_epoch_that_lost_its_end_is_found(store: Store) -> None:
    put(store, 1, 2, 3, epoch=8)
    put(store, 1, 2, 3, 4, 5)
    accepted = Accepted("a1", 9, (EpochLedger(9, 5, 5, 0),))
    (problem,) = audit(store, [accepted], [account(8)])
    assert "finished epochs hold 3 events, the spool accepted 4" in problem


def test_a_ledger_that_does_not_add_up_or_is_not_there_is_found(store: Store) -> None:
    put(store, 1, 2, 3, 4, 5)
    assert "does not add up" in audit(store, [ALL], [account(5, missing=1, adds_up=False)])[0]
    assert "says 4 stored, the store holds 5" in audit(store, [ALL], [account(4)])[0]
    assert "no ledger" in audit(store, [ALL], [])[0]
