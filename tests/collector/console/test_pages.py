"""Every page with real data: it answers fast, in both languages, and shows hostile text as text."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import pytest

from collector.live import MAX_SUBSCRIBERS
from telemetry.event import Event, event
from telemetry.verdict import Severity, Status, Text, Verdict
from tests.demo import INVENTORY, fill
from tests.running_site import Browserless, RunningSite

PAGES = (
    "/",
    "/agents",
    "/events",
    "/events?q=src:2001:db8::/32&since=-6h",
    "/events?q=%22&since=nonsense",
    "/alerts",
    "/aside",
    "/audit",
    "/devices",
    "/devices/nc-core-1",
    "/readiness",
    "/readiness/edu",
    "/rules",
    "/rules/6bb63fa7-5651-4c95-8bde-d3170bd03e36",
    "/health",
    "/users",
    "/account",
)
HOSTILE = "<img src=x onerror=alert(1)>\"'><script>alert(2)</script>{{7*7}}</title>"


@pytest.mark.parametrize("language", ["zh-CN", "en"])
async def test_every_page_answers_in_time_in_its_language(tmp_path: Path, language: str) -> None:
    async with RunningSite(tmp_path, INVENTORY) as site, Browserless(site) as me:
        agents = await fill(site, minutes=10)
        me.http.headers["Accept-Language"] = language
        await me.enter()
        for path in (*PAGES, *(f"/agents/{i}" for i in agents.values()), *(f"/devices/{i}" for i in agents.values())):
            started = time.monotonic()
            status, text = await me.get(path)
            assert status == 200, path
            assert time.monotonic() - started < 1.5, path
            assert f'<html lang="{language}"' in text
            assert "{{" not in text
            assert "Undefined" not in text


async def test_the_overview_is_honest_about_what_it_can_not_see(tmp_path: Path) -> None:
    async with RunningSite(tmp_path, INVENTORY) as site, Browserless(site) as me:
        await fill(site, minutes=10)
        me.http.headers["Accept-Language"] = "en"
        await me.enter()
        _, text = await me.get("/")
        assert "4 blind here" in text
        assert "1 silent" in text
        assert "blind: ndp, packets" in text
        assert "sudo setcap cap_net_raw+ep" in text
        assert "Router advertisement from a router that is not registered" in text


async def test_an_empty_collector_teaches_what_to_do(tmp_path: Path) -> None:
    async with RunningSite(tmp_path) as site, Browserless(site) as me:
        me.http.headers["Accept-Language"] = "en"
        await me.enter()
        for path, says in (
            ("/", "No unit is registered yet"),
            ("/agents", "tengwang token create --enrol"),
            ("/events", "No event in this time"),
            ("/devices", "Hosts appear with their agent"),
            ("/readiness", "Register systems with their domains"),
            ("/aside", "Nothing was set aside"),
        ):
            assert says in (await me.get(path))[1], path


async def test_hostile_text_is_shown_as_text(tmp_path: Path) -> None:
    async with RunningSite(tmp_path, INVENTORY) as site, Browserless(site) as me:
        agent = await site.enrol("evil-" + HOSTILE, "nc")
        now = site.clock.now_ms()
        hostile: list[Event] = []
        for dataset, action in (("tengwang.host", "host"), ("tengwang.flow", "flow"), ("tengwang.ndp", HOSTILE)):
            made = event(now, dataset, action)
            made.update(
                {"message": HOSTILE, "host.name": HOSTILE, "tengwang.interface.name": HOSTILE, "tags": [HOSTILE]}
            )
            hostile.append(made)
        state = event(now, "tengwang.agent", "input-state")
        state.update({"tengwang.input.type": HOSTILE, "tengwang.input.state": "blind", "event.reason": HOSTILE})
        state["tengwang.input.advice"] = HOSTILE
        words = Text(HOSTILE, HOSTILE)
        verdict = Verdict(
            HOSTILE, 1, Severity.SECURITY, HOSTILE, Status.FAIL, words, words, words, {HOSTILE: [HOSTILE]}
        )
        system = event(now, "tengwang.snmp", "system")
        system.update(
            {"tengwang.device.id": HOSTILE, "observer.name": HOSTILE, "tengwang.snmp.support": f'{{"a":"{"<b>"}"}}'}
        )
        await site.feed(agent, [*hostile, state, verdict.to_event(now), system, {HOSTILE: HOSTILE, "@timestamp": now}])
        await me.enter()
        _, events = await me.get("/events")
        records = re.findall(r'href="(/events/[^"]+)"', events)
        assert len(records) >= 5
        for path in (
            "/",
            "/agents",
            f"/agents/{agent}",
            "/events",
            "/alerts",
            "/aside",
            "/devices",
            "/readiness",
            *records,
        ):
            status, text = await me.get(path)
            assert status == 200, path
            assert "<img src=x" not in text, path
            assert "<script>alert" not in text, path
        assert "&lt;img src=x" in events
        _, text = await me.get("/events?q=%3Cscript%3Ealert(1)%3C/script%3E&since=%22%3E%3Cu%3E")
        assert "<script>alert" not in text
        assert "<u>" not in text


async def test_a_live_refresh_does_not_fill_the_audit(tmp_path: Path) -> None:
    async with RunningSite(tmp_path) as site, Browserless(site) as me:
        me.http.headers["Accept-Language"] = "en"
        await me.enter()
        await me.get("/events?q=abc")
        for _ in range(3):
            await me.get("/events?q=abc", **{"X-Live": "1"})
        _, text = await me.get("/audit?q=action:search")
        assert text.count("events: abc") == 1


async def test_what_the_store_refuses_is_said_on_every_page(tmp_path: Path) -> None:
    async with RunningSite(tmp_path) as site, Browserless(site) as me:
        me.http.headers["Accept-Language"] = "en"
        await me.enter()
        site.services.standing.down("the disk is full: free some space on /var")
        for path in ("/", "/health"):
            _, text = await me.get(path)
            assert "acknowledges nothing now" in text
            assert "free some space on /var" in text


async def test_too_many_open_pages_are_turned_away_without_a_fault(tmp_path: Path) -> None:
    async with RunningSite(tmp_path) as site, Browserless(site) as me:
        await me.enter()
        open_pages = []
        for _ in range(MAX_SUBSCRIBERS):
            listener = site.services.live.subscribe()
            open_pages.append((listener, asyncio.ensure_future(anext(listener))))
        await asyncio.sleep(0)
        async with me.http.get(site.url + "/live") as answer:
            assert (answer.status, await answer.text()) == (200, "retry: 3000\n\n")
        site.services.live.publish("events")
        for listener, waiting in open_pages:
            assert await waiting == "events"
            await listener.aclose()  # type: ignore[attr-defined]
        assert site.services.report.value("tengwang_console_errors_total") == 0
