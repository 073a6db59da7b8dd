"""``/posture`` of the API: everything in tree order, one explained, and the same for a past moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from collector import api_tokens
from collector.access.roles import Role
from collector.posture.part import INTERVAL_MS
from collector.wiring import make_posture
from telemetry.clock import iso, parse_iso
from tests.demo import INVENTORY, fill
from tests.running_site import RunningSite


class Caller:
    def __init__(self, site: RunningSite, http: aiohttp.ClientSession) -> None:
        self.site, self.http = site, http

    async def get(self, path: str, **query: str) -> tuple[int, Any]:
        async with self.http.get(self.site.url + "/api/v1" + path, params=query) as answer:
            return answer.status, await answer.json(content_type=None)


@pytest.fixture
async def caller(tmp_path: Path) -> AsyncIterator[Caller]:
    async with RunningSite(tmp_path, INVENTORY) as site:
        await fill(site, minutes=5)
        token = api_tokens.create(site.services.store, site.clock, Role.VIEWER, "test")
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http:
            yield Caller(site, http)


async def test_scores_in_tree_order(caller: Caller) -> None:
    status, found = await caller.get("/posture")
    assert status == 200
    assert found["units"][0]["subject"] == "nc"
    states = {unit["subject"]: unit["state"] for unit in found["units"]}
    assert {name for name, state in states.items() if state == "blind"} == {"hgt-sj-1", "ncx-lt", "ncx-lt-1", "jx"}
    for unit in found["units"]:
        assert (unit["score"] is None) is (unit["state"] == "blind")
    assert (found["whole"]["units"], found["whole"]["seen"]) == (9, 5)
    assert {level["subject"] for level in found["levels"]} == {"city", "county", "township", "village"}
    assert next(u for u in found["units"] if u["subject"] == "hgt")["person"].startswith("李敏")


async def test_one_is_explained_and_adds_up(caller: Caller) -> None:
    for scope, subject in (("unit", "hgt"), ("branch", "nc"), ("zone", "office"), ("level", "county"), ("all", "all")):
        status, found = await caller.get(f"/posture/{scope}/{subject}")
        assert status == 200
        assert found["score"]["score"] == pytest.approx(100 - sum(line["points"] for line in found["lines"]), abs=1e-3)
        assert found["lines"], (scope, subject)
        for line in found["lines"]:
            if line["evidence"]:
                assert line["evidence"].startswith(("/events?", "/alerts?", "/incidents?"))
    status, problem = await caller.get("/posture/unit/nobody")
    assert (status, "nobody" in problem["detail"]) == (404, True)
    assert (await caller.get("/posture/guess/hgt"))[0] == 400
    assert (await caller.get("/posture", at="yesterday"))[0] == 400


async def test_the_past_is_scored_as_it_was(caller: Caller) -> None:
    """The same moment gives the same score, asked now and asked again after more has come."""
    _, now = await caller.get("/posture")
    then = iso(parse_iso(now["at"]) // 1000 * 1000)
    _, first = await caller.get("/posture", at=then)
    caller.site.clock.shift_ms = 3_600_000
    _, later = await caller.get("/posture")
    _, again = await caller.get("/posture", at=then)
    assert first == again
    assert later["whole"]["score"] != first["whole"]["score"], "an hour later every agent is silent"
    _, before = await caller.get("/posture", at="-30d")
    assert (before["whole"]["score"], before["whole"]["state"]) == (None, "blind")


async def test_early_warnings_say_when_they_could_not_judge(caller: Caller) -> None:
    _, found = await caller.get("/early-warnings")
    assert {w["at"] for w in found["warnings"]} == {None}
    slot = caller.site.clock.now_ms() // INTERVAL_MS * INTERVAL_MS
    await asyncio.to_thread(make_posture(caller.site.services).run, slot)
    _, found = await caller.get("/early-warnings")
    assert len(found["warnings"]) == 5
    for warning in found["warnings"]:
        assert warning["at"]
        assert (warning["colour"], warning["judged"], warning["findings"]) == ("none", 0, [])
