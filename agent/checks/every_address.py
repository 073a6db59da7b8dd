"""Check 11: can each of the domain's IPv6 addresses be reached, or does every second visitor wait for a dead one?"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from agent.check import NOTHING_TO_DO, About, Finding, SystemSubject, not_tested
from agent.probe import Probe, flat
from telemetry.verdict import Evidence, Severity, Status, Text

ABOUT = About(
    id="every_address",
    number=11,
    severity=Severity.READINESS,
    title=Text(zh="每个 IPv6 地址均可达", en="Every IPv6 address is reachable"),
    source="Internet.nl checks/tasks/ipv6.py",
)


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Nothing to set here; the time bounds are the readiness input's."""


class Measured(msgspec.Struct, frozen=True):
    """By port and address: ``open``, or why not."""

    addresses: tuple[str, ...]
    routed: bool
    ports: Mapping[int, Mapping[str, str]]


def judge(measured: Measured) -> Finding:
    """Pass: every address has an open web port; warn (Internet.nl: partial): some have; fail: none."""
    if not measured.addresses:
        return not_tested("no_aaaa")
    evidence: Evidence = {"connections": flat(measured.ports)}
    if not measured.routed:
        return not_tested("no_ipv6_route", evidence)
    dead = [a for a in measured.addresses if not any(s.get(a) == "open" for s in measured.ports.values())]
    total = len(measured.addresses)
    advice = Text(
        zh="修复无法连接的地址，或将其从 DNS 中删除。",
        en="Repair the addresses that do not connect, or take them out of DNS.",
    )
    if not dead:
        summary = Text(zh=f"{total} 个 IPv6 地址全部可达。", en=f"Every IPv6 address is reachable ({total}).")
        return Finding(Status.PASS, summary, NOTHING_TO_DO, evidence)
    listed = ", ".join(dead)
    summary = Text(
        zh=f"{total} 个 IPv6 地址中有 {len(dead)} 个不可达：{listed}。",
        en=f"{len(dead)} of {total} IPv6 addresses can not be reached: {listed}.",
    )
    return Finding(Status.FAIL if len(dead) == total else Status.WARN, summary, advice, evidence)


class EveryAddress:
    """Connects to each address of the domain."""

    about = ABOUT
    of = SystemSubject

    async def check(self, subject: SystemSubject, probe: Probe) -> Finding:
        addresses = await probe.addresses(subject.host, 6)
        routed = any(probe.routed(address) for address in addresses)
        ports = await probe.open_ports(addresses, subject.system.ports) if routed else {}
        return judge(Measured(addresses, routed, ports))


def build(_: Config) -> EveryAddress:
    return EveryAddress()
