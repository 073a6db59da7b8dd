"""The judgement of check 12."""

from __future__ import annotations

import pytest

from agent.checks.port_parity import Measured, judge
from telemetry.verdict import Status

SIX, FOUR = "240e::1", "192.0.2.1"
Ports = dict[int, str]


@pytest.mark.parametrize(
    ("six", "four", "wanted"),
    [
        ({80: "open", 443: "open"}, {80: "open", 443: "open"}, Status.PASS),
        ({80: "open", 443: "open"}, {80: "refused", 443: "open"}, Status.PASS),
        ({80: "open", 443: "refused"}, {80: "open", 443: "open"}, Status.FAIL),
        ({80: "open"}, {80: "refused"}, Status.NOT_TESTED),
    ],
)
def test_judgement(six: Ports, four: Ports, wanted: Status) -> None:
    v6 = {port: {SIX: state} for port, state in six.items()}
    v4 = {port: {FOUR: state} for port, state in four.items()}
    assert judge(Measured((SIX,), True, v6, v4)).status == wanted


def test_one_open_address_opens_the_port() -> None:
    v6 = {443: {SIX: "timeout", "240e::2": "open"}}
    assert judge(Measured((SIX, "240e::2"), True, v6, {443: {FOUR: "open"}})).status == Status.PASS


def test_a_single_stack_system_is_not_compared() -> None:
    assert judge(Measured((SIX,), True, {80: {SIX: "open"}}, {})).evidence["reason"] == "no_ipv4"
    assert judge(Measured((), True, {}, {})).evidence["reason"] == "no_aaaa"
    assert judge(Measured((SIX,), False, {}, {})).evidence["reason"] == "no_ipv6_route"
