from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.folding import Answer, Folding


def ask(folding: Folding[str], key: str, kind: str, now: float) -> Answer:
    answer, _ = folding.ask(key, kind, now, int(now * 1000))
    if answer is Answer.TELL:
        folding.start(key, key, now, int(now * 1000))
    return answer


def test_the_first_is_told_at_once_and_the_others_as_one() -> None:
    folding: Folding[str] = Folding(window_s=60, rate=1, burst=10, most=100)
    assert [ask(folding, "a", "ra", at) for at in (0, 5, 30, 59)] == [Answer.TELL, *[Answer.FOLD] * 3]
    assert not list(folding.ended(59.9))
    (window,) = folding.ended(60)
    assert (window.what, window.again, window.first_ms, window.last_ms) == ("a", 3, 5000, 59_000)
    assert ask(folding, "a", "ra", 61) is Answer.TELL


def test_what_was_seen_once_is_not_told_again() -> None:
    folding: Folding[str] = Folding(60, 1, 10, 100)
    ask(folding, "a", "ra", 0)
    assert not list(folding.ended(60))
    assert not len(folding)


def test_a_flood_of_one_kind_leaves_the_allowance_of_another() -> None:
    folding: Folding[str] = Folding(60, rate=1, burst=10, most=100)
    answers = [ask(folding, f"na{number}", "na", 0) for number in range(1000)]
    assert answers.count(Answer.TELL) == 10
    assert answers.count(Answer.DROP) == 990
    assert ask(folding, "rogue", "ra", 0) is Answer.TELL
    assert ask(folding, "na-later", "na", 1.0) is Answer.TELL


@given(st.lists(st.tuples(st.integers(0, 20), st.floats(0, 5)), max_size=200))
def test_every_message_is_told_folded_or_dropped_and_memory_is_bounded(asked: list[tuple[int, float]]) -> None:
    folding: Folding[str] = Folding(10, rate=2, burst=5, most=8)
    now, told, dropped, folded = 0.0, 0, 0, 0
    for number, wait in asked:
        now += wait
        folded += sum(window.again for window in folding.ended(now))
        answer = ask(folding, str(number), "ra", now)
        told += answer is Answer.TELL
        dropped += answer is Answer.DROP
        assert len(folding) <= 8
    folded += sum(window.again for window in folding.flush())
    assert told + dropped + folded == len(asked)
