"""From an event to people through a whole running collector: webhook, mail and SMS over IPv6, and a restart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from collector.config import Paging
from collector.page import PageState
from telemetry.clock import SystemClock
from telemetry.event import Event, event
from tests.collector import running
from tests.parts import smsc, smtpd, webhook_sink

PEOPLE = """
people:
  - {id: li, name: 李工, unit: bureau, phone: "13800000001", email: li@example.gov.cn, channels: [bot]}
  - {id: wang, name: 王工, unit: bureau, phone: "13800000002", email: wang@example.gov.cn, channels: [smtp]}
  - {id: zhao, name: Zhao, unit: bureau, phone: "13800000003", language: en, channels: [smpp]}
escalations:
  - {id: all, steps: [{notify: [li, wang, zhao]}]}
units:
  - {id: office, name: 值班单位, level: county, parent: city, escalation: all}
"""
SECONDS = 30.0


def rogue(source: str = "fe80::9a:ff:fee4:899e") -> Event:
    made = event(SystemClock().now_ms(), "tengwang.ndp", "router_advertisement")
    made.update(
        {
            "source.ip": source,
            "source.mac": "02:9a:00:e4:89:9e",
            "destination.ip": "ff02::1",
            "network.type": "ipv6",
            "network.transport": "ipv6-icmp",
            "tengwang.ndp.type": "router_advertisement",
            "tengwang.ndp.registered": False,
            "tengwang.ndp.hop_limit": 255,
            "tengwang.ndp.router_lifetime": 1800,
            "tengwang.ndp.prefixes": ["2d00:bad::/64"],
            "tengwang.ndp.count": 1,
        }
    )
    return made


async def eventually(what: Callable[[], object]) -> None:
    until = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < until
        await asyncio.sleep(0.01)


@pytest.mark.needs("smsc")
async def test_an_incident_reaches_three_people_by_three_ways(tmp_path: Path) -> None:
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory" / "duty.yml").write_text(PEOPLE, encoding="utf-8")
    (tmp_path / "collector").mkdir(mode=0o700)
    (tmp_path / "collector" / "smpp.secret").write_text(smsc.PASSWORD)
    (tmp_path / "collector" / "smpp.secret").chmod(0o600)
    with webhook_sink.start() as bot, smtpd.start() as box, smsc.start() as gateway:
        notifiers = (
            {"type": "webhook", "name": "bot", "url": bot.url},
            {"type": "smtp", "host": "::1", "port": box.port, "security": "none"},
            {
                "type": "smpp",
                "host": "::1",
                "port": gateway.port,
                "user": "tengwang",
                "password_file": "smpp.secret",
                "country": "86",
            },
        )
        paging = Paging(base_url="https://soc.example.gov.cn")
        async with running.collector(tmp_path, notifiers=notifiers, paging=paging) as site:
            services = site.collector.services
            assert services.inventory.problems() == []
            agent = await site.enrol(token=site.token("office"))
            await eventually(lambda: services.lease.leading)
            begin = time.monotonic()
            status, _, _ = await agent.send([(1, rogue())])
            assert status == 200
            await eventually(lambda: bot.posted and box.mails and len(gateway.taken) >= 2)
            latency = bot.posted[0].at - begin
            print(f"\nevent sent to webhook taken: {latency:.2f} s; all three: {time.monotonic() - begin:.2f} s")
            assert latency < 10
            outbox = services.paging.outbox
            await eventually(lambda: {page.state for page in outbox.all()} >= {PageState.SENT, PageState.DELIVERED})
            assert sorted(page.person for page in outbox.all()) == ["li", "wang", "zhao"]
            text = bot.posted[0].json()["text"]
            assert text.startswith("【滕网】")
            assert "值班单位" in text
            assert "https://soc.example.gov.cn/h/" in text
            assert box.mails[0]["To"] == "wang@example.gov.cn"
            sms = "".join(smsc.text(line) for line in gateway.taken)
            assert sms.startswith("[Tengwang] ")
            incident = services.desk.open()[0]
            await eventually(lambda: services.desk.open()[0].state.value == "notified")
            path = text.rpartition("gov.cn")[2].split()[0]
            async with aiohttp.ClientSession() as phone, phone.get(site.collector.console_urls[0] + path) as answer:
                assert answer.status == 200
            for number in range(2, 12):  # a flood of the same is one incident, and one page
                await agent.send([(number, rogue())])
            await asyncio.sleep(2)
            assert (len(bot.posted), len(box.mails), len(gateway.taken)) == (1, 1, 2)
        async with running.collector(tmp_path, notifiers=notifiers, paging=paging) as site:
            services = site.collector.services
            await eventually(lambda: services.lease.leading)
            await asyncio.sleep(3)
            assert (len(bot.posted), len(box.mails), len(gateway.taken)) == (1, 1, 2)
            services.desk.acknowledge(incident.id, "li")


async def test_without_a_channel_the_collector_says_so_itself(tmp_path: Path) -> None:
    async with running.collector(tmp_path) as site:
        services = site.collector.services
        agent = await site.enrol(token=site.token("bureau"))
        await agent.send([(1, rogue())])
        await eventually(lambda: services.desk.open())
        await eventually(lambda: services.paging.dead_man._unaddressed)
        codes = [trouble.code for trouble in services.paging.dead_man.look()]
        assert codes == ["no_channel", "nobody"]
        await eventually(lambda: any(one.rule == "tengwang-paging-fails" for one in services.desk.open()))
