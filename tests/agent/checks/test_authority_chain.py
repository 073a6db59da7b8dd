"""The judgement of check 2."""

from __future__ import annotations

import pytest

from agent.checks.authority_chain import Asked, Config, Measured, judge
from telemetry.verdict import Status


def asked(server: str, address: str, udp: str = "ok", tcp: str = "ok", authoritative: bool = True) -> Asked:
    return Asked(server, address, udp, tcp, authoritative)


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ((asked("a", "240e::1"), asked("b", "240e::2")), Status.PASS),
        ((asked("a", "240e::1"), asked("b", "240e::2"), asked("c", "240e::3", udp="timeout")), Status.WARN),
        ((asked("a", "240e::1"), asked("b", "240e::1")), Status.WARN),
        ((asked("a", "240e::1"), asked("a", "240e::2")), Status.WARN),
        ((asked("a", "240e::1"), asked("b", "240e::2", tcp="timeout")), Status.WARN),
        ((asked("a", "240e::1", authoritative=False),), Status.FAIL),
        ((asked("a", "240e::1", udp="refused", tcp="refused"),), Status.FAIL),
        ((), Status.FAIL),
    ],
)
def test_judgement(told: tuple[Asked, ...], wanted: Status) -> None:
    measured = Measured("example.gov", "ok", ("a", "b", "c"), told, routed=True)
    assert judge(measured, Config()).status == wanted


def test_one_may_be_enough_by_configuration() -> None:
    measured = Measured("example.gov", "ok", ("a",), (asked("a", "240e::1"),), routed=True)
    assert judge(measured, Config(wanted=1)).status == Status.PASS


def test_without_a_zone_or_a_route_nothing_is_said() -> None:
    no_zone = judge(Measured("", "timeout", (), (), routed=False), Config())
    assert (no_zone.status, no_zone.evidence["reason"]) == (Status.NOT_TESTED, "no_dns")
    no_route = judge(Measured("z", "ok", ("a",), (asked("a", "240e::1", "timeout"),), routed=False), Config())
    assert (no_route.status, no_route.evidence["reason"]) == (Status.NOT_TESTED, "no_ipv6_route")
