"""Check 22: its judgement, and a real net-snmp agent whose kernel's setting is the oracle."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.check import DeviceSubject
from agent.checks import forwarding
from agent.checks.forwarding import Measured, judge
from agent.probe import Bounds
from agent.snmp_session import Limits
from telemetry.verdict import Status
from telemetry.work import SnmpCredential, SnmpTarget, SnmpVersion
from tests.agent.checks.measuring import measure, probe
from tests.parts.snmpd import COMMUNITY, free_udp_port, snmpd

BOUNDS = Bounds(snmp=Limits(timeout=0.5, retries=0))


@pytest.mark.parametrize(
    ("router", "on", "wanted"),
    [
        (True, True, Status.PASS),
        (True, False, Status.FAIL),
        (False, False, Status.PASS),
        (False, True, Status.WARN),
        (True, None, Status.NOT_TESTED),
    ],
)
def test_judgement(router: bool, on: bool | None, wanted: Status) -> None:
    assert judge(Measured(router, "::1", on)).status == wanted


def device(port: int, router: bool) -> DeviceSubject:
    credential = SnmpCredential(SnmpVersion.V2C, community=COMMUNITY)
    return DeviceSubject(SnmpTarget("r1", "r1", "::1", credential, port, router=router))


@pytest.mark.needs("snmpd")
async def test_a_real_device(tmp_path: Path) -> None:
    on = Path("/proc/sys/net/ipv6/conf/all/forwarding").read_text().strip() == "1"
    with snmpd(tmp_path) as running:
        as_router = await measure(forwarding, device(running.port, router=True), probe(BOUNDS))
        as_host = await measure(forwarding, device(running.port, router=False), probe(BOUNDS))
    assert as_router.status == (Status.PASS if on else Status.FAIL)
    assert as_host.status == (Status.WARN if on else Status.PASS)
    assert as_host.evidence["forwarding"] == ("on" if on else "off")


async def test_a_device_that_does_not_answer_is_not_tested() -> None:
    finding = await measure(forwarding, device(free_udp_port(), router=True), probe(BOUNDS))
    assert (finding.status, finding.evidence["reason"]) == (Status.NOT_TESTED, "refused")
