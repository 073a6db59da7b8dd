"""``/api/v1/incidents`` against a live collector: alerts through the real pipeline, grouped by the real loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from collector import api_tokens
from collector.access.roles import Role
from collector.query import Equals, Kind, Search
from collector.wiring import make_operations
from telemetry.event import Event, event
from tests.demo import INVENTORY
from tests.running_site import RunningSite

API = "/api/v1/incidents"


def rogue(at_ms: int, mac: str) -> Event:
    made = event(at_ms, "tengwang.ndp", "router_advertisement")
    made |= {
        "tengwang.ndp.type": "router_advertisement",
        "tengwang.ndp.registered": False,
        "source.ip": f"fe80::{mac[-1]}",
        "source.mac": mac,
        "tengwang.ndp.hop_limit": 255,
    }
    return made


class Person:
    def __init__(self, site: RunningSite, http: aiohttp.ClientSession) -> None:
        self.site, self.http = site, http
        self.operations = make_operations(site.services)

    async def get(self, path: str, **query: str) -> tuple[int, Any]:
        async with self.http.get(self.site.url + path, params=query) as answer:
            return answer.status, await answer.json(content_type=None)

    async def post(self, path: str, **body: object) -> tuple[int, Any]:
        async with self.http.post(self.site.url + path, json=body) as answer:
            return answer.status, await answer.json(content_type=None)

    async def find(self, *macs: str) -> list[str]:
        """Rogue routers are seen, each in a unit of its own, and the leader looks."""
        for unit, mac in zip(("hgt", "ncx"), macs, strict=False):
            agent = await self.site.enrol(f"{unit}-probe", unit)
            await self.site.feed(agent, [rogue(self.site.clock.now_ms(), mac)])
        await asyncio.to_thread(self.operations.keep)
        await asyncio.to_thread(self.operations.step)
        _, found = await self.get(API)
        return [one["id"] for one in found["incidents"]]


@pytest.fixture
async def person(tmp_path: Path) -> AsyncIterator[Person]:
    async with RunningSite(tmp_path, INVENTORY) as site:
        token = api_tokens.create(site.services.store, site.clock, Role.OPERATOR, "li")
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http:
            made = Person(site, http)
            yield made
            await asyncio.to_thread(made.operations.stop)


async def test_found_acknowledged_graded_handed_over_and_closed(person: Person) -> None:
    (name,) = await person.find("02:00:00:00:00:0b")
    status, one = await person.get(f"{API}/{name}")
    assert status == 200
    assert one["incident"]["unit"] == "hgt"
    assert one["incident"]["subject"]["source_mac"] == "02:00:00:00:00:0b"
    assert one["clocks"] == []
    status, one = await person.post(f"{API}/{name}/acknowledge")
    assert (status, one["incident"]["acknowledged_by"]) == (200, "token:li")
    assert (await person.post(f"{API}/{name}/acknowledge"))[0] == 200  # a thumb that taps twice
    _, one = await person.post(f"{API}/{name}/grade", grade="relatively_major")
    phases = {c["id"]: c["phase"] for c in one["clocks"]}
    assert phases == {"operator-report": "running", "summary": "waiting"}
    _, one = await person.post(f"{API}/{name}/reported", clock="operator-report", note="12387, number 5")
    assert one["clocks"][0]["done"]
    to = person.site.services.inventory.current().inventory.people[0].id
    assert (await person.post(f"{API}/{name}/handover", to=to))[1]["incident"]["assignee"] == to
    assert (await person.post(f"{API}/{name}/note", text="the port is 5/12"))[0] == 200
    status, refused = await person.post(f"{API}/{name}/close")
    assert (status, refused["type"]) == (409, "urn:tengwang:problem:not_allowed")
    assert "still measures true" in refused["detail"]
    _, one = await person.post(f"{API}/{name}/close", reason="the port was shut by hand")
    assert one["incident"]["state"] == "closed"
    _, record = await person.get(f"{API}/{name}/history")
    said = [entry["action"] for entry in record["entries"]]
    assert said[0] == "alert"
    assert set(said) >= {"acknowledged", "graded", "report", "handed_over", "note", "state"}
    query = Search(0, 2**42, (Equals("user.name", ("token:li",)),), Kind.AUDIT)
    audited = {row.doc["event.action"] for row in person.site.services.store.search(query).rows}
    assert audited >= {"incident-acknowledged", "incident-graded", "incident-closed", "incident-handed-over"}


async def test_merged_split_suppressed_and_reopened(person: Person) -> None:
    one, other = await person.find("02:00:00:00:00:01", "02:00:00:00:00:02")
    _, whole = await person.post(f"{API}/{one}/merge", into=other)
    assert (whole["incident"]["id"], whole["incident"]["count"]) == (other, 2)
    _, apart = await person.post(f"{API}/{other}/split", alerts=[whole["alerts"][0]])
    assert apart["incident"]["count"] == 1
    _, quiet = await person.post(f"{API}/{other}/suppress", minutes=60, reason="maintenance")
    assert quiet["incident"]["suppressed_until"]
    await person.post(f"{API}/{other}/false-positive", reason="our own router")
    _, again = await person.post(f"{API}/{other}/reopen", reason="it was not ours")
    assert (again["incident"]["state"], again["incident"]["reopened"]) == ("found", 1)


async def test_a_maintenance_window_holds_is_listed_and_ended(person: Person) -> None:
    status, made = await person.post("/api/v1/suppressions", reason="cutover", minutes=60, unit="hgt")
    assert (status, made["holds"], made["by"]) == (200, True, "token:li")
    (name,) = await person.find("02:00:00:00:00:0b")
    _, one = await person.get(f"{API}/{name}")
    assert one["incident"]["suppressed_until"] == made["ends"]
    _, ended = await person.post(f"/api/v1/suppressions/{made['id']}/end")
    assert (ended["holds"], ended["ended_by"]) == (False, "token:li")
    _, listed = await person.get("/api/v1/suppressions")
    assert [s["id"] for s in listed["suppressions"]] == [made["id"]]
    assert (await person.post("/api/v1/suppressions/nothing/end"))[0] == 404
    status, refused = await person.post("/api/v1/suppressions", reason="x", minutes=60)
    assert (status, refused["type"]) == (400, "urn:tengwang:problem:bad_suppression")


async def test_the_report_says_what_is_known_and_marks_what_is_not(person: Person) -> None:
    (name,) = await person.find("02:00:00:00:00:0b")
    await person.post(f"{API}/{name}/grade", grade="major")
    for language, marks in (("zh-CN", "【待补充】"), ("en", "[to be filled in]")):
        status, draft = await person.get(f"{API}/{name}/report", language=language)
        assert status == 200
        text = draft["text"]
        assert "02:00:00:00:00:0b" in text
        assert marks in text
        for number in range(1, 9):
            assert f"\n{number}. " in text


@pytest.mark.parametrize(
    ("verb", "body", "status", "reason"),
    [
        ("note", {"text": ""}, 400, "bad_parameter"),
        ("note", {"words": "x"}, 400, "unknown_parameter"),
        ("grade", {"grade": "grave"}, 400, "bad_parameter"),
        ("handover", {"to": "nobody"}, 400, "unknown_person"),
        ("reopen", {"reason": "x"}, 409, "not_allowed"),
        ("split", {"alerts": ["made-up"]}, 409, "not_allowed"),
        ("merge", {"into": "0" * 24}, 404, "unknown_incident"),
    ],
)
async def test_a_mistake_is_told(person: Person, verb: str, body: dict[str, object], status: int, reason: str) -> None:
    (name,) = await person.find("02:00:00:00:00:0b")
    got, problem = await person.post(f"{API}/{name}/{verb}", **body)
    assert (got, problem["type"]) == (status, f"urn:tengwang:problem:{reason}")


async def test_a_viewer_may_only_look_and_an_unknown_one_is_unknown(person: Person) -> None:
    (name,) = await person.find("02:00:00:00:00:0b")
    token = api_tokens.create(person.site.services.store, person.site.clock, Role.VIEWER, "guest")
    headers = {"Authorization": f"Bearer {token}"}
    async with person.http.post(f"{person.site.url}{API}/{name}/acknowledge", json={}, headers=headers) as answer:
        assert answer.status == 403
    assert (await person.get(f"{API}/{'0' * 24}"))[0] == 404
    assert (await person.get(f"{API}/..%2f"))[0] == 404
    assert (await person.post(f"{API}/{'0' * 24}/acknowledge"))[0] == 404
    async with person.http.post(f"{person.site.url}{API}/{name}/acknowledge", data=b"{}") as answer:
        assert answer.status == 415
