"""The rules pages: what hit, what is not in use and why, and the rule itself."""

from __future__ import annotations

from pathlib import Path

from tests.demo import INVENTORY, fill
from tests.running_site import Browserless, RunningSite

ROGUE = "6bb63fa7-5651-4c95-8bde-d3170bd03e36"


async def test_a_rule_shows_what_it_found_what_to_do_and_its_own_text(tmp_path: Path) -> None:
    async with RunningSite(tmp_path, INVENTORY) as site, Browserless(site) as me:
        await fill(site, minutes=3)
        me.http.headers["Accept-Language"] = "zh-CN"
        await me.enter()
        _, text = await me.get("/rules")
        assert f'href="/rules/{ROGUE}"' in text
        assert f'href="/alerts?q=rule.id%3A{ROGUE}&amp;since=-24h">1</a>' in text
        _, text = await me.get(f"/rules/{ROGUE}")
        assert "未登记路由器发送路由通告" in text
        assert "RA Guard" in text
        assert "tengwang.ndp.registered: false" in text
        assert 'class="alert l-high"' in text
        status, _ = await me.get("/rules/nothing")
        assert status == 404


async def test_a_rule_that_can_not_be_used_is_shown_with_its_reason_and_the_others_go_on(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text("title: x\nlogsource: {product: tengwang}\n", encoding="utf-8")
    async with RunningSite(tmp_path / "home", INVENTORY, rules=(bad,)) as site, Browserless(site) as me:
        me.http.headers["Accept-Language"] = "en"
        await me.enter()
        _, text = await me.get("/rules")
        assert "Not in use" in text
        assert "bad.yml:" in text
        assert f'href="/rules/{ROGUE}"' in text
