"""Posture and the wall: what they say in both languages, for the past too, and how they look wide and on a phone."""

from __future__ import annotations

import asyncio
import html
import re
import time
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.async_api import async_playwright, expect

from collector.incidents.model import Grade
from telemetry.event import event
from tests.browser import launch
from tests.demo import INVENTORY, fill
from tests.leading import lead
from tests.running_site import Browserless, RunningSite

CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")
PATHS = (
    "/posture",
    "/posture?at=-1h",
    "/posture/all/all",
    "/posture/unit/hgt",
    "/posture/branch/hgt",
    "/posture/unit/jx",
    "/posture/zone/office",
    "/posture/level/county",
    "/wall",
)


@pytest.mark.parametrize("language", ["zh-CN", "en"])
async def test_every_page_answers_in_time_in_its_language(tmp_path: Path, language: str) -> None:
    async with RunningSite(tmp_path, INVENTORY) as site, Browserless(site) as me:
        await fill(site, minutes=10)
        await lead(site)
        me.http.headers["Accept-Language"] = language
        await me.enter()
        for path in PATHS:
            started = time.monotonic()
            status, text = await me.get(path)
            assert status == 200, path
            assert time.monotonic() - started < 2.5, path
            assert f'<html lang="{language}"' in text
            assert "{{" not in text
        for path in ("/posture/unit/nobody", "/posture/guess/hgt", "/posture/zone/nobody"):
            for _ in range(20):
                status, text = await me.get(path)
                if "data-retry" not in text:
                    break
            assert status == 404, path


async def said(me: Browserless, path: str) -> str:
    """The page, once the store has answered all of it."""
    for _ in range(40):
        _, text = await me.get(path)
        if "data-retry" not in text:
            return text
        await asyncio.sleep(0.2)
    raise AssertionError(f"{path} was never whole")


async def test_a_score_is_explained_down_to_its_records(tmp_path: Path) -> None:
    async with RunningSite(tmp_path, INVENTORY) as site, Browserless(site) as me:
        await fill(site, minutes=10)
        await lead(site)
        me.http.headers["Accept-Language"] = "en"
        await me.enter()
        text = await said(me, "/posture/unit/hgt")
        rows = re.search(r'<table class="stack deductions">.*?</table>', text, re.S)
        assert rows is not None
        points = [float(p) for p in re.findall(r">−([0-9.]+)</td>", rows[0])]
        (score,) = re.findall(r'class="score c-\w+ big">([0-9.]+)<', text)
        assert abs(100 - sum(points) - float(score)) < 0.2
        found = re.findall(r'href="(/(?:events|alerts|incidents)\?[^"]+)">Show the records', rows[0])
        assert len(found) >= 4
        for link in found:
            status, records = await me.get(html.unescape(link))
            assert status == 200
            assert "There is no" not in records, unquote(link)
            assert "Nothing was found" not in records, unquote(link)


async def test_blind_units_have_no_score_and_nobody_says_good(tmp_path: Path) -> None:
    async with RunningSite(tmp_path, INVENTORY) as site, Browserless(site) as me:
        await fill(site, minutes=5)
        me.http.headers["Accept-Language"] = "en"
        await me.enter()
        text = await said(me, "/posture/unit/jx")
        assert "Nothing measures here, so there is no score." in text
        assert '<span class="score c-blind big"' in text
        whole = await said(me, "/posture")
        assert "5 of 9 units are seen" in whole
        past = await said(me, "/posture?at=-30d")
        assert "0 of 9 units are seen" in past


async def test_a_wrong_time_is_said(tmp_path: Path) -> None:
    async with RunningSite(tmp_path, INVENTORY) as site, Browserless(site) as me:
        me.http.headers["Accept-Language"] = "en"
        await me.enter()
        status, text = await me.get("/posture?at=yesterday%22%3E")
        assert status == 200
        assert "write -1h, now, or" in text
        assert 'yesterday">' not in text


async def test_the_wall_counts_down_to_what_has_to_be_reported(tmp_path: Path) -> None:
    async with RunningSite(tmp_path, INVENTORY) as site, Browserless(site) as me:
        await fill(site, minutes=2)
        await lead(site)
        me.http.headers["Accept-Language"] = "en"
        await me.enter()
        assert "to acknowledge in 14 min" in await said(me, "/wall")
        first = site.services.desk.open()[0]
        await asyncio.to_thread(site.services.desk.acknowledge, first.id, "wang")
        await asyncio.to_thread(site.services.desk.grade, first.id, "wang", Grade.RELATIVELY_MAJOR)
        await asyncio.sleep(1.1)
        text = await said(me, "/wall")
        assert re.search(r'<span class="due[^"]*">[^<]+ → [^<]+: <b>in [0-9]+ (h|min)</b>', text), "an hour or four"
        site.clock.shift_ms = 20 * 60_000
        assert "acknowledgement is late, due" in await said(me, "/wall")


@pytest.mark.needs("chromium")
async def test_wide_on_a_phone_light_and_dark(tmp_path: Path) -> None:
    complaints: list[str] = []
    async with RunningSite(tmp_path, INVENTORY) as site, async_playwright() as play:
        agents = await fill(site, minutes=5)
        await lead(site)
        browser = await launch(play)
        for scheme, width in (("light", 360), ("dark", 360), ("light", 1440), ("dark", 1440)):
            context = await browser.new_context(locale="en-GB", viewport={"width": width, "height": 800})
            page = await context.new_page()
            page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            await page.goto(site.link())
            await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            for path in PATHS:
                await page.goto(site.url + path)
                await expect(page.locator("[data-retry]")).to_have_count(0, timeout=15_000)
                assert await page.evaluate("document.documentElement.scrollWidth") <= width, (scheme, width, path)
                assert await page.locator("h1").count() == 1, path
                assert await page.evaluate(CONTRAST) == [], (scheme, width, path)
            await context.close()
        page = await browser.new_page(locale="en-GB")
        await page.goto(site.link())
        await page.goto(site.url + "/wall")
        await expect(page.locator("#pulse")).to_have_class("pulse on")
        made = event(site.clock.now_ms(), "tengwang.ndp", "router_advertisement")
        made.update({"source.ip": "fe80::dead", "tengwang.ndp.fragmented": True, "tengwang.ndp.registered": True})
        await site.feed(agents["nc-edu-probe"], [made])
        await lead(site)
        await expect(page.locator(".wall-incidents")).to_contain_text("City Education Bureau · found", timeout=20_000)
        await browser.close()
    assert complaints == []
