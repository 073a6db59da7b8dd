from __future__ import annotations

from collector.instances import WINDOW_S, Instances
from telemetry.clock import ManualClock


def test_restarts_are_no_clones() -> None:
    seen = Instances(ManualClock())
    assert not any(seen.cloned("a", name) for name in ["r1", "r1", "r2", "r2", "r3", "r4", "r4"])


def test_an_old_request_that_is_read_after_a_restart_is_no_clone() -> None:
    seen = Instances(ManualClock())
    assert not any(seen.cloned("a", name) for name in ["r1", "r2", "r1", "r3", "r3"])


def test_two_that_alternate_are_clones_and_both_are_refused() -> None:
    seen = Instances(ManualClock())
    answers = [seen.cloned("a", name) for name in ["r1", "r2", "r1", "r2", "r1", "r2"]]
    assert answers == [False, False, False, True, True, True]
    assert seen.conflict("a")
    assert not seen.conflict("b")


def test_it_ends_when_only_one_of_them_goes_on() -> None:
    clock = ManualClock()
    seen = Instances(clock)
    for name in ["r1", "r2", "r1", "r2"]:
        seen.cloned("a", name)
    clock.advance(WINDOW_S / 2)
    assert seen.cloned("a", "r1")
    clock.advance(WINDOW_S / 2 + 1)
    assert not seen.cloned("a", "r1")


def test_it_ends_when_the_host_enrols_again() -> None:
    seen = Instances(ManualClock())
    for name in ["r1", "r2", "r1", "r2"]:
        seen.cloned("a", name)
    seen.forget("a")
    assert not seen.cloned("a", "r3")


def test_many_instances_are_bounded() -> None:
    seen = Instances(ManualClock())
    for number in range(10_000):
        seen.cloned("a", f"r{number}")
    assert len(seen._agents["a"].last) <= 16
