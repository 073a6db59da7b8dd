"""Check 12: is every port that is open over IPv4 open over IPv6 too? Only the system's registered ports are tried."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from agent.check import NOTHING_TO_DO, About, Finding, SystemSubject, not_tested
from agent.probe import Probe, flat
from telemetry.verdict import Evidence, Severity, Status, Text

ABOUT = About(
    id="port_parity",
    number=12,
    severity=Severity.READINESS,
    title=Text(zh="IPv4 与 IPv6 开放端口一致", en="The same ports are open over IPv4 and IPv6"),
    source="Internet.nl checks/tasks/ipv6.py",
)


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Nothing to set: the ports are the system's registered ones."""


class Measured(msgspec.Struct, frozen=True):
    """By port and address, for each family: ``open``, or why not. Empty where the family has no address or route."""

    addresses: tuple[str, ...]
    routed: bool
    v6: Mapping[int, Mapping[str, str]]
    v4: Mapping[int, Mapping[str, str]]


def judge(measured: Measured) -> Finding:
    """Pass: no port is missing over IPv6. One that is open only over IPv6 is told, and no failure here."""
    if not measured.addresses:
        return not_tested("no_aaaa")
    v6, v4 = _open(measured.v6), _open(measured.v4)
    evidence: Evidence = {
        "ipv6": flat(measured.v6),
        "ipv4": flat(measured.v4),
        "missing": sorted(v4 - v6),
        "only_ipv6": sorted(v6 - v4),
    }
    if not measured.routed:
        return not_tested("no_ipv6_route", evidence)
    if not measured.v4:
        return not_tested("no_ipv4", evidence)
    if not v4:
        return not_tested("not_answered", evidence)
    if missing := ", ".join(map(str, sorted(v4 - v6))):
        return Finding(
            Status.FAIL,
            Text(zh=f"IPv4 开放而 IPv6 未开放的端口：{missing}。", en=f"Open over IPv4 but not over IPv6: {missing}."),
            Text(zh="在 IPv6 地址上监听并放行这些端口。", en="Listen on these ports over IPv6 and let them through."),
            evidence,
        )
    same = ", ".join(map(str, sorted(v4)))
    summary = Text(
        zh=f"IPv4 开放的端口在 IPv6 上均开放：{same}。", en=f"What is open over IPv4 is open over IPv6: {same}."
    )
    return Finding(Status.PASS, summary, NOTHING_TO_DO, evidence)


def _open(ports: Mapping[int, Mapping[str, str]]) -> set[int]:
    return {port for port, states in ports.items() if "open" in states.values()}


class PortParity:
    """Connects to each registered port over both families."""

    about = ABOUT
    of = SystemSubject

    async def check(self, subject: SystemSubject, probe: Probe) -> Finding:
        v6 = await probe.addresses(subject.host, 6)
        v4 = tuple(a for a in await probe.addresses(subject.host, 4) if probe.routed(a))
        routed = any(probe.routed(address) for address in v6)
        ports = subject.system.ports
        open6 = await probe.open_ports(v6, ports) if routed else {}
        open4 = await probe.open_ports(v4, ports) if routed and v4 else {}
        return judge(Measured(v6, routed, open6, open4))


def build(_: Config) -> PortParity:
    return PortParity()
