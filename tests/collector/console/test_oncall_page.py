"""The on-call page and its API: who is called, stand-ins, dead letters, what is wrong; for readers and operators."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import pytest
from playwright.async_api import async_playwright

from collector import api_tokens
from collector.access.roles import Role
from collector.outbox import Way
from collector.page import page_id
from collector.site import SITE
from telemetry.errors import Permanent, Transient
from tests.browser import launch
from tests.collector.paging_parts import INVENTORY, Tape, incident
from tests.collector.paging_parts import page as a_page
from tests.running_site import Browserless, RunningSite

DAY_MS = 86_400_000


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[RunningSite]:
    async with RunningSite(tmp_path, INVENTORY) as running:
        await asyncio.to_thread(fill, running)
        yield running


def fill(site: RunningSite) -> None:
    """A page that was sent, one that waits, and a dead letter."""
    paging, now = site.services.paging, site.clock.now_ms()
    sms, mail = Tape(), Tape()
    paging.outbox.use([Way("sms", 60, sms), Way("mail", 60, mail)])
    for person, errors in (
        ("li", []),
        ("zhao", [Transient("the gateway answered 0x00000058 Throttling error")]),
        ("wang", [Permanent("no_phone", "wang has no phone number")]),
    ):
        about = page_id(incident(now).id, 0, "0", person)
        paging.outbox.put(a_page(person, now - 60_000, id=about, channels=("sms",)))
        sms.errors = list(errors)
        paging.outbox.send(Way("sms", 60, sms), about)
    paging.dead_man.look()


async def test_who_is_on_call_and_what_became_of_pages(site: RunningSite) -> None:
    async with Browserless(site) as person:
        await person.enter()
        status, text = await person.get("/on-call")
        assert status == 200
        for wanted in ("值班", "李工", "未送达", "wang has no phone number", "已发送", "等待发送"):
            assert wanted in text
        assert "/h/" not in text  # links are for the person alone
        _, overview = await person.get("/")
        assert "有通知未能送达" in overview  # said on every page


async def test_an_operator_lets_somebody_stand_in_and_ends_it(site: RunningSite) -> None:
    async with Browserless(site) as person:
        await person.enter()
        form = {"csrf": await person.csrf(), "rotation": "soc", "person": "wang", "until": "2099-01-01T08:30"}
        assert (await person.post("/on-call/overrides", form))[0] == 400
        soon = site.clock.now_ms() + DAY_MS
        form["until"] = _wall(soon)
        status, text = await person.post("/on-call/overrides", form)
        assert status == 200
        assert "代班" in text
        (made,) = site.services.paging.duty.overrides(0)
        assert site.services.paging.duty.on_call(site.clock.now_ms()) == {"soc": "wang"}
        status, _ = await person.post(f"/on-call/overrides/{made.id}/remove", {"csrf": await person.csrf()})
        assert status == 200
        assert site.services.paging.duty.overrides(0) == ()


def _wall(ms: int) -> str:
    import datetime

    from collector.console.view import ZONES
    from telemetry.clock import EPOCH

    moment = (EPOCH + datetime.timedelta(milliseconds=ms)).astimezone(ZONES["Asia/Shanghai"][0])
    return f"{moment:%Y-%m-%dT%H:%M}"


async def test_a_dead_letter_is_sent_again_or_seen_to(site: RunningSite) -> None:
    outbox = site.services.paging.outbox
    (dead,) = outbox.dead()
    async with Browserless(site) as person:
        await person.enter()
        form = {"csrf": await person.csrf(), "page": dead.id, "act": "seen"}
        assert (await person.post("/on-call/pages", form))[0] == 200
        assert outbox.dead() == []
        assert (await person.post("/on-call/pages", {**form, "act": "again"}))[0] == 200
        assert len(outbox.waiting()) == 2
        assert (await person.post("/on-call/pages", {**form, "page": "nothing"}))[0] == 400


async def test_a_viewer_may_look_and_nothing_else(site: RunningSite) -> None:
    from collector.login import PATH, create

    services = site.services
    site.app[SITE].users.create("looker", Role.VIEWER)
    async with Browserless(site) as person:
        await person.enter(site.url + PATH + create(services.store, services.clock, "looker"))
        status, text = await person.get("/on-call")
        assert status == 200
        assert "/on-call/overrides" not in text
        assert (await person.post("/on-call/overrides", {"csrf": await person.csrf()}))[0] == 403


async def test_the_api_tells_and_changes_the_same(site: RunningSite) -> None:
    services = site.services
    token = api_tokens.create(services.store, services.clock, Role.OPERATOR, "t", 0, "t")
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(site.url, headers=headers) as program:
        async with program.get("/api/v1/on-call") as answer:
            assert answer.status == 200
            told = await answer.json()
        assert told["rotations"][0]["person"] in ("li", "zhao")
        assert told["dead_letters"][0]["error"] == "no_phone: wang has no phone number"
        assert {trouble["code"] for trouble in told["troubles"]} == {"dead_letters"}
        end = f"{_wall(site.clock.now_ms() + DAY_MS)}:00+08:00"
        given = {"rotation": "soc", "person": "wang", "until": end, "note": "代"}
        async with program.post("/api/v1/on-call/overrides", json=given) as answer:
            assert answer.status == 200
            made = await answer.json()
        async with program.post(f"/api/v1/on-call/overrides/{made['id']}/remove", json={}) as answer:
            assert answer.status == 200
        async with program.post(f"/api/v1/on-call/overrides/{made['id']}/remove", json={}) as answer:
            assert answer.status == 404
        dead = {"page": told["dead_letters"][0]["id"], "action": "again"}
        async with program.post("/api/v1/on-call/pages", json=dead) as answer:
            assert (await answer.json())["state"] == "waiting"
        async with program.post("/api/v1/on-call/overrides", json={**given, "person": "ghost"}) as answer:
            assert answer.status == 400


@pytest.mark.needs("chromium")
async def test_it_fits_a_telephone_and_a_wide_screen(site: RunningSite) -> None:
    async with async_playwright() as play:
        browser = await launch(play)
        for language, size in (("zh-CN", (360, 740)), ("en-GB", (360, 740)), ("zh-CN", (1440, 900))):
            view = {"width": size[0], "height": size[1]}
            context = await browser.new_context(viewport=view, locale=language)  # type: ignore[arg-type]
            page = await context.new_page()
            await page.goto(site.link())
            await page.goto(site.url + "/on-call")
            assert await page.evaluate("document.documentElement.scrollWidth") <= size[0]
            if folder := os.environ.get("TENGWANG_SHOTS"):
                await page.screenshot(path=f"{folder}/oncall-{language}-{size[0]}.png", full_page=True)
            await context.close()
        await browser.close()


def test_no_link_of_a_page_is_in_what_readers_get() -> None:
    from collector.views.oncall import PageView

    assert not {"link", "text", "subject"} & {field.name for field in msgspec.structs.fields(PageView)}
    assert re.fullmatch(r"[0-9a-f]{32}", a_page().message_id)
