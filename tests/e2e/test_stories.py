"""From an alert to an incident that is really over, told as it happens to people; on both stores, once over IPv6 only.

Each story waits for what a measurement shows: nothing is closed by the test.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.async_api import async_playwright

from tests.browser import launch
from tests.e2e import story_site
from tests.e2e.story_site import Story, waited
from tests.lab import extranet
from tests.parts.elasticsearch import Cluster
from tests.parts.smsc import text

pytestmark = [
    pytest.mark.needs("root", "snmpd", "radvd", "nginx", "bind9", "thc-ipv6", "iproute2", "nftables", "chromium"),
    pytest.mark.timeout(400),
]
ROGUE = "Router advertisement from a router that is not registered"
ROGUE_START = extranet.ROGUE_PREFIX.removesuffix(":/64")
BUREAU = "bureau"
"""Also what the county router's agent sees on this segment is the bureau's."""
PHONE = {"width": 360, "height": 740}


@pytest.fixture(
    scope="module",
    params=["sqlite", pytest.param("elasticsearch", marks=pytest.mark.needs("elasticsearch")), "sqlite, IPv6 only"],
)
def story(request: pytest.FixtureRequest) -> Iterator[Story]:
    cluster: Cluster | None = request.getfixturevalue("elasticsearch") if request.param == "elasticsearch" else None
    with story_site.up(cluster, v4="IPv6 only" not in request.param) as made:
        made.eventually(
            "four agents are up", lambda: len([a for a in made.agent_views() if a["presence"] == "up"]) == 4
        )
        yield made


def takes_rogue(story: Story, seconds: float) -> bool:
    """Does the terminal, by its own view, take the rogue prefix (again) within this time?"""
    terminal = story.lab["terminal"]
    terminal.run("ip", "-6", "addr", "flush", "dev", "bureau", "scope", "global", "dynamic")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ROGUE_START in terminal.run("ip", "-6", "addr", "show", "dev", "bureau").stdout:
            return True
        time.sleep(0.2)
    return False


async def on_the_phone(link: str, *buttons: str) -> str:
    """Open the link as a person with one thumb would, and press; returns what the page says then."""
    async with async_playwright() as play:
        browser = await launch(play)
        context = await browser.new_context(viewport=PHONE, locale="zh-CN", has_touch=True, is_mobile=True)  # type: ignore[arg-type]
        page = await context.new_page()
        await page.goto(link)
        for name in buttons:
            async with page.expect_navigation():
                await page.get_by_role("button", name=name, exact=True).first.tap()
        wide = await page.evaluate("document.documentElement.scrollWidth")
        assert wide <= PHONE["width"], "nothing is wider than the telephone"
        said = await page.inner_text("body")
        await browser.close()
        return said


async def test_a_rogue_router_is_found_paged_blocked_verified_closed_and_the_block_undone(story: Story) -> None:
    began = time.monotonic()
    story.lab.start_rogue_ra(seconds=300)
    incident = story.incident(ROGUE, seconds=30, unit=BUREAU)
    print("found after", waited(began))
    assert time.monotonic() - began < 10

    page = story.paged(incident["id"], "chen", 20)
    story.eventually(
        "a mail", lambda: any(incident["id"] in m.as_string() or "RA" in m["Subject"] for m in story.mail.mails), 20
    )
    story.eventually("a short message", lambda: any("advertisement" in text(m) for m in story.gateway.taken), 20)
    print("paged after", waited(began))
    assert takes_rogue(story, 6), "before the block the terminal takes the rogue prefix"

    story.eventually(
        "the block is proposed",
        lambda: [a for a in story.collector.get("actions")["actions"] if a["state"] == "proposed"],
        30,
    )
    said = await on_the_phone(page["link"], "签收", "批准")
    assert "已签收" in said or "签收" in said
    assert story.incident(ROGUE, unit=BUREAU)["state"] in ("acknowledged", "handling")

    def block(state: str) -> list[dict[str, object]]:
        found = story.collector.get("actions")["actions"]
        return [a for a in found if a["action"] == "drop_rogue_ra" and a["state"] == state]

    story.eventually("the block is effective", lambda: block("effective"), 90)
    print("effective after", waited(began))
    assert not takes_rogue(story, 4), "behind the block the terminal takes it no more"
    story.lab.stop_rogue_ra()
    closed = story.incident(ROGUE, "closed", 120, BUREAU)
    print("closed by measurement after", waited(began))
    assert closed["id"] == incident["id"]
    story.eventually("the block is undone, and that is verified", lambda: block("undone"), 60)
    assert "tengwang" not in story.lab["switch"].run("nft", "list", "ruleset").stdout


def test_what_comes_back_is_the_same_incident_with_its_history(story: Story) -> None:
    before = story.incident(ROGUE, "closed", unit=BUREAU)
    story.lab.start_rogue_ra(seconds=120)
    again = story.eventually(
        "it is open again", lambda: [i for i in story.incidents(ROGUE) if i["id"] == before["id"] and i["reopened"]], 30
    )[0]
    assert again["state"] != "closed"
    story.lab.stop_rogue_ra()
    story.incident(ROGUE, "closed", 120, BUREAU)


def test_an_interface_goes_down_nobody_acknowledges_and_the_second_person_is_paged(story: Story) -> None:
    story.eventually(
        "it is known to be up", lambda: story.events("dataset:tengwang.snmp action:interface unit:city", limit=1)
    )
    time.sleep(12)  # one poll more, so that the interface was seen up by the rules that look for a change
    story.lab.cut("county", "bureau")
    try:
        incident = story.incident("interface of a device went down", seconds=60)
        assert incident["subject"]["device"] == "county-router"
        story.paged(incident["id"], "chen", 20)
        assert not story.pages(incident["id"], "sun")
        story.paged(incident["id"], "sun", story_site.SECOND_AFTER_S + 30)
    finally:
        story.lab.restore("county", "bureau")
    assert story.incident("interface of a device went down", "closed", 120)["id"] == incident["id"]


def test_the_portal_loses_its_aaaa_record_and_gets_it_back(story: Story) -> None:
    story.eventually("the check passes", lambda: story.verdicts("portal").get(1) == "pass", 60)
    story.lab.set_aaaa(False)
    try:
        incident = story.incident("lost its AAAA", seconds=60)
        assert (incident["unit"], incident["subject"]["asset"]) == ("bureau", "portal")
    finally:
        story.lab.set_aaaa(True)
    assert story.incident("lost its AAAA", "closed", 120)["id"] == incident["id"]


def test_an_agent_falls_silent_and_returns(story: Story) -> None:
    story.agents["city"].stop()
    try:
        incident = story.incident("agent fell silent", seconds=90)
    finally:
        story.agents["city"].start()
    assert story.incident("agent fell silent", "closed", 120)["id"] == incident["id"]


def test_a_block_that_the_intruder_evades_is_shown_as_not_effective_and_paged(story: Story) -> None:
    intruder = story.lab["intruder"]
    story.lab.start_rogue_ra(seconds=200)
    order = story.eventually(
        "a block is proposed anew",
        lambda: [a for a in story.collector.get("actions")["actions"] if a["state"] == "proposed"],
        60,
    )[0]
    story.approve(order["id"])
    story.eventually("it is applied", lambda: story.order(order["id"])["state"] in ("applied", "effective"), 30)
    story.lab.stop_rogue_ra()
    intruder.run("ip", "link", "set", "bureau", "address", "02:66:66:66:66:66")
    story.lab.start_rogue_ra(seconds=120)
    story.eventually("it is not effective", lambda: story.order(order["id"])["state"] == "applied_not_effective", 90)
    story.eventually(
        "somebody is told", lambda: [p for p in story.pages(order["incident"]) if p["data"].get("why") == "action"], 30
    )
    story.lab.stop_rogue_ra()
