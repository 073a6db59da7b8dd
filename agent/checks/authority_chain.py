"""Check 2: does the domain's name resolution work from end to end over IPv6 (域名授权体系)?

The zone's NS set, the AAAA records of each, then the zone's SOA asked of every such address over IPv6, by UDP and TCP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

import msgspec

from agent.check import NOTHING_TO_DO, About, Finding, SystemSubject, not_tested
from agent.probe import Probe
from telemetry.verdict import Evidence, Severity, Status, Text

ABOUT = About(
    id="authority_chain",
    number=2,
    severity=Severity.READINESS,
    title=Text(zh="权威域名服务器支持 IPv6", en="The zone's name servers answer over IPv6"),
    source="国家IPv6发展监测平台 (域名授权体系); Internet.nl checks/tasks/ipv6.py",
)


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Internet.nl (source read 2026-08): two name servers with IPv6 are good, one gets half the points."""

    wanted: Annotated[int, msgspec.Meta(ge=1, le=13, description="name servers that must answer over IPv6")] = 2


class Asked(msgspec.Struct, frozen=True):
    """What one IPv6 address of one name server said to a question for the SOA."""

    server: str
    address: str
    udp: str
    tcp: str
    authoritative: bool

    @property
    def fine(self) -> bool:
        return self.udp == "ok" and self.tcp == "ok" and self.authoritative


class Measured(msgspec.Struct, frozen=True):
    """The zone, all its name servers, and what was asked."""

    apex: str
    status: str
    servers: tuple[str, ...]
    asked: tuple[Asked, ...]
    routed: bool


def judge(measured: Measured, config: Config) -> Finding:
    """Pass: ``wanted`` name servers, each at an address of its own, answer with authority by UDP and TCP."""
    evidence: Evidence = {
        "zone": measured.apex,
        "name_servers": list(measured.servers),
        "asked": [
            f"{a.server} [{a.address}] udp={a.udp} tcp={a.tcp} authoritative={str(a.authoritative).lower()}"
            for a in measured.asked
        ],
    }
    if not measured.apex:
        return not_tested("no_dns", {**evidence, "zone_status": measured.status})
    if measured.asked and not measured.routed:
        return not_tested("no_ipv6_route", evidence)
    good = _distinct([a for a in measured.asked if a.fine])
    broken = [a for a in measured.asked if not a.fine]
    total = len(measured.servers)
    advice = Text(
        zh=f"至少让 {config.wanted} 台权威服务器具有 AAAA 记录，并在 IPv6 的 UDP 与 TCP 53 端口应答。",
        en=f"Give {config.wanted} or more name servers AAAA records; let them answer over IPv6, UDP and TCP port 53.",
    )
    if good >= config.wanted and not broken:
        summary = Text(
            zh=f"{good} 台权威服务器通过 IPv6 应答（共 {total} 台）。",
            en=f"{good} of {total} name servers answer over IPv6.",
        )
        return Finding(Status.PASS, summary, NOTHING_TO_DO, evidence)
    if good:
        names = ", ".join(sorted({a.server for a in broken})) or "-"
        summary = Text(
            zh=f"仅 {good} 个独立地址的权威服务器完整支持 IPv6；未正常应答：{names}。",
            en=f"Name servers at {good} distinct address{'es' if good > 1 else ''} work fully over IPv6; not: {names}.",
        )
        return Finding(Status.WARN, summary, advice, evidence)
    summary = (
        Text(zh="没有权威服务器通过 IPv6 正常应答。", en="No name server answers properly over IPv6.")
        if measured.asked
        else Text(zh="权威服务器都没有 AAAA 记录。", en="None of the name servers has an AAAA record.")
    )
    return Finding(Status.FAIL, summary, advice, evidence)


def _distinct(asked: Sequence[Asked]) -> int:
    """Two names at one address are one server; one name at two addresses is one too."""
    return min(len({a.server for a in asked}), len({a.address for a in asked}))


class AuthorityChain:
    """Asks each name server of the zone over IPv6."""

    about = ABOUT
    of = SystemSubject

    def __init__(self, config: Config) -> None:
        self._config = config

    async def check(self, subject: SystemSubject, probe: Probe) -> Finding:
        zone = await probe.zone(subject.host)
        pairs = [(server.name, address) for server in zone.servers for address in server.v6]
        asked = await asyncio.gather(*(self._ask(probe, zone.apex, name, address) for name, address in pairs))
        names = tuple(server.name for server in zone.servers)
        routed = any(probe.routed(address) for _, address in pairs)
        return judge(Measured(zone.apex, zone.status, names, tuple(asked), routed), self._config)

    async def _ask(self, probe: Probe, apex: str, name: str, address: str) -> Asked:
        udp, tcp = await asyncio.gather(
            probe.resolver.ask(address, apex, "SOA"), probe.resolver.ask(address, apex, "SOA", tcp=True)
        )
        return Asked(name, address, udp.status, tcp.status, udp.authoritative and tcp.authoritative)


def build(config: Config) -> AuthorityChain:
    return AuthorityChain(config)
