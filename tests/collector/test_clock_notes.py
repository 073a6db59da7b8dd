"""A clock that was set back is known before anything is stored with its time."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.clock_notes import CLOCKS, MAX_NOTED, ClockNotes, noted
from telemetry.clock import ManualClock
from telemetry.errors import Transient
from tests.collector.incidents.desk_of_test import sqlite_at

NOW = 1_790_000_000_000


def test_the_start_and_each_step_back_are_noted_and_nothing_else(tmp_path: Path) -> None:
    store = sqlite_at(tmp_path, ManualClock(NOW))
    notes = ClockNotes(store, "c1")
    for at in (NOW, NOW + 5, NOW - 900, NOW + 3_600_000, NOW + 10, NOW + 20):
        notes.saw(at)
    assert dict(noted(store))["c1"].times == (NOW, NOW + 10)
    ClockNotes(store, "c1").saw(NOW + 30)  # started again
    assert dict(noted(store))["c1"].after(2) == (NOW + 30,)
    for step in range(100):
        notes.saw(NOW - step * 10_000)
    kept = dict(noted(store))["c1"]
    assert (len(kept.times), kept.times[-1]) == (MAX_NOTED, NOW - 990_000)
    store.close()


def test_what_can_not_be_noted_may_not_be_stored_and_is_noted_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = sqlite_at(tmp_path, ManualClock(NOW))
    notes = ClockNotes(store, "c1")

    def full(*_: object) -> int:
        raise Transient("no room")

    with monkeypatch.context() as broken:
        broken.setattr(store, "write_state", full)
        with pytest.raises(Transient):
            notes.saw(NOW)
    assert not list(noted(store))
    notes.saw(NOW + 7)
    assert dict(noted(store))["c1"].times == (NOW + 7,)
    store.write_state(CLOCKS + "c2", b"\xff{", 0)
    assert dict(noted(store))["c2"].count == 0
    store.close()
