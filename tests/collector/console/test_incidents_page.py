"""The incident pages: how far each is, what a person does on them, and who may."""

from __future__ import annotations

import re
from pathlib import Path

from collector import login
from collector.access.roles import Role
from collector.incidents.model import Grade, Incident, State
from collector.site import SITE
from tests.collector.response.sent_packets import PACKETS, sent
from tests.demo import INVENTORY, fill
from tests.running_site import Browserless, RunningSite


async def rogue(site: RunningSite) -> Incident:
    """The incident that the demo's rogue router becomes."""
    await fill(site, minutes=3)
    await site.settle(2)
    return next(i for i in site.services.desk.open() if i.subject.source_ip == "fe80::bad:1" and i.level == "high")


async def test_an_alert_is_an_incident_in_the_list_with_its_unit_and_subject(tmp_path: Path) -> None:
    async with RunningSite(tmp_path, INVENTORY) as site, Browserless(site) as me:
        incident = await rogue(site)
        me.http.headers["Accept-Language"] = "zh-CN"
        await me.enter()
        _, text = await me.get("/incidents")
        assert f'href="/incidents/{incident.id}"' in text
        assert "红谷滩区信息中心" in text
        assert "02:00:00:00:ba:d1" in text
        _, text = await me.get("/incidents?state=closed")
        assert incident.id not in text
        status, _ = await me.get("/incidents?state=nonsense")
        assert status == 200
        status, _ = await me.get("/incidents/nothing")
        assert status == 404


async def test_an_operator_takes_it_grades_it_and_closes_it_only_with_a_reason(tmp_path: Path) -> None:
    async with RunningSite(tmp_path, INVENTORY) as site, Browserless(site) as me:
        incident = await rogue(site)
        me.http.headers["Accept-Language"] = "en"
        await me.enter()
        page = f"/incidents/{incident.id}"
        csrf = await me.csrf(page)

        async def do(verb: str, **form: str) -> tuple[int, str]:
            return await me.post(f"{page}/{verb}", {"csrf": csrf, **form})

        _, text = await do("acknowledge")
        assert 'aria-current="step"><span>acknowledged</span>' in text
        await do("handle")
        await do("note", text="<b>port 12</b> was shut")
        _, text = await do("grade", grade="relatively_major")
        assert "&lt;b&gt;port 12&lt;/b&gt; was shut" in text
        assert 'class="c-running"' in text or 'class="c-warning"' in text
        clock = re.findall(r'name="clock" value="([^"]+)"', text)[0]
        _, text = await do("reported", clock=clock)
        assert 'class="c-done"' in text
        _, report = await me.get(f"{page}/report")
        assert "fe80::bad:1" in report
        now = site.services.desk.get(incident.id)
        assert now is not None
        assert (now.state, now.grade) == (State.HANDLING, Grade.RELATIVELY_MAJOR)
        status, text = await do("close")
        assert status == 400
        assert "still measures true" in text
        status, _ = await do("grade", grade="nonsense")
        assert status == 400
        await do("close", reason="the exercise is over")
        now = site.services.desk.get(incident.id)
        assert now is not None
        assert now.state is State.CLOSED
        assert now.entries[-1].note == "the exercise is over"


async def test_a_viewer_reads_and_does_nothing(tmp_path: Path) -> None:
    async with RunningSite(tmp_path, INVENTORY) as site, Browserless(site) as me:
        incident = await rogue(site)
        site.app[SITE].users.create("wang.wu", Role.VIEWER)
        await me.enter(site.url + login.PATH + login.create(site.services.store, site.clock, "wang.wu"))
        _, text = await me.get(f"/incidents/{incident.id}")
        assert "fe80::" in text
        assert "/acknowledge" not in text
        csrf = await me.csrf()
        status, _ = await me.post(f"/incidents/{incident.id}/acknowledge", {"csrf": csrf})
        assert status == 403
        untouched = site.services.desk.get(incident.id)
        assert untouched is not None
        assert untouched.state is State.FOUND


async def test_packets_that_an_agent_sent_are_downloaded_from_the_incident(tmp_path: Path) -> None:
    async with RunningSite(tmp_path, INVENTORY) as site, Browserless(site) as me:
        incident = await rogue(site)
        me.http.headers["Accept-Language"] = "zh-CN"
        await me.enter()
        page = f"/incidents/{incident.id}"
        status, text = await me.post(f"{page}/packets", {"csrf": await me.csrf(page)})
        assert status == 400, "no agent here may send packets"
        assert "[actions] allow" in text
        order = sent(site, incident.id)
        _, text = await me.get(page)
        assert f'href="{page}/orders/{order}/packets">下载报文（pcapng）</a>' in text
        async with me.http.get(f"{site.url}{page}/orders/{order}/packets") as answer:
            assert (answer.status, await answer.read()) == (200, PACKETS)
            assert answer.headers["Content-Disposition"].endswith(f'{order}.pcapng"')
        status, _ = await me.get(f"/incidents/another/orders/{order}/packets")
        assert status == 404
        status, _ = await me.get(f"{page}/orders/nothing/packets")
        assert status == 404
