"""``/actions`` against a live collector: who may see, who may decide, and what the answers say."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from collector import api_tokens
from collector.access.roles import Role
from collector.query import Kind, Search
from collector.response.model import Proposal
from telemetry.order import Action, Scope
from telemetry.verdict import Text
from tests.collector.response.sent_packets import PACKETS, sent
from tests.demo import INVENTORY
from tests.running_site import RunningSite

PATH = "/api/v1/actions"


class Person:
    def __init__(self, site: RunningSite, role: Role) -> None:
        self.site = site
        self.token = api_tokens.create(site.services.store, site.clock, role, role.value)

    async def ask(self, method: str, path: str, given: dict[str, str] | None = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.request(method, self.site.url + path, json=given) as answer,
        ):
            return answer.status, await answer.json(content_type=None)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[RunningSite]:
    async with RunningSite(tmp_path, INVENTORY) as made:
        yield made


def propose(site: RunningSite, mac: str = "02:00:00:00:00:66") -> str:
    proposal = Proposal(
        playbook="x", title=Text("阻断", "Block"), action=Action.BLOCK_SOURCE, agent="a1", scope=Scope.SEGMENT,
        mac=mac, ttl_ms=3_600_000, begin_ms=600_000,
    )  # fmt: skip
    kept = site.services.responses.keep("i1", proposal)
    assert kept is not None
    return kept.id


async def test_a_viewer_sees_and_may_not_decide(site: RunningSite) -> None:
    order, viewer = propose(site), Person(site, Role.VIEWER)
    status, found = await viewer.ask("GET", PATH)
    assert status == 200
    (view,) = found["actions"]
    assert (view["id"], view["state"], view["target"], view["scope"]) == (
        order, "proposed", "02:00:00:00:00:66", "segment",
    )  # fmt: skip
    assert view["state_text"] == {"zh": "待批准", "en": "Waits for approval"}
    assert (await viewer.ask("POST", f"{PATH}/{order}/approve", {}))[0] == 403
    assert (await viewer.ask("GET", f"{PATH}/{order}"))[1] == view
    assert (await viewer.ask("GET", "/api/v1/abilities")) == (200, {"agents": []})


async def test_an_operator_approves_and_withdraws(site: RunningSite) -> None:
    order, operator = propose(site), Person(site, Role.OPERATOR)
    status, view = await operator.ask("POST", f"{PATH}/{order}/approve", {})
    assert (status, view["state"], view["decided_by"]) == (200, "approved", "token:operator")
    assert view["until"] > view["decided"]
    assert len(site.services.responses.for_agent("a1").orders) == 1
    status, problem = await operator.ask("POST", f"{PATH}/{order}/approve", {})
    assert (status, problem["type"]) == (409, "urn:tengwang:problem:not_proposed")
    status, view = await operator.ask("POST", f"{PATH}/{order}/withdraw", {})
    assert (status, view["state"]) == (200, "undoing")


async def test_a_refusal_keeps_its_reason(site: RunningSite) -> None:
    order, operator = propose(site), Person(site, Role.OPERATOR)
    status, view = await operator.ask("POST", f"{PATH}/{order}/refuse", {"reason": "打印机"})
    assert (status, view["state"], view["detail"]) == (200, "refused", "打印机")
    assert (await operator.ask("GET", f"{PATH}?state=refused&incident=i1"))[1]["actions"] == [view]
    assert (await operator.ask("GET", f"{PATH}?incident=other"))[1]["actions"] == []


async def test_what_is_not_there_is_404(site: RunningSite) -> None:
    operator = Person(site, Role.OPERATOR)
    assert (await operator.ask("GET", f"{PATH}/nowhere"))[0] == 404
    assert (await operator.ask("POST", f"{PATH}/nowhere/approve", {}))[0] == 404
    assert (await operator.ask("POST", f"{PATH}/nowhere/refuse", {"reason": "x" * 501}))[0] == 400


async def test_packets_that_were_sent_are_had_by_an_operator_and_that_is_audited(site: RunningSite) -> None:
    order = sent(site, "i1")
    assert (await Person(site, Role.VIEWER).ask("GET", f"{PATH}/{order}/packets"))[0] == 403
    status, found = await Person(site, Role.OPERATOR).ask("GET", f"{PATH}/{order}/packets")
    assert (status, found["order"], found["asked_by"]) == (200, order, "wang")
    assert base64.b64decode(found["data"]) == PACKETS
    page = site.services.store.search(Search(0, 2**42, (), Kind.AUDIT, 100))
    read = [row.doc for row in page.rows if row.doc["event.action"] == "packets-read"]
    assert [doc["user.name"] for doc in read] == ["token:operator"]


async def test_packets_can_not_be_asked_for_without_an_incident_or_a_moment(site: RunningSite) -> None:
    operator, path = Person(site, Role.OPERATOR), "/api/v1/incidents/nothing/packets"
    assert (await Person(site, Role.VIEWER).ask("POST", path, {}))[0] == 403
    assert (await operator.ask("POST", path, {}))[0] == 404
    assert (await operator.ask("POST", path, {"around": "yesterday"}))[0] == 400
    assert (await operator.ask("GET", f"{PATH}/{propose(site)}/packets"))[0] == 404
