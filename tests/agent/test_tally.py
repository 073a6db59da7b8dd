from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent import tally
from agent.tally import Tally


def scans(most: int = 8) -> Tally[str]:
    return Tally(10.0, most, 2, 1, lambda entry: len(entry.values[0]) >= 5)


def test_what_stays_below_the_floor_is_never_told() -> None:
    held = scans()
    for port in range(4):
        held.add("a", 0, (port,), 0.0, 0)
    assert list(held.due(1.0)) == []
    assert list(held.due(10.0)) == []
    assert len(held) == 0


def test_it_is_told_at_the_floor_when_it_has_grown_and_at_the_end() -> None:
    held = scans()
    told = []
    for now in range(12):
        for _ in range(5):
            held.add("a", 0, (now,), now, now * 1000)
        told += [(now, entry.counts[0], len(entry.values[0])) for _, entry in held.due(now)]
    # at 5 values; at 4 times 25 + 5 there is no more growth in the period; at its end; then a new period begins
    assert told[0] == (4, 25, 5)
    assert told[-1][0] == 10
    assert 2 <= len(told) <= 3


def test_a_flood_of_keys_does_not_push_out_who_is_counted() -> None:
    held = scans(most=4)
    for number in range(100):
        held.add("scanner", 0, (number,), 0.0, 0)
        held.add(f"forged {number}", 0, (1,), 0.0, 0)
    ((key, entry),) = held.due(1.0)
    assert (key, entry.counts[0]) == ("scanner", 100)
    assert len(held) == 4
    assert held.left_out == 97


def test_different_values_are_bounded_and_messages_are_counted_on() -> None:
    held = scans()
    for number in range(tally.MOST_VALUES + 10):
        held.add("a", 0, (number,), 0.0, 0)
    ((_, entry),) = held.due(1.0)
    assert (len(entry.values[0]), entry.counts[0]) == (tally.MOST_VALUES, tally.MOST_VALUES + 10)
    assert not held.note("a", 0, "one more")
    assert not held.note("nobody", 0, 1)


def test_the_only_value_and_the_chief_one() -> None:
    held = scans()
    for value in (1, 1, 1, 2):
        held.add("a", 0, (value,), 0.0, 0)
    held.add("b", 1, (None,), 0.0, 0)
    entries = dict(Tally.flush(held))
    assert entries == {}
    held = Tally(10.0, 8, 1, 1, lambda _: True)
    for value in (1, 1, 1, 2):
        held.add("a", 0, (value,), 0.0, 0)
    held.add("b", 0, (7,), 0.0, 0)
    told = dict(held.flush())
    assert (told["a"].only(0), told["a"].chief(0)) == (None, 1)
    assert (told["b"].only(0), told["b"].chief(0)) == (7, 7)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20), st.floats(0, 5)), max_size=80))
def test_every_message_is_counted_once_or_left_out(messages: list[tuple[int, int, float]]) -> None:
    held: Tally[int] = Tally(10.0, 3, 1, 1, lambda _: True)
    now, told, last = 0.0, 0, {}
    for key, value, later in messages:
        now += later
        for _key, entry in held.due(now):
            if entry.until <= now:
                told += entry.counts[0]
        held.add(key, 0, (value,), now, 0)
    last = {key: entry.counts[0] for key, entry in held.flush()}
    # an ended entry that was told before and did not grow is not told again, so what is told is at most everything
    assert told + sum(last.values()) + held.left_out <= len(messages)
    assert len(held) == 0
