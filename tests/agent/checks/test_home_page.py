"""The judgement of check 9."""

from __future__ import annotations

import pytest

from agent.checks.home_page import Measured, judge
from agent.probe import Visit
from agent.web import Page
from telemetry.verdict import Status


def visit(status: int = 200, error: str = "") -> Visit:
    return Visit("https://www.example.gov:443/", Page("240e::1", error, status, connect_ms=3, total_ms=9))


@pytest.mark.parametrize(
    ("visits", "wanted"),
    [
        ((visit(), visit(301)), Status.PASS),
        ((visit(399),), Status.PASS),
        ((visit(), visit(error="refused", status=0)), Status.WARN),
        ((visit(), visit(404)), Status.WARN),
        ((visit(400), visit(503)), Status.FAIL),
        ((visit(200, "timeout"),), Status.FAIL),
        ((visit(199),), Status.FAIL),
    ],
)
def test_judgement(visits: tuple[Visit, ...], wanted: Status) -> None:
    assert judge(Measured(("240e::1",), True, visits)).status == wanted


def test_without_an_address_or_a_route_nothing_is_said() -> None:
    assert judge(Measured((), False, ())).evidence["reason"] == "no_aaaa"
    assert judge(Measured(("240e::1",), False, ())).evidence["reason"] == "no_ipv6_route"
