from __future__ import annotations

import math

import pytest

from agent import questions
from agent.decoders.dns import Message
from agent.questions import Questions

CLIENT, SERVER = b"\xc0\0\2\1", b"\xc0\0\2\2"


def message(name: str, number: int = 1, response: bool = False, code: str = "NOERROR") -> Message:
    return Message(number, response, code, name, name.encode(), "A", (), -1)


def ask(held: Questions, name: str, now: float, number: int = 1, domain: str = "ex.test") -> None:
    held.ask(CLIENT, SERVER, 5000, message(name, number), domain, 30, now, int(now * 1000))


def answer(held: Questions, name: str, now: float, number: int = 1, code: str = "NOERROR") -> None:
    made = message(name, number, response=True, code=code)
    held.answer(CLIENT, SERVER, 5000, made, "ex.test", 60, now, int(now * 1000))


def made() -> Questions:
    return Questions(60.0, 5.0, busy_names=20, busy_queries=100, most=64)


def test_a_few_questions_are_told_when_the_window_ends() -> None:
    held = made()
    for number, name in enumerate(("www.ex.test", "mail.ex.test", "www.ex.test")):
        ask(held, name, number, number)
        answer(held, name, number + 0.25, number, "NXDOMAIN" if name[0] == "m" else "NOERROR")
    assert list(held.due(59)) == []
    ((key, told),) = held.due(60)
    assert key == (CLIENT, SERVER, "ex.test")
    assert (told.queries, len(told.names), told.refused, told.failed) == (3, 2, 1, 0)
    assert told.label_length() == 3.5
    assert told.bytes == 3 * 90
    assert told.latency / told.answered == 0.25
    assert len(held) == 0


def test_a_busy_sum_is_told_soon_and_one_over_all_domains_at_the_end() -> None:
    held = made()
    for number in range(30):
        ask(held, f"{number:032x}.ex.test", 1.0, number)
    assert list(held.due(5)) == []
    ((key, told),) = held.due(6)
    assert key[2] == "ex.test"
    assert (told.queries, len(told.names), told.label_length()) == (30, 30, 32.0)
    ((key, told),) = held.due(61)
    assert key == (CLIENT, b"", "")
    assert told.queries == 30


def test_entropy_is_in_bits_a_letter() -> None:
    held = made()
    ask(held, "abcd.ex.test", 0.0)
    ask(held, "aaaa.ex.test", 0.0)
    ((_, told),) = held.due(60)
    shares = (5 / 8, 1 / 8, 1 / 8, 1 / 8)
    assert told.entropy() == pytest.approx(-sum(s * math.log2(s) for s in shares))


def test_a_late_or_unasked_answer_has_no_latency() -> None:
    held = made()
    ask(held, "www.ex.test", 0.0)
    answer(held, "www.ex.test", 11.0)
    answer(held, "www.ex.test", 12.0, number=9)
    ((_, told),) = held.due(60)
    assert told.answered == 0


def test_answers_alone_are_no_sum() -> None:
    held = made()
    answer(held, "www.ex.test", 0.0, code="SERVFAIL")
    assert list(held.due(60)) == []


def test_sums_names_and_open_questions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "MOST_NAMES", 100)
    monkeypatch.setattr(questions, "MOST_OPEN", 50)
    held = made()
    for number in range(1000):
        ask(held, f"{number}.x.test", 0.0, number, domain=f"d{number % 200}.test")
    assert len(held) == 64
    assert held.left_out > 0
    told = list(held.flush())
    assert sum(len(one.names) for _, one in told) <= 100
    assert len(held._open) <= 50
    assert held._names == 0
