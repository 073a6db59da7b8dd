"""Two running collectors on one store, as they run in earnest: one leads, both agents' alerts become incidents, and
when the leader stops or is cut off the other goes on in under 30 s."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from collector.config import Operations, Rules
from collector.incidents.model import Incident, State
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


RULE = """
title: A bad router
id: 11111111-2222-4333-8444-555555555555
logsource: {product: tengwang, category: network, service: ndp}
detection:
  bad: {event.action: router_advertisement, source.ip: "fe80::7"}
  condition: bad
level: high
tengwang:
  class: network-attack
  incident: {by: [source.ip], family: bad-router}
  over: {quiet: 6s}
"""


async def test_it_closes_by_itself_when_the_agent_sees_no_more_of_it_and_opens_again(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "bad.yml").write_text(RULE, encoding="utf-8")
    rules = Rules(packaged=False, paths=(str(tmp_path / "rules"),))
    async with collector(tmp_path, rules=rules, operations=Operations(hold_s=1)) as running:
        agent = await running.enrol()
        numbers = itertools.count(1)

        async def report(*events: Event) -> None:
            now = SystemClock().now_ms()
            status = event(now, "tengwang.agent", "status", kind="state")
            status["process.uptime"] = 3600
            state = event(now, "tengwang.agent", "input-state", kind="state")
            state |= {"tengwang.input.type": "ndp", "tengwang.input.state": "on"}
            assert (await agent.send([(next(numbers), one) for one in (status, state, *events)]))[0] == 200

        async def until_state(wanted: State, seconds: float) -> Incident:
            started = time.monotonic()
            while True:
                found = [i for i in running.collector.services.desk.docket.all(0) if i.key.startswith("bad-router")]
                if found and found[0].state is wanted:
                    return found[0]
                assert time.monotonic() - started < seconds, found
                await report()
                await asyncio.sleep(0.5)

        await report(rogue(7))
        first = await until_state(State.FOUND, 20)
        closed = await until_state(State.CLOSED, 60)
        assert closed.id == first.id
        assert closed.closed_ms - closed.arrived_ms >= 6000
        assert closed.entries[0].action == "alert"
        assert closed.entries[-1].data["measured"] is True
        await report(rogue(7))
        again = await until_state(State.FOUND, 20)
        assert (again.id, again.reopened, again.count) == (first.id, 1, 2)
