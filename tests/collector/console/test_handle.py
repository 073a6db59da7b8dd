"""The page behind a link in a message: what it shows and does, whom it refuses, and that it fits a telephone."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

from collector.incidents.model import Entry, State
from collector.page import Why
from collector.query import Kind
from collector.response.model import Proposal
from collector.response.model import State as OrderState
from collector.store import Record
from telemetry.event import event
from telemetry.order import Action
from telemetry.verdict import Text
from tests.browser import launch
from tests.collector.paging_parts import INVENTORY, incident
from tests.running_site import Browserless, RunningSite

ID = "a" * 24


def link(site: RunningSite, person: str = "li", about: str = "p1") -> str:
    return "/h/" + site.services.paging.links.token(about, ID, person)


async def found(site: RunningSite, **changes: object) -> None:
    """An incident with one alert, and an action that waits for approval."""
    services, now = site.services, site.clock.now_ms()
    alert = event(now, "tengwang.alert", "ndp-rogue", kind="alert")
    alert.update(
        {
            "event.id": "alert-1",
            "rule.id": "ndp-rogue",
            "rule.name": "Router advertisement from an unregistered router",
            "tengwang.rule.name.zh": "未登记的路由器通告",
            "rule.level": "high",
            "source.ip": "fe80::5054:ff:fe12:3456",
            "source.mac": "52:54:00:12:34:56",
            "tengwang.unit.id": "county",
        }
    )
    made = incident(now, sample=("alert-1",), **changes)

    def write() -> None:
        services.store.write([Record(Kind.ALERT, "alert-1", alert)])
        services.desk.docket.create(made, Entry(now, "system", "alert"))
        proposal = Proposal(
            playbook="rogue_ra",
            title=Text("丢弃该设备的路由器通告", "Drop router advertisements of this device"),
            action=Action.DROP_ROGUE_RA,
            agent="probe-1",
            mac="52:54:00:12:34:56",
            ttl_ms=3_600_000,
            begin_ms=now,
        )
        services.responses.keep(ID, proposal)

    await asyncio.to_thread(write)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[RunningSite]:
    async with RunningSite(tmp_path, INVENTORY) as running:
        assert running.services.inventory.problems() == []
        await found(running)
        yield running


def order_of(site: RunningSite) -> str:
    (order,) = site.services.responses.of_incident(ID)
    return order.id


async def csrf(phone: Browserless, path: str) -> str:
    _, text = await phone.get(path)
    secret = re.search(r'name="csrf" value="([^"]+)"', text)
    return secret[1] if secret else ""


async def do(phone: Browserless, path: str, **form: str) -> tuple[int, str]:
    return await phone.post(path, {"csrf": await csrf(phone, path), **form})


async def test_it_opens_without_login_and_says_what_happened(site: RunningSite) -> None:
    async with Browserless(site) as phone:
        status, text = await phone.get(link(site))
    assert status == 200
    for wanted in ("未登记的路由器通告", "东湖区", "fe80::5054:ff:fe12:3456", "52:54:00:12:34:56", "建议处置", "签收"):
        assert wanted in text
    assert 'lang="zh-CN"' in text


async def test_in_the_language_of_the_person(site: RunningSite) -> None:
    async with Browserless(site) as phone:
        _, text = await phone.get(link(site, "zhao"))
    assert "Rogue router" in text
    assert "Acknowledge" in text


async def test_acknowledge_note_and_record(site: RunningSite) -> None:
    async with Browserless(site) as phone:
        status, text = await do(phone, link(site), act="acknowledge")
        assert status == 200
        assert "李工" in text
        await do(phone, link(site), act="note", text="已联系网管")
        _, text = await phone.get(link(site))
        assert "已联系网管" in text
    now = site.services.desk.get(ID)
    assert now is not None
    assert (now.state, now.acknowledged_by) == (State.ACKNOWLEDGED, "li")


async def test_an_action_is_approved_or_refused_by_the_person(site: RunningSite) -> None:
    async with Browserless(site) as phone:
        status, text = await do(phone, link(site), act="refuse", order=order_of(site))
    assert status == 200, text
    (order,) = site.services.responses.of_incident(ID)
    assert (order.state, order.decided_by) == (OrderState.REFUSED, "li")


async def test_an_action_of_another_incident_is_not_touched(site: RunningSite) -> None:
    async with Browserless(site) as phone:
        status, text = await do(phone, link(site), act="approve", order="1" * 32)
    assert status == 409
    assert "not of this incident" in text


async def test_whoever_hands_over_is_out_and_the_other_gets_a_page(site: RunningSite) -> None:
    async with Browserless(site) as phone:
        again = link(site, about="p2")
        status, text = await do(phone, link(site), act="hand_over", to="zhao")
        assert status == 403
        assert "已移交" in text
        for path in (link(site), again):
            assert (await phone.get(path))[0] == 403
            assert (await do(phone, path, act="acknowledge"))[0] == 403
        assert (await phone.get(link(site, "zhao", "p3")))[0] == 200
    now = site.services.desk.get(ID)
    assert now is not None
    assert (now.assignee, now.acknowledged_ms) == ("zhao", 0)


@pytest.mark.parametrize("token", ["x", "A" * 24, "../../etc", "A" * 4000, "%00"])
async def test_a_forged_link_is_refused_counted_and_audited(site: RunningSite, token: str) -> None:
    from collector.query import Search

    async with Browserless(site) as phone:
        status, _ = await phone.get("/h/" + token)
    if "/" in token:
        assert status == 404
        return
    assert status == 403
    assert site.services.report.value("tengwang_page_links_refused_total", reason="bad_link") == 1
    now = site.clock.now_ms()
    rows = site.services.store.search(Search(now - 60_000, now + 60_000, (), Kind.AUDIT, 10)).rows
    assert [row.doc["event.action"] for row in rows] == ["page-link-refused"]


async def test_an_expired_link_is_refused(site: RunningSite) -> None:
    path = link(site)
    site.clock.shift_ms = 25 * 3_600_000
    async with Browserless(site) as phone:
        status, text = await phone.get(path)
        assert status == 403
        assert "已过期" in text
        assert (await phone.post(path, {"act": "acknowledge"}))[0] == 403


async def test_who_guesses_is_slowed_down(site: RunningSite) -> None:
    async with Browserless(site) as phone:
        codes = [(await phone.get(f"/h/{number:024d}"))[0] for number in range(25)]
        assert 429 in codes
        assert (await phone.get(link(site)))[0] == 200


async def test_a_form_of_another_site_is_refused(site: RunningSite) -> None:
    async with Browserless(site) as phone:
        secret = await csrf(phone, link(site))
        assert (await phone.post(link(site), {"act": "acknowledge", "csrf": "wrong" * 8}))[0] == 403
        evil = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        assert (await phone.post(link(site), {"act": "acknowledge", "csrf": secret}, **evil))[0] == 403
    async with Browserless(site) as stranger:
        assert (await stranger.post(link(site), {"act": "acknowledge", "csrf": secret}))[0] == 403
    now = site.services.desk.get(ID)
    assert now is not None
    assert not now.acknowledged_ms


async def test_the_address_does_not_leak(site: RunningSite) -> None:
    async with Browserless(site) as phone, phone.http.get(site.url + link(site)) as answer:
        assert answer.headers["Referrer-Policy"] == "same-origin"  # "no-referrer" would make forms anonymous too
        assert answer.headers["Cache-Control"] == "no-store"
        assert "unsafe" not in answer.headers["Content-Security-Policy"]


@pytest.mark.needs("chromium")
async def test_on_a_small_telephone_it_fits_and_one_thumb_is_enough(site: RunningSite) -> None:
    async with async_playwright() as play:
        browser = await launch(play)
        complaints: list[str] = []
        for person, word in (("li", "签收"), ("zhao", "Acknowledge")):
            context = await browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
            page = await context.new_page()
            page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
            await page.goto(site.url + link(site, person, f"b-{person}"))
            await fits(page)
            if folder := os.environ.get("TENGWANG_SHOTS"):
                await page.screenshot(path=f"{folder}/handle-{person}.png", full_page=True)
            await page.tap(f".hand-thumb button:has-text('{word}')")
            await page.wait_for_selector(".banner.good")
            await fits(page)
            assert complaints == []
            await context.close()
            services = site.services
            await asyncio.to_thread(services.desk.false_positive, ID, "li", "test")
            await asyncio.to_thread(services.desk.reopen, ID, "li", "again")
        await browser.close()


async def fits(page: Page) -> None:
    """Nothing sticks out to the side, and everything that is pressed is at least 44 px high."""
    wide = await page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 360
    heights = await page.evaluate(
        "[...document.querySelectorAll('button, select, summary')].filter(e => e.offsetParent)"
        ".map(e => [e.textContent.trim(), e.getBoundingClientRect().height])"
    )
    assert [found for found in heights if found[1] < 40] == []


async def test_a_page_made_by_the_pager_opens(site: RunningSite) -> None:
    services = site.services
    now = services.desk.get(ID)
    assert now is not None
    assert await asyncio.to_thread(services.paging.pager.page, now, "li", Why.ESCALATION, "0")
    (made,) = services.paging.outbox.all()
    async with Browserless(site) as phone:
        status, _ = await phone.get("/h/" + made.link.rpartition("/")[2])
    assert status == 200
