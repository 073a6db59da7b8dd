from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector import ledger
from collector.ledger import Epoch, Ledgers, ranges
from collector.store import Store, StoreContext
from collector.stores.sqlite import Config, build
from telemetry.clock import ManualClock
from telemetry.ledger import EpochLedger
from telemetry.report import Report


@pytest.fixture
def store(tmp_path: Path) -> Store:
    clock = ManualClock()
    return build(Config(), StoreContext(tmp_path, clock, Report(clock)))


def test_a_ledger_survives_a_restart(store: Store) -> None:
    first = Ledgers(store, "c1")
    first.note_stored("a", 7, [(1, 100), (151, 160)])
    first.note_dropped("a", 7, 101, 150, "full")
    first.note_status("a", (9, 1), [EpochLedger(7, 165, 110, 5, {"full": 50})])
    first.save()
    second = Ledgers(store, "c1")
    second.load()
    assert second.account("a") == first.account("a")
    account = second.account("a")
    assert (account.collected, account.stored, account.spooled, account.dropped) == (165, 110, 5, {"full": 50})
    assert account.adds_up
    second.note_stored("a", 7, [(161, 165)])
    second.save()
    assert second.account("a").spooled == 0


def test_two_collectors_of_one_store_add_up_to_one_account(store: Store) -> None:
    one, two = Ledgers(store, "c1"), Ledgers(store, "c2")
    one.note_stored("a", 7, [(1, 10)])
    one.save()
    two.note_stored("a", 7, [(8, 20)])  # 8 to 10 came twice, after an answer was lost
    two.save()
    assert one.account("a").stored == 10
    one.refresh()
    two.refresh()
    for side in (one, two):
        assert (side.account("a").stored, side.account("a").missing) == (20, 0)


def test_two_processes_with_one_id_write_the_union(store: Store) -> None:
    one, two = Ledgers(store, "c1"), Ledgers(store, "c1")
    one.note_stored("a", 7, [(1, 5)])
    one.save()
    two.note_stored("a", 7, [(6, 9)])
    two.save()
    again = Ledgers(store, "c1")
    again.load()
    assert again.account("a").stored == 9


def test_a_loss_that_nobody_reported_is_seen(store: Store) -> None:
    found = Ledgers(store, "c1")
    found.note_stored("a", 7, [(1, 5), (8, 9)])
    account = found.account("a")
    assert (account.missing, account.adds_up) == (2, False)
    assert account.collected == account.stored + account.spooled + account.missing


def test_a_lost_end_of_an_epoch_is_seen_when_the_agent_says_that_nothing_waits(store: Store) -> None:
    found = Ledgers(store, "c1")
    found.note_stored("a", 7, [(1, 5)])
    found.note_status("a", (8, 1), [EpochLedger(7, 9, 5, 0)])
    assert found.account("a").missing == 4


def test_an_older_word_of_the_agent_changes_nothing(store: Store) -> None:
    found = Ledgers(store, "c1")
    found.note_status("a", (8, 5), [EpochLedger(7, 9, 5, 4)])
    found.note_status("a", (8, 4), [EpochLedger(7, 100, 5, 95)])
    assert found.account("a").collected == 9


def test_a_spool_that_was_deleted_shows_as_a_loss_and_not_as_waiting_for_ever(store: Store) -> None:
    found = Ledgers(store, "c1")
    found.note_stored("a", 7, [(1, 5)])
    found.note_status("a", (8, 1), [EpochLedger(7, 9, 5, 4)])
    assert found.account("a").spooled == 4
    found.note_status("a", (20, 1), [EpochLedger(19, 0, 0, 0)])
    account = found.account("a")
    assert (account.spooled, account.missing) == (0, 4)
    found.note_stored("a", 7, [(6, 9)])  # it was on its way, and came after all
    assert found.account("a").adds_up


def test_what_arrived_and_was_also_reported_as_dropped_counts_once(store: Store) -> None:
    found = Ledgers(store, "c1")
    found.note_stored("a", 7, [(1, 5)])
    found.note_dropped("a", 7, 4, 8, "age")
    account = found.account("a")
    assert (account.stored, account.dropped, account.collected) == (5, {"age": 3}, 8)


def test_a_reason_from_outside_does_not_become_a_name_of_ours(store: Store) -> None:
    found = Ledgers(store, "c1")
    found.note_dropped("a", 7, 1, 2, "x" * 1000)
    assert found.account("a").dropped == {"other": 2}


def test_numbers_that_make_no_sense_are_not_taken(store: Store) -> None:
    found = Ledgers(store, "c1")
    found.note_dropped("a", 7, 5, 4, "full")
    found.note_dropped("a", -1, 1, 4, "full")
    found.note_dropped("a", 7, 0, 4, "full")
    assert found.account("a").collected == 0


def test_a_hostile_pattern_stays_within_its_bounds_and_its_counts_stay_true(store: Store) -> None:
    found = Ledgers(store, "c1")
    count = 3 * ledger.MAX_RANGES
    for number in range(1, count * 2, 2):
        found.note_stored("a", 7, [(number, number)])
    found.save()
    account = found.account("a")
    assert account.stored == count
    assert account.missing == count - 1
    state = store.list_state("ledger/a/")[0]
    assert len(state.value) < 100_000
    again = Ledgers(store, "c1")
    again.load()
    assert again.account("a") == account


def test_epochs_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MAX_EPOCHS", 5)
    found = Ledgers(store, "c1")
    for epoch in range(1, 9):
        found.note_stored("a", epoch, [(1, 1)])
        found.save()
    assert [e.epoch for e in found.account("a").epochs] == [4, 5, 6, 7, 8]
    assert len(store.list_state("ledger/a/")) == 5


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["", "set_aside", "full", "age"]), st.integers(1, 60), st.integers(0, 12)),
        max_size=30,
    )
)
def test_an_account_is_what_counting_by_hand_gives(notes: list[tuple[str, int, int]]) -> None:
    epoch = Epoch()
    by_hand: dict[int, set[str]] = {}
    for reason, first, more in notes:
        epoch.note(reason, first, first + more)
        for number in range(first, first + more + 1):
            by_hand.setdefault(number, set()).add(reason)
    order = ["", "set_aside", "age", "full"]
    counts = dict.fromkeys(order, 0)
    for reasons in by_hand.values():
        counts[next(r for r in order if r in reasons)] += 1
    account = epoch.account(1)
    highest = max(by_hand, default=0)
    assert account.stored == counts.pop("")
    assert account.dropped == {r: c for r, c in counts.items() if c}
    assert account.missing == highest - len(by_hand)
    assert account.collected == account.stored + account.spooled + sum(account.dropped.values()) + account.missing


@given(st.lists(st.integers(1, 200), unique=True).map(sorted))
def test_rising_numbers_become_ranges(numbers: list[int]) -> None:
    made = ranges(numbers)
    assert [n for first, last in made for n in range(first, last + 1)] == numbers
    assert all(b[0] > a[1] + 1 for a, b in itertools.pairwise(made))
