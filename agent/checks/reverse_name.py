"""Check 6: do the domain's IPv6 addresses have names of their own, and do those lead back (PTR and forward agree)?"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping

import msgspec

from agent.check import NOTHING_TO_DO, About, Finding, SystemSubject, not_tested
from agent.probe import Probe
from telemetry.event import canonical_ip
from telemetry.verdict import Evidence, Severity, Status, Text

ABOUT = About(
    id="reverse_name",
    number=6,
    severity=Severity.READINESS,
    title=Text(zh="IPv6 反向解析", en="IPv6 reverse names"),
    source="RFC 1912 section 2.1; RFC 9099",
)
MAX_ADDRESSES = 8


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Nothing to set here; the time bounds are the readiness input's."""


class Measured(msgspec.Struct, frozen=True):
    """By address: ``matches``, ``no_name``, ``differs`` (the name does not lead back) or ``no_answer``."""

    addresses: Mapping[str, str]


def judge(measured: Measured) -> Finding:
    """Never fails: a missing name breaks mail and tracing, not the portal. ``no_answer`` counts for nothing."""
    if not measured.addresses:
        return not_tested("no_aaaa")
    evidence: Evidence = {"names": [f"{address} {state}" for address, state in sorted(measured.addresses.items())]}
    answered = {a: state for a, state in measured.addresses.items() if state != "no_answer"}
    if not answered:
        return not_tested("no_dns", evidence)
    without = sorted(address for address, state in answered.items() if state != "matches")
    if not without:
        summary = Text(
            zh=f"{len(answered)} 个 IPv6 地址的反向与正向解析一致。",
            en=f"Reverse and forward names agree for {len(answered)} IPv6 address(es).",
        )
        return Finding(Status.PASS, summary, NOTHING_TO_DO, evidence)
    listed = ", ".join(without)
    summary = Text(
        zh=f"以下 IPv6 地址没有一致的反向解析：{listed}。",
        en=f"These IPv6 addresses have no reverse name that leads back: {listed}.",
    )
    advice = Text(
        zh="在 ip6.arpa 区域为服务器地址添加 PTR 记录，并与 AAAA 记录保持一致，便于溯源和邮件投递。",
        en="Add PTR records for the servers' addresses in ip6.arpa that agree with their AAAA records, for tracing "
        "and for mail.",
    )
    return Finding(Status.WARN, summary, advice, evidence)


class ReverseName:
    """Asks for the PTR of each address, and for the AAAA of the name that comes."""

    about = ABOUT
    of = SystemSubject

    async def check(self, subject: SystemSubject, probe: Probe) -> Finding:
        addresses = (await probe.addresses(subject.host, 6))[:MAX_ADDRESSES]
        states = await asyncio.gather(*(_state(address, probe) for address in addresses))
        return judge(Measured(dict(zip(addresses, states, strict=True))))


async def _state(address: str, probe: Probe) -> str:
    reverse = await probe.resolver.lookup(ipaddress.ip_address(address).reverse_pointer, "PTR")
    if not reverse.answered:
        return "no_answer"
    if not reverse.records:
        return "no_name"
    forward = await probe.resolver.lookup(reverse.records[0], "AAAA")
    if not forward.answered:
        return "no_answer"
    return "matches" if address in map(canonical_ip, forward.records) else "differs"


def build(_: Config) -> ReverseName:
    return ReverseName()
