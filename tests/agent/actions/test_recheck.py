"""recheck: the check that an order names is made now, and its verdict carries the order's id."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.actions.recheck import Recheck
from agent.home import Home
from agent.remeasure import Remeasure, narrowed
from agent.segment import view
from telemetry.clock import SystemClock
from telemetry.errors import Permanent
from telemetry.event import TIMESTAMP, Event
from telemetry.order import Action
from telemetry.report import Report
from telemetry.validate import validate
from telemetry.work import Router, System, Work
from tests.agent.actions.lan import now_ms, order


def recheck(folder: Path, told: list[Event], work: Work) -> Recheck:
    home = Home(folder)
    home.make()
    return Recheck(Remeasure((), home, SystemClock(), Report(), told.append, lambda: work))


def test_it_judges_only_what_was_heard_lately(tmp_path: Path) -> None:
    told: list[Event] = []
    action = recheck(tmp_path, told, Work(version="1", routers=(Router("r", macs=("02:00:00:00:00:01",)),)))
    rogue: Event = {
        TIMESTAMP: now_ms() - 60_000, "source.ip": "fe80::66", "source.mac": "02:00:00:00:00:66",
        "tengwang.ndp.prefixes": ["2001:db8:bad::/64"], "tengwang.ndp.router_lifetime": 1800,
        "tengwang.ndp.registered": False, "tengwang.interface.name": "eth0",
    }  # fmt: skip
    view().listening(now_ms() - 600_000, ("eth0",))
    try:
        view().record(rogue)
        assert action.act(order(Action.RECHECK, check="rogue_ra")).detail.endswith("pass")
        view().record({**rogue, TIMESTAMP: now_ms()})
        assert action.act(made := order(Action.RECHECK, check="rogue_ra")).detail.endswith("fail")
    finally:
        view().listening(None, ())
        view().record({**rogue, TIMESTAMP: 0})
    assert [e["tengwang.check.status"] for e in told] == ["pass", "fail"]
    assert told[1]["tengwang.order.id"] == made.id
    for event in told:
        validate(event)


@pytest.mark.parametrize(
    ("check", "subject", "reason"),
    [("no_such", "", "unknown_check"), ("../x", "", "unknown_check"), ("aaaa", "www.nowhere.test", "no_subject")],
)
def test_what_it_can_not_measure_it_says(tmp_path: Path, check: str, subject: str, reason: str) -> None:
    with pytest.raises(Permanent, match=reason):
        recheck(tmp_path, [], Work()).act(order(Action.RECHECK, check=check, subject=subject))


def test_only_what_the_order_is_about_is_measured() -> None:
    systems = (System("a", "A", ("a.test", "b.test")), System("c", "C", ("c.test",)))
    assert [s.domains for s in narrowed(Work(systems=systems), "b.test").systems] == [("b.test",)]
    assert narrowed(Work(systems=systems), "").systems == systems
