"""Two collectors of one site: one store, one certificate authority, agents that go to either."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest

from telemetry.clock import SystemClock
from tests.collector.running import Running, collector, flow, host


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
        yield made[0], made[1]


def now() -> int:
    return SystemClock().now_ms()


async def test_an_agent_of_one_is_known_to_the_other_and_its_ledger_is_one(pair: tuple[Running, Running]) -> None:
    one, two = pair
    agent = await one.enrol()
    assert (await agent.send([(n, flow(now())) for n in (1, 2, 3)]))[0] == 200
    agent.base = two.base
    # the answer of the first was lost, so the agent sends it again, to the second
    assert (await agent.send([(n, flow(now())) for n in (3, 4)], repeat=True))[0] == 200
    for side in pair:
        services = side.collector.services
        await asyncio.to_thread(services.registry.flush)
        await asyncio.to_thread(services.ledgers.refresh)
        account = services.ledgers.account(agent.identity.agent)
        assert (account.stored, account.missing) == (4, 0)


async def test_a_host_that_enrols_at_both_is_one_agent(pair: tuple[Running, Running]) -> None:
    one, two = pair
    token = one.token(uses=1)
    first = await one.enrol(token=token)
    again = await two.enrol(token=token)
    assert again.identity.agent == first.identity.agent
    status, _ = await two.try_enrol(token, host(2), "")
    assert status in (400, 403)


async def test_a_revocation_at_one_holds_at_the_other(pair: tuple[Running, Running]) -> None:
    one, two = pair
    agent = await one.enrol()
    agent.base = two.base
    assert (await agent.send([(1, flow(now()))]))[0] == 200
    one.collector.services.registry.revoke(agent.identity.agent, "test")
    deadline = time.monotonic() + 10
    while (answer := await agent.send([(2, flow(now()))]))[0] == 200 and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    assert answer[0] == 403


async def test_agents_are_told_where_else_they_may_go(tmp_path: Path) -> None:
    from collector.config import Agents

    urls = ("https://[2001:db8::1]:8743", "https://[2001:db8::2]:8743")
    async with collector(tmp_path) as running:
        made = running.collector
        made._config = msgspec.structs.replace(made._config, agents=Agents(collectors=urls))
        agent = await running.enrol()
    assert agent.identity.collectors == urls
