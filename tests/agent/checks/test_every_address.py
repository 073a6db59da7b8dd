"""The judgement of check 11."""

from __future__ import annotations

import pytest

from agent.checks.every_address import Measured, judge
from telemetry.verdict import Status

A, B = "240e::1", "240e::2"


@pytest.mark.parametrize(
    ("ports", "wanted"),
    [
        ({80: {A: "open", B: "open"}, 443: {A: "open", B: "open"}}, Status.PASS),
        ({80: {A: "open", B: "timeout"}, 443: {A: "timeout", B: "open"}}, Status.PASS),
        ({80: {A: "open", B: "refused"}, 443: {A: "open", B: "timeout"}}, Status.WARN),
        ({80: {A: "refused", B: "refused"}}, Status.FAIL),
    ],
)
def test_judgement(ports: dict[int, dict[str, str]], wanted: Status) -> None:
    assert judge(Measured((A, B), True, ports)).status == wanted


def test_without_an_address_or_a_route_nothing_is_said() -> None:
    assert judge(Measured((), False, {})).evidence["reason"] == "no_aaaa"
    assert judge(Measured((A,), False, {})).evidence["reason"] == "no_ipv6_route"
