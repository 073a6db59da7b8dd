"""The judgement of check 18."""

from __future__ import annotations

import pytest

from agent.checks.tls_parity import Measured, Side, judge
from telemetry.verdict import Status

BOTH = ("TLSv1.2", "TLSv1.3")


def side(print_: str = "aa", protocols: tuple[str, ...] = BOTH, hsts: str = "", port: int = 443) -> Side:
    return Side(port, "240e::1", "", print_, protocols, hsts)


@pytest.mark.parametrize(
    ("six", "four", "different"),
    [
        (side(), side(), []),
        (side("bb"), side(), ["certificate"]),
        (side(protocols=("TLSv1.2",)), side(), ["protocols"]),
        (side(), side(hsts="max-age=1"), ["hsts"]),
        (side("bb", (), "x"), side(), ["certificate", "protocols", "hsts"]),
    ],
)
def test_judgement(six: Side, four: Side, different: list[str]) -> None:
    finding = judge(Measured((443,), True, True, (six,), (four,)))
    assert finding.status == (Status.FAIL if different else Status.PASS)
    assert finding.evidence["different"] == different


def test_when_the_certificates_run_out_is_evidence() -> None:
    dated = Side(443, "240e::1", "", "aa", BOTH, "", "2027-01-01T00:00:00Z")
    assert judge(Measured((443,), True, True, (dated,), (side(),))).evidence["expires"] == [
        "2027-01-01T00:00:00Z [240e::1]:443"
    ]
    assert "expires" not in judge(Measured((443,), True, True, (side(),), (side(),))).evidence


def test_only_the_same_port_is_compared() -> None:
    finding = judge(
        Measured((443, 8443), True, True, (side("a"), side("b", port=8443)), (side("a"), side("b", port=8443)))
    )
    assert finding.status == Status.PASS


@pytest.mark.parametrize(
    ("measured", "reason"),
    [
        (Measured((), True, True, (), ()), "no_tls"),
        (Measured((443,), False, False, (), ()), "no_aaaa"),
        (Measured((443,), True, False, (), ()), "no_ipv6_route"),
        (Measured((443,), True, True, (), ()), "no_ipv4"),
        (Measured((443,), True, True, (Side(443, "240e::1", "refused"),), (side(),)), "not_answered"),
    ],
)
def test_when_nothing_is_said(measured: Measured, reason: str) -> None:
    finding = judge(measured)
    assert (finding.status, finding.evidence["reason"]) == (Status.NOT_TESTED, reason)
