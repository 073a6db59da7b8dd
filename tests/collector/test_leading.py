"""Two running collectors on one store, as they run in earnest: one leads, both agents' alerts become incidents, and
when the leader stops or is cut off the other goes on in under 30 s."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from telemetry.clock import SystemClock
from telemetry.event import Event, event
from tests.collector.running import Running, collector, host


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Running, Running]]:
    store = {"type": "sqlite", "path": str(tmp_path / "data"), "reserve_mb": 0}
    async with AsyncExitStack() as stack:
        made: list[Running] = []
        for name in ("one", "two"):
            home = tmp_path / name
            home.mkdir()
            if made:  # the operator copies the authority
                shutil.copytree(tmp_path / "one" / "collector" / "ca", home / "collector" / "ca")
            made.append(await stack.enter_async_context(collector(home, store=store)))
            await until(lambda: leads(made[0]), 20)
        yield made[0], made[1]


def leads(running: Running) -> bool:
    return running.collector.operations.leading


async def until(true: Callable[[], bool], seconds: float) -> float:
    """Wait until it holds; returns how long it took."""
    started = time.monotonic()
    while not true():
        assert time.monotonic() - started < seconds
        await asyncio.sleep(0.05)
    return time.monotonic() - started


def rogue(number: int) -> Event:
    made = event(SystemClock().now_ms(), "tengwang.ndp", "router_advertisement")
    made |= {
        "tengwang.ndp.type": "router_advertisement",
        "tengwang.ndp.registered": False,
        "source.ip": f"fe80::{number:x}",
        "source.mac": f"02:00:00:00:00:{number:02x}",
    }
    return made


def counted(running: Running) -> int:
    """Alerts of the one incident that all of them make."""
    found = [one for one in running.collector.services.desk.docket.all(0) if one.key.startswith("rogue-router")]
    assert len(found) <= 1
    return found[0].count if found else 0


async def test_who_leads_finds_what_either_received_and_the_other_goes_on(pair: tuple[Running, Running]) -> None:
    one, two = pair
    assert (leads(one), leads(two)) == (True, False)
    at_one, at_two = await one.enrol(), await two.enrol(host(2))
    assert (await at_one.send([(1, rogue(1))]))[0] == 200
    own = await until(lambda: counted(one) == 1, 20)
    assert (await at_two.send([(1, rogue(2))]))[0] == 200
    others = await until(lambda: counted(one) == 2, 30)
    print(f"in the incident after {own:.2f} s, and from the other collector after {others:.2f} s")
    await asyncio.to_thread(one.collector.operations.stop)
    assert (await at_one.send([(2, rogue(3))]))[0] == 200  # it still receives, and leads no more
    assert (await at_two.send([(2, rogue(4))]))[0] == 200
    await until(lambda: leads(two), 30)
    await until(lambda: counted(two) == 4, 30)


async def test_a_leader_that_hangs_is_followed(pair: tuple[Running, Running]) -> None:
    """Its threads live but do not get to the store: as where a process is stopped by SIGSTOP or a network is cut."""
    one, two = pair
    hung = asyncio.Event()
    release = one.collector.services.lease.beat

    def cut_off() -> bool:
        hung.set()
        return False

    one.collector.services.lease.beat = cut_off  # type: ignore[method-assign]
    spent = await until(lambda: leads(two), 30)
    assert not leads(one)
    assert hung.is_set()
    assert 5 < spent < 30
    one.collector.services.lease.beat = release  # type: ignore[method-assign]
    await asyncio.sleep(3)
    assert (leads(one), leads(two)) == (False, True)
