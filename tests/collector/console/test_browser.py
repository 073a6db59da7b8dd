"""The console in a real browser: as a person uses it, wide and on a phone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from telemetry.event import event
from tests.browser import launch
from tests.demo import INVENTORY, fill
from tests.running_site import RunningSite

pytestmark = pytest.mark.needs("chromium")
CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")
PHONE = {"width": 360, "height": 740}


@dataclass
class Desk:
    """A running collector with data, and a browser."""

    site: RunningSite
    browser: Browser
    agents: dict[str, str]
    complaints: list[str]

    async def person(self, language: str = "en-GB", viewport: dict[str, int] | None = None, enter: bool = True) -> Page:
        """Someone with a fresh profile; whatever the browser complains of is kept."""
        context = await self.browser.new_context(locale=language, viewport=viewport)  # type: ignore[arg-type]
        page = await context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._foreign)
        if enter:
            await page.goto(self.site.link())
        return page

    def _foreign(self, request: object) -> None:
        url = str(getattr(request, "url", ""))
        if not url.startswith(self.site.url):
            self.complaints.append(f"loaded from elsewhere: {url}")


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with RunningSite(tmp_path, INVENTORY) as site, async_playwright() as play:
        agents = await fill(site, minutes=10)
        browser = await launch(play)
        made = Desk(site, browser, agents, [])
        yield made
        await browser.close()
        assert made.complaints == []


async def test_a_person_logs_in_by_link_sets_a_password_and_sees_events(desk: Desk) -> None:
    page = await desk.person()
    await expect(page).to_have_url(f"{desk.site.url}/account")
    await page.get_by_label("New password", exact=False).first.fill("a long sentence is good")
    await page.get_by_label("New password again").fill("a long sentence is good")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("status").filter(has_text="The password is set")).to_be_visible()
    await page.get_by_role("link", name="Overview").click()
    await expect(page.get_by_text("Events in the last hour")).to_be_visible()
    await page.get_by_role("link", name="Events", exact=True).click()
    assert await page.locator("table.records tbody tr").count() == 50
    await page.locator("summary[aria-label]").click()
    await page.get_by_role("button", name="Log out").click()
    await expect(page).to_have_url(f"{desk.site.url}/login")
    await page.get_by_label("Name").fill("admin")
    await page.get_by_label("Password").fill("a long sentence is good")
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_text("Units in sight")).to_be_visible()


async def test_search_paging_and_the_drawer(desk: Desk) -> None:
    page = await desk.person()
    await page.goto(desk.site.url + "/events")
    await page.keyboard.press("/")
    await page.keyboard.type("src:2001:db8:30::/48 dataset:tengwang.flow")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**q=src*")
    rows = page.locator("table.records tbody tr")
    assert await rows.count() == 50
    first = await rows.first.inner_text()
    assert "2001:db8:30:" in first
    await page.get_by_role("link", name="Older").click()
    await page.wait_for_url("**after=*")
    assert await rows.first.inner_text() != first
    await rows.first.locator("a[data-drawer]").click()
    drawer = page.locator("dialog[open]")
    await expect(drawer).to_contain_text("source.ip")
    await page.keyboard.press("Escape")
    await expect(drawer).to_have_count(0)
    await page.goto(desk.site.url + "/events?q=sorce.ip:1")
    await expect(page.get_by_role("alert")).to_contain_text("did you mean 'source.ip'")


async def test_language_theme_and_time_zone_switch(desk: Desk) -> None:
    page = await desk.person("zh-CN")
    await page.goto(desk.site.url + "/agents")
    await expect(page.locator("h1")).to_contain_text("探针")
    await page.locator("summary[aria-label]").click()
    await page.get_by_role("button", name="English").click()
    await expect(page.locator("h1")).to_contain_text("Agents")
    await expect(page).to_have_url(f"{desk.site.url}/agents")
    await page.locator("summary[aria-label]").click()
    await page.get_by_role("button", name="dark", exact=True).click()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(12, 20, 24)"
    await page.locator("summary[aria-label]").click()
    await page.get_by_role("button", name="UTC", exact=True).click()
    await page.goto(desk.site.url + "/events")
    await expect(page.locator("table.records thead")).to_contain_text("UTC")


async def test_no_page_scrolls_sideways_on_a_phone(desk: Desk) -> None:
    for language in ("zh-CN", "en-GB"):
        page = await desk.person(language, PHONE)
        paths = ["/", "/agents", "/events", "/alerts", "/aside", "/audit", "/devices", "/devices/nc-core-1"]
        paths += ["/readiness", "/readiness/edu", "/health", "/users", "/account"]
        paths += [f"/agents/{desk.agents['hgt-probe']}", f"/devices/{desk.agents['hgt-probe']}"]
        for path in paths:
            await page.goto(desk.site.url + path)
            width = await page.evaluate("document.documentElement.scrollWidth")
            assert width <= 360, (language, path, width)
        await page.goto(desk.site.url + "/devices/nc-core-1")
        for box in await page.locator(".ip").all():
            shape = await box.bounding_box()
            assert shape is None or shape["x"] + shape["width"] <= 360


async def test_what_happens_arrives_while_one_looks(desk: Desk) -> None:
    page = await desk.person()
    await page.goto(desk.site.url + "/events?q=host:*fresh*")
    await expect(page.get_by_text("Nothing was found")).to_be_visible()
    await expect(page.locator("#pulse")).to_have_class("pulse on")
    await page.locator("#q").fill("half typed")
    made = event(desk.site.clock.now_ms(), "tengwang.host", "host")
    made["host.name"] = "fresh-host"
    await desk.site.feed(desk.agents["hgt-probe"], [made])
    await expect(page.locator("table.records")).to_contain_text("fresh-host")
    assert await page.locator("#q").input_value() == "half typed", "a refresh leaves what is typed"


async def test_an_alert_reaches_the_overview(desk: Desk) -> None:
    page = await desk.person()
    await page.goto(desk.site.url + "/")
    before = await page.locator(".alerts li").count()
    await expect(page.locator("#pulse")).to_have_class("pulse on")
    made = event(desk.site.clock.now_ms(), "tengwang.ndp", "router_advertisement")
    made.update({"source.ip": "fe80::dead", "tengwang.ndp.fragmented": True, "tengwang.ndp.registered": True})
    await desk.site.feed(desk.agents["nc-edu-probe"], [made])
    await expect(page.locator(".alerts")).to_contain_text("in a fragment")
    assert await page.locator(".alerts li").count() == min(before + 1, 6)


async def test_the_keyboard_reaches_everything_and_pictures_have_words(desk: Desk) -> None:
    page = await desk.person()
    await page.goto(desk.site.url + "/")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "skip"
    await page.keyboard.press("Enter")
    assert await page.evaluate("location.hash") == "#main"
    for path in ("/", "/agents", "/events", "/readiness", "/users", "/account"):
        await page.goto(desk.site.url + path)
        nameless = await page.evaluate(
            """() => [...document.querySelectorAll('a, button, input:not([type=hidden]), select, summary, img')]
              .filter((e) => e.checkVisibility() && !e.closest('[aria-hidden]'))
              .filter((e) => !(e.innerText || e.ariaLabel || e.title || e.labels?.length || e.alt === '' || e.alt
                || e.type === 'hidden')).map((e) => e.outerHTML.slice(0, 120))"""
        )
        assert nameless == [], path
        assert await page.locator("h1").count() == 1, path


async def test_colours_have_contrast(desk: Desk) -> None:
    """WCAG 2.2 AA: 4.5 to 1 between a text and the ground it stands on."""
    for scheme in ("light", "dark"):
        page = await desk.person()
        await page.emulate_media(color_scheme=scheme)
        for path in ("/", "/agents", "/events", "/readiness/edu", "/alerts", "/health"):
            await page.goto(desk.site.url + path)
            poor = await page.evaluate(CONTRAST)
            assert poor == [], (scheme, path)
