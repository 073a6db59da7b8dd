"""A page never waits longer than it said, and many who ask the same share one question."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from collector.answers import Answers
from telemetry.clock import SystemClock
from telemetry.errors import Permanent, Transient


async def test_a_slow_answer_is_pending_then_there() -> None:
    answers = Answers(SystemClock())
    gate = threading.Event()
    asked: list[int] = []

    def slow() -> int:
        asked.append(1)
        gate.wait(5)
        return 42

    started = time.monotonic()
    first, second = await asyncio.gather(answers.panel("k", slow, wait_s=0.1), answers.panel("k", slow, wait_s=0.1))
    assert time.monotonic() - started < 1
    assert first.pending
    assert second.pending
    assert not first.known
    gate.set()
    found = await answers.panel("k", slow, wait_s=2)
    assert (found.value, found.pending, len(asked)) == (42, False, 1)
    answers.close()


async def test_an_older_answer_is_shown_while_a_newer_one_is_made() -> None:
    answers = Answers(SystemClock())
    gate = threading.Event()
    assert (await answers.panel("k", lambda: 1)).value == 1

    def slow() -> int:
        gate.wait(5)
        return 2

    shown = await answers.panel("k", slow, wait_s=0.05, fresh_s=0)
    assert (shown.value, shown.pending) == (1, True)
    gate.set()
    answers.close()


async def test_an_error_is_told_and_asked_again() -> None:
    answers = Answers(SystemClock())

    def away() -> int:
        raise Transient("the store is away")

    assert (await answers.panel("k", away)).error == "the store is away"
    assert (await answers.panel("k", lambda: 3)).value == 3
    with pytest.raises(Permanent):
        await answers.ask(lambda: _refuse())
    answers.close()


def _refuse() -> int:
    raise Permanent("bad_query", "no")


async def test_a_question_that_hangs_is_given_up() -> None:
    answers = Answers(SystemClock(), threads=1)
    gate = threading.Event()
    with pytest.raises(Transient, match="did not answer"):
        await answers.ask(lambda: gate.wait(5), timeout_s=0.05)
    gate.set()
    answers.close()
