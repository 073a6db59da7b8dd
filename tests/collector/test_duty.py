"""Who is on call, with overrides in the store: made, seen by another collector, ended, bounded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.duty import LONGEST_MS, Duty
from collector.incidents.oncall import PREFIX
from collector.store import Store
from telemetry.clock import ManualClock
from telemetry.errors import Permanent
from telemetry.report import Report
from tests.collector.access.sqlite_store import open_store
from tests.collector.inventory_text import RIGHT
from tests.collector.paging_parts import index

HOUR = 3_600_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_795_680_000_000)


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    made = open_store(tmp_path, clock)
    yield made
    made.close()


@pytest.fixture
def duty(store: Store, tmp_path: Path, clock: ManualClock) -> Duty:
    found = index(tmp_path, RIGHT)
    return Duty(store, lambda: found, clock, Report(clock))


def test_now_and_next(duty: Duty, clock: ManualClock) -> None:
    (turn,) = duty.turns()
    assert turn.now.person == duty.on_call(clock.ms)["soc"]
    assert turn.next is not None
    assert turn.next.on_call.person != turn.now.person
    assert duty.on_call(turn.next.at_ms)["soc"] == turn.next.on_call.person


def test_somebody_stands_in_for_a_while_also_for_another_collector(
    duty: Duty, store: Store, tmp_path: Path, clock: ManualClock
) -> None:
    found = index(tmp_path, RIGHT)
    other = Duty(store, lambda: found, clock, Report(clock))
    before = other.on_call(clock.ms)["soc"]
    made = duty.add("soc", "wang", clock.ms, clock.ms + HOUR, "chen", "ill")
    assert duty.on_call(clock.ms)["soc"] == "wang"
    clock.advance(4)
    assert other.on_call(clock.ms)["soc"] == "wang"
    assert other.on_call(clock.ms + HOUR)["soc"] == before
    assert duty.turns()[0].now.override == made.id
    other.remove(made.id)
    clock.advance(4)
    assert duty.on_call(clock.ms)["soc"] == before
    with pytest.raises(Permanent, match="not_found"):
        duty.remove(made.id)


@pytest.mark.parametrize(
    ("rotation", "person", "begin", "length"),
    [
        ("none", "wang", 0, HOUR),
        ("soc", "ghost", 0, HOUR),
        ("soc", "wang", 0, 0),
        ("soc", "wang", HOUR, -HOUR),
        ("soc", "wang", 0, LONGEST_MS + 1),
        ("soc", "wang", -9 * 24 * HOUR, 10 * 24 * HOUR),
    ],
)
def test_what_makes_no_sense_is_refused(
    duty: Duty, clock: ManualClock, rotation: str, person: str, begin: int, length: int
) -> None:
    with pytest.raises(Permanent, match="bad_override"):
        duty.add(rotation, person, clock.ms + begin, clock.ms + begin + length, "chen")


def test_old_ones_are_forgotten_and_broken_ones_left(duty: Duty, store: Store, clock: ManualClock) -> None:
    duty.add("soc", "wang", clock.ms, clock.ms + HOUR, "chen")
    store.write_state(PREFIX + "broken", b"{", 0)
    assert len(duty.overrides(0)) == 1
    clock.advance(8 * 86_400)
    assert duty.overrides(0) == ()
    assert [state.key for state in store.list_state(PREFIX)] == [PREFIX + "broken"]
