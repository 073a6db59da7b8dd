from __future__ import annotations

from agent import presence
from agent.presence import Change, Key, Presence

PC, PHONE = (2, b"\2\0\0\0\0\1"), (2, b"\2\0\0\0\0\2")


def step(held: Presence, now: float) -> list[tuple[Key, Change]]:
    out = []
    for key, terminal, change in held.due(now):
        out.append((key, change))
        presence.told(terminal, now)
    return out


def test_a_terminal_appears_changes_stays_and_leaves() -> None:
    held = Presence(16, again_s=600, absent_s=900)
    held.see(PC, "2001:db8::1", "", 0, 0)
    assert step(held, 0) == [(PC, Change.APPEARED)]
    held.see(PC, "2001:db8::1", "", 5, 0)
    assert step(held, 5) == []
    held.see(PC, "192.0.2.1", "pc-7", 6, 0)
    assert step(held, 7) == []  # changes are told every ten seconds at most
    assert step(held, 10) == [(PC, Change.CHANGED)]
    held.see(PC, "", "", 605, 0)
    assert step(held, 610) == [(PC, Change.PRESENT)]
    assert step(held, 1504) != [(PC, Change.LEFT)]
    assert step(held, 1506) == [(PC, Change.LEFT)]
    assert len(held) == 0


def test_what_is_not_told_comes_again() -> None:
    held = Presence(16, 600, 900)
    held.see(PC, "", "", 0, 0)
    assert [change for _, _, change in held.due(0)] == [Change.APPEARED]
    assert step(held, 1) == [(PC, Change.APPEARED)]


def test_who_was_never_told_does_not_leave() -> None:
    held = Presence(16, 600, 10)
    held.see(PC, "", "", 0, 0)
    assert step(held, 20) == []


def test_a_flood_of_invented_macs_pushes_out_itself() -> None:
    held = Presence(16, 600, 900)
    for now in (0, 3):
        held.see(PC, "", "", now, 0)
        held.see(PHONE, "", "", now, 0)
    for number in range(1000):
        held.see((2, number.to_bytes(6, "big")), "", "", 4, 0)
    there = {key for key, _, _ in held.due(5)}
    assert {PC, PHONE} <= there
    assert len(held) == 16
    assert held.left_out == 986


def test_of_a_crowd_that_comes_at_once_only_who_stays_is_told() -> None:
    held = Presence(4096, 600, 900)
    for number in range(300):
        held.see((2, number.to_bytes(6, "big")), "", "", 0, 0)
    held.see(PC, "", "", 0, 0)
    assert step(held, 1) == []
    held.see(PC, "", "", 5, 0)
    assert step(held, 5) == [(PC, Change.APPEARED)]
    assert step(held, 901) == [(PC, Change.PRESENT)]


def test_the_addresses_of_a_terminal_are_bounded_and_the_newest_are_kept() -> None:
    held = Presence(16, 600, 900)
    for number in range(40):
        held.see(PC, f"2001:db8::{number}", "", 0, 0)
    ((_, terminal, _),) = held.due(0)
    assert list(terminal.addresses) == [f"2001:db8::{number}" for number in range(24, 40)]
