"""``make shots``: a picture of every page of the console, wide and on a phone, in both languages and themes.

A real collector with a made-up hour (tests/demo.py), driven by Debian's Chromium. Pictures go to ``var/shots``;
``--readme`` also writes the few that the README shows, small, to ``deploy/pictures``.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from collector.access.roles import Role
from collector.site import SITE
from tests.browser import launch
from tests.demo import INVENTORY, fill
from tests.running_site import RunningSite

OUT = Path("var/shots")
README = Path("deploy/pictures")
WIDE, PHONE, WALL = (1440, 900), (360, 780), (3840, 2160)
PATHS = {
    "overview": "/",
    "posture": "/posture",
    "posture-unit": "/posture/unit/hgt",
    "wall": "/wall",
    "agents": "/agents",
    "agent": "/agents/{agent}",
    "events": "/events",
    "search": "/events?q=src:2001:db8:30::/48+port:443&since=-1h",
    "mistake": "/events?q=srcip:1",
    "incidents": "/incidents",
    "incident": "/incidents/{incident}",
    "on-call": "/on-call",
    "alerts": "/alerts",
    "rules": "/rules",
    "rule": "/rules/6bb63fa7-5651-4c95-8bde-d3170bd03e36",
    "devices": "/devices",
    "device": "/devices/nc-core-1",
    "readiness": "/readiness",
    "asset": "/readiness/edu",
    "aside": "/aside",
    "health": "/health",
    "audit": "/audit",
    "users": "/users",
    "account": "/account",
    "missing": "/nothing-here",
}
DARK = {"overview", "agents", "readiness", "events"}
README_SIZE = (1440, 900)
BEST = {"overview": ("zh", "en"), "incident": ("zh", "en"), "asset": ("zh", "en")}
"""Pages in the README, wide; the overview also on a phone."""


async def picture(page: Page, url: str, name: str, full: bool = True) -> None:
    await page.goto(url)
    await page.wait_for_timeout(150)
    for _ in range(20):
        if not await page.query_selector("[data-retry]"):
            break
        await page.wait_for_timeout(300)
    await page.screenshot(path=OUT / f"{name}.png", full_page=full)


async def person(
    browser: Browser, site: RunningSite, size: tuple[int, int], language: str, theme: str, entered: bool = True
) -> Page:
    """A new browser profile, logged in."""
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale="zh-CN" if language == "zh" else "en-GB",
        color_scheme="dark" if theme == "dark" else "light",
    )
    page = await context.new_page()
    if entered:
        await page.goto(site.link())
    return page


async def begin(site: RunningSite) -> str:
    """Let the demo's alerts become incidents, and one of them be taken; returns its id."""
    await site.settle(2)
    desk = site.services.desk
    rogue = next(i for i in desk.open() if i.subject.source_mac and i.level == "high")
    desk.acknowledge(rogue.id, "chen.jing")
    desk.handle(rogue.id, "chen.jing")
    desk.note(rogue.id, "chen.jing", "已在接入交换机 HGT-ACC-3 的 12 口定位到该 MAC，正在联系使用单位。")
    await site.settle()
    return rogue.id


async def for_readme(browser: Browser, site: RunningSite) -> None:
    """Small pictures of the first screen."""
    README.mkdir(parents=True, exist_ok=True)
    for name, languages in BEST.items():
        for language in languages:
            for label, size, theme in (("", README_SIZE, "light"), ("-phone", PHONE, "dark")):
                if label and name != "overview":
                    continue
                page = await person(browser, site, size, language, theme)
                await picture(page, site.url + PATHS[name], f"readme-{name}{label}-{language}", full=False)
                shutil.copy(OUT / f"readme-{name}{label}-{language}.png", README / f"{name}{label}.{language}.png")
                await page.context.close()


async def main(only: str, readme: bool) -> None:
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as home:
        async with RunningSite(Path(home), INVENTORY) as site, async_playwright() as play:
            agents = await fill(site)
            incident = await begin(site)
            site.app[SITE].users.create("admin", Role.ADMIN, "a long sentence is good")
            site.app[SITE].users.create("chen.jing", Role.OPERATOR)
            browser = await launch(play)
            for language in ("zh", "en"):
                for label, size, theme in (("wide", WIDE, "light"), ("phone", PHONE, "light"), ("dark", WIDE, "dark")):
                    page = await person(browser, site, size, language, theme)
                    for name, path in PATHS.items():
                        if only and only not in name:
                            continue
                        if label == "dark" and (language == "en" or name not in DARK):
                            continue
                        url = site.url + path.format(agent=agents["hgt-probe"], incident=incident)
                        await picture(page, url, f"{name}-{label}-{language}", full=label != "phone")
                    await page.context.close()
            for label, size, theme in (("wall", WALL, "dark"),):
                page = await person(browser, site, size, "zh", theme)
                await picture(page, site.url + "/", f"overview-{label}-zh", full=False)
            page = await person(browser, site, PHONE, "zh", "light", entered=False)
            await picture(page, site.url + "/login", "login-phone-zh")
            page = await person(browser, site, WIDE, "en", "dark", entered=False)
            await picture(page, site.url + "/login", "login-wide-en")
            page = await person(browser, site, WIDE, "zh", "light")
            await page.goto(site.url + "/alerts")
            await page.click("a[data-drawer]")
            await page.wait_for_timeout(300)
            await page.screenshot(path=OUT / "drawer-wide-zh.png")
            if readme:
                await for_readme(browser, site)
            await browser.close()
    print(f"{len(list(OUT.glob('*.png')))} pictures in {OUT}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="only pages whose name contains this")
    parser.add_argument("--readme", action="store_true", help="also write the README's pictures")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.only, arguments.readme))
