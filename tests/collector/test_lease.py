"""Who leads: one at a time, whatever the clocks say, and another in under 30 s where that one is gone."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.lease import HOLD_S, KEY, RENEW_S, TTL_S, Held, Lease
from collector.store import State, Store, StoreContext
from collector.stores import sqlite
from telemetry.clock import ManualClock
from telemetry.errors import Transient
from telemetry.report import Report


@pytest.fixture
def store(tmp_path: Path) -> Store:
    clock = ManualClock()
    return sqlite.build(sqlite.Config(reserve_mb=0), StoreContext(tmp_path, clock, Report(clock)))


def own_clock(wall_ms: int = 0) -> ManualClock:
    """Of a process of its own: its monotonic clock starts anywhere."""
    clock = ManualClock(1_790_000_000_000 + wall_ms)
    clock.mono = float(wall_ms % 977)
    return clock


def test_the_first_leads_and_the_second_does_not(store: Store) -> None:
    one, two = Lease(store, own_clock(), "one"), Lease(store, own_clock(), "two")
    assert one.beat()
    assert not two.beat()
    assert (one.leading, two.leading, one.term) == (True, False, 1)


def test_a_leader_that_is_gone_is_followed_in_under_30_s_though_clocks_differ_by_days(store: Store) -> None:
    first, second = own_clock(), own_clock(-26 * 3_600_000)
    one, two = Lease(store, first, "one"), Lease(store, second, "two")
    assert one.beat()
    assert not two.beat()
    waited = 0.0
    while not two.beat():
        second.advance(RENEW_S)
        waited += RENEW_S
        assert waited < 30
    assert waited >= TTL_S
    assert two.term == 2
    first.advance(waited)
    assert (one.leading, one.beat()) == (False, False)  # it stopped by itself


def test_a_leader_that_can_not_renew_stops_before_another_may_begin(store: Store) -> None:
    clock = own_clock()
    lease = Lease(store, clock, "one")
    lease.beat()
    clock.advance(HOLD_S - 0.1)
    before = lease.leading
    clock.advance(0.1)
    assert (before, lease.leading) == (True, False)
    assert HOLD_S < TTL_S


def test_a_clean_stop_lets_another_begin_at_once(store: Store) -> None:
    one, two = Lease(store, own_clock(), "one"), Lease(store, own_clock(), "two")
    one.beat()
    two.beat()
    one.release()
    assert not one.leading
    assert two.beat()
    assert not one.beat()


def test_a_killed_collector_that_comes_back_leads_at_once_and_a_copy_of_its_disk_does_not(store: Store) -> None:
    clock = own_clock()
    Lease(store, clock, "one").beat()
    again = Lease(store, clock, "one")
    assert again.beat()
    assert again.term == 2
    clock.advance(RENEW_S)
    assert again.beat()


def test_two_with_one_name_do_not_take_it_from_each_other_for_ever(store: Store) -> None:
    clock = own_clock()
    one, copy = Lease(store, clock, "one"), Lease(store, clock, "one")
    one.beat()
    copy.beat()
    leaders = []
    for _ in range(20):
        clock.advance(RENEW_S)
        one.beat()
        copy.beat()
        leaders.append((one.leading, copy.leading))
    assert set(leaders) == {(False, True)}


def test_a_paused_leader_whose_place_nobody_took_leads_again_with_a_new_term(store: Store) -> None:
    clock = own_clock()
    lease = Lease(store, clock, "one")
    lease.beat()
    clock.advance(100)
    assert not lease.leading
    assert lease.beat()
    assert lease.term == 2


class Away:
    """A store that answers or does not."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.down = False

    def read_state(self, key: str) -> State:
        if self.down:
            raise Transient("away")
        return self.store.read_state(key)

    def write_state(self, key: str, value: bytes, version: int) -> int:
        if self.down:
            raise Transient("away")
        return self.store.write_state(key, value, version)


def test_without_the_store_nobody_leads_for_long_and_then_one_does_again(store: Store) -> None:
    clock = own_clock()
    away = Away(store)
    lease = Lease(away, clock, "one")  # type: ignore[arg-type]
    lease.beat()
    away.down = True
    clock.advance(RENEW_S)
    with pytest.raises(Transient):
        lease.beat()
    still = lease.leading
    clock.advance(HOLD_S)
    assert (still, lease.leading) == (True, False)
    away.down = False
    assert lease.beat()


def test_a_damaged_document_is_made_anew(store: Store) -> None:
    store.write_state(KEY, b"\xff not json", 0)
    lease = Lease(store, own_clock(), "one")
    assert lease.beat()
    assert msgspec.json.decode(store.read_state(KEY).value, type=Held).holder == "one"


STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["beat", "pause", "stop", "kill", "down", "up"]), st.floats(0, 20)),
    max_size=60,
)


@settings(max_examples=60)
@given(steps=STEPS)
def test_never_do_two_lead_at_once(
    steps: list[tuple[int, str, float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Three collectors that pause, stop, are killed and lose the store in any order; one true time for all."""
    real = ManualClock()
    made = sqlite.build(sqlite.Config(reserve_mb=0), StoreContext(tmp_path_factory.mktemp("lease"), real, Report(real)))
    stores = [Away(made) for _ in range(3)]
    leases = [Lease(stores[n], real, f"c{n}") for n in range(3)]  # type: ignore[arg-type]
    terms: list[int] = []
    for who, what, seconds in steps:
        lease = leases[who]
        if what == "beat":
            try:
                lease.beat()
            except Transient:
                assert stores[who].down
        elif what == "pause":
            real.advance(seconds)
        elif what == "stop":
            lease.release()
        elif what == "kill":
            leases[who] = Lease(stores[who], real, f"c{who}")  # type: ignore[arg-type]
        else:
            stores[who].down = what == "down"
        leading = [lease.term for lease in leases if lease.leading]
        assert len(leading) <= 1
        terms += leading
    assert terms == sorted(terms)
    made.close()
