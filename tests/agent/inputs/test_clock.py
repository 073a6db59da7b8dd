from __future__ import annotations

from pathlib import Path

import pytest

from agent.input import Context
from agent.inputs.clock import ClockInput, Config, Reading, build, read
from telemetry.clock import ManualClock
from telemetry.event import Event
from telemetry.report import Report
from telemetry.validate import validate
from telemetry.work import Work


def context(emitted: list[Event], folder: Path) -> Context:
    return Context(
        clock=ManualClock(7), report=Report(ManualClock()), emit=emitted.append, work=lambda: Work(), state=folder
    )


def test_the_kernel_gives_its_own_account() -> None:
    first, second = read(), read()
    assert 0 <= first.max_error <= 2**31
    assert first.synchronized == second.synchronized


@pytest.mark.parametrize("synchronized", [True, False])
async def test_a_reading_becomes_one_event(synchronized: bool, tmp_path: Path) -> None:
    emitted: list[Event] = []
    source = ClockInput(Config(), context(emitted, tmp_path), ask=lambda: Reading(synchronized, 1234))
    await source.collect()
    (made,) = emitted
    validate(made)
    assert (made["event.dataset"], made["event.action"], made["@timestamp"]) == ("tengwang.host", "clock", 7)
    assert made["tengwang.clock.synchronized"] is synchronized
    assert made["tengwang.clock.max_error"] == 1234


async def test_the_real_clock_is_read_without_privilege(tmp_path: Path) -> None:
    emitted: list[Event] = []
    await build(Config(), context(emitted, tmp_path)).collect()
    assert len(emitted) == 1
