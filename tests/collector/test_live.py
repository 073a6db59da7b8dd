from __future__ import annotations

import asyncio

import pytest

from collector import live
from collector.live import Live
from telemetry.clock import ManualClock, SystemClock
from telemetry.errors import Transient


async def test_topics_are_told_once_a_pause_however_often_they_are_published() -> None:
    told = Live(ManualClock())
    stream = told.subscribe()
    first = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    for _ in range(1000):
        told.publish("events")
    told.publish("alerts")
    assert await first == "alerts"
    assert await anext(stream) == "events"
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await asyncio.to_thread(told.publish, "agents")
    assert await asyncio.wait_for(waiting, 1) == "agents"
    await stream.aclose()  # type: ignore[attr-defined]
    assert told.subscribers == 0


async def test_there_is_a_bound_on_listeners(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_SUBSCRIBERS", 1)
    told = Live(SystemClock())
    one = told.subscribe()
    waiting = asyncio.ensure_future(anext(one))
    await asyncio.sleep(0)
    with pytest.raises(Transient):
        await anext(told.subscribe())
    waiting.cancel()


def test_a_topic_that_does_not_exist_is_a_mistake_of_the_program() -> None:
    with pytest.raises(ValueError, match="unknown topic"):
        Live(ManualClock()).publish("weather")
