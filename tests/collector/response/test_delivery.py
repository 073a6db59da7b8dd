"""Orders on their way to an agent, over the real listener and its TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from agent.order_signature import verify
from collector.response.model import Proposal, State
from telemetry.order import ORDERS_PATH, Action, Scope, SignedOrders, decode
from telemetry.verdict import Text
from tests.collector.running import AgentSide, Running, collector, flow, host
from tests.collector.test_receive import now


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Running]:
    async with collector(tmp_path) as running:
        yield running


def approved(here: Running, agent: AgentSide, mac: str = "02:00:00:00:00:66") -> str:
    proposal = Proposal(
        playbook="x", title=Text("阻断", "Block"), action=Action.BLOCK_SOURCE, agent=agent.identity.agent,
        scope=Scope.SEGMENT, mac=mac, ttl_ms=3_600_000, begin_ms=600_000,
    )  # fmt: skip
    kept = here.collector.services.responses.keep("i1", proposal)
    assert kept is not None
    here.collector.services.responses.approve(kept.id, "wang")
    return kept.id


async def fetched(agent: AgentSide) -> SignedOrders:
    status, body, _ = await agent.get(ORDERS_PATH)
    assert status == 200
    return decode(body)


async def test_an_agent_gets_its_own_orders_and_nobody_elses(here: Running) -> None:
    one, other = await here.enrol(host(1)), await here.enrol(host(2))
    assert await fetched(one) == SignedOrders()
    order = await asyncio.to_thread(approved, here, one)
    (signed,) = (await fetched(one)).orders
    read = verify(signed, one.identity.ca.encode())
    assert (read.id, read.agent, read.mac) == (order, one.identity.agent, "02:00:00:00:00:66")
    assert await fetched(other) == SignedOrders()
    view = await asyncio.to_thread(here.collector.services.responses.get, order)
    assert view.state is State.ORDERED, "it is on record that the agent has it"


async def test_the_ack_of_a_batch_names_the_version_and_the_etag_saves_the_rest(here: Running) -> None:
    agent = await here.enrol()
    _, ack, _ = await agent.send([(1, flow(now()))])
    assert "orders" not in ack, "as an older collector answers"
    await asyncio.to_thread(approved, here, agent)
    _, ack, _ = await agent.send([(2, flow(now()))])
    given = await fetched(agent)
    assert ack["orders"] == given.version
    status, body, headers = await agent.get(ORDERS_PATH, **{"If-None-Match": f'"{given.version}"'})
    assert (status, body, headers["ETag"]) == (304, b"", f'"{given.version}"')


async def test_a_withdrawal_is_another_version(here: Running) -> None:
    agent = await here.enrol()
    order = await asyncio.to_thread(approved, here, agent)
    before = await fetched(agent)
    await asyncio.to_thread(here.collector.services.responses.withdraw, order, "wang")
    after = await fetched(agent)
    assert after.version != before.version
    assert msgspec.json.decode(after.orders[0].payload)["withdraw"] is True


async def test_a_revoked_agent_gets_nothing(here: Running) -> None:
    agent = await here.enrol()
    await asyncio.to_thread(approved, here, agent)
    await asyncio.to_thread(here.collector.services.registry.revoke, agent.identity.agent, "wang")
    await asyncio.sleep(2.1)  # a cached record
    status, body, _ = await agent.get(ORDERS_PATH)
    assert status == 403
    assert b"payload" not in body
