"""Check 13: do visitors get the same home page over IPv4 and IPv6?

After Internet.nl: the same HTTP status, and text that differs by no more than a tenth, in the first 500,000 bytes,
with what changes from visit to visit (nonces, view states, tokens) taken out.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Annotated

import msgspec

from agent.check import NOTHING_TO_DO, About, Finding, SystemSubject, not_tested
from agent.probe import Probe, Visit
from telemetry.verdict import Evidence, Severity, Status, Text

ABOUT = About(
    id="content_parity",
    number=13,
    severity=Severity.READINESS,
    title=Text(zh="IPv4 与 IPv6 首页内容一致", en="The home page is the same over IPv4 and IPv6"),
    source="Internet.nl checks/tasks/ipv6.py; 国家IPv6发展监测平台 (首页内容v4/v6一致性)",
)


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Internet.nl (source read 2026-08): pass where 100 - 100 * quick_ratio is at most 10."""

    difference: Annotated[float, msgspec.Meta(ge=0, le=1, description="share of the text that may differ")] = 0.10


CHANGING = re.compile(
    rb"nonce\s*=\s*(?:\"[^\"]{0,200}\"|'[^']{0,200}')"
    rb"|'nonce-[^']{0,200}'"
    rb"|(?:name|id)\s*=\s*[\"'](?:__VIEWSTATE\w*|__EVENTVALIDATION|_?csrf[\w-]*|authenticity_token)[\"']"
    rb"[^>]{0,200}?value\s*=\s*(?:\"[^\"]{0,100000}\"|'[^']{0,100000}')",
    re.IGNORECASE,
)


class Measured(msgspec.Struct, frozen=True):
    """The two visits of one port; None where that family could not be asked at all."""

    v6: Visit | None
    v4: Visit | None
    has_aaaa: bool
    routed: bool


def judge(measured: Measured, config: Config) -> Finding:
    """Pass: same status, and texts that differ by no more than ``difference``."""
    v6, v4 = measured.v6, measured.v4
    if not measured.has_aaaa:
        return not_tested("no_aaaa")
    if not measured.routed:
        return not_tested("no_ipv6_route")
    if v4 is None:
        return not_tested("no_ipv4")
    if v6 is None or not v4.page.status or not v6.page.status or v4.page.error or v6.page.error:
        told = {"ipv4": _word(v4), "ipv6": _word(v6)}
        return not_tested("not_answered", told)
    difference = 1 - quick_ratio(stripped(v6.page.body), stripped(v4.page.body))
    evidence: Evidence = {
        "url_ipv6": v6.url,
        "url_ipv4": v4.url,
        "address_ipv6": v6.page.address,
        "address_ipv4": v4.page.address,
        "status_ipv6": v6.page.status,
        "status_ipv4": v4.page.status,
        "bytes_ipv6": len(v6.page.body),
        "bytes_ipv4": len(v4.page.body),
        "difference": round(difference, 4),
        "allowed": config.difference,
    }
    advice = Text(
        zh="让 IPv4 与 IPv6 指向同一站点内容（同一虚拟主机、同一后端版本）。",
        en="Serve the same site over both: the same virtual host, the same version behind it.",
    )
    if v6.page.status != v4.page.status:
        summary = Text(
            zh=f"状态码不同：IPv6 为 {v6.page.status}，IPv4 为 {v4.page.status}。",
            en=f"The status differs: {v6.page.status} over IPv6, {v4.page.status} over IPv4.",
        )
        return Finding(Status.FAIL, summary, advice, evidence)
    percent = f"{difference * 100:.1f}%"
    if difference > config.difference:
        summary = Text(zh=f"首页内容相差 {percent}。", en=f"The home pages differ by {percent}.")
        return Finding(Status.FAIL, summary, advice, evidence)
    summary = Text(zh=f"状态码一致，内容相差 {percent}。", en=f"Same status; the text differs by {percent}.")
    return Finding(Status.PASS, summary, NOTHING_TO_DO, evidence)


def stripped(body: bytes) -> str:
    """The text without what changes from visit to visit."""
    return CHANGING.sub(b"", body).decode("utf-8", "replace")


def quick_ratio(one: str, other: str) -> float:
    """What ``difflib.SequenceMatcher(None, one, other).quick_ratio()`` gives, without its index of half a gigabyte."""
    if one == other:
        return 1.0
    shared = (Counter(one) & Counter(other)).total()
    return 2.0 * shared / (len(one) + len(other))


def _word(visit: Visit | None) -> str:
    return "none" if visit is None else visit.page.error or str(visit.page.status)


class ContentParity:
    """Opens the home page over both families, on the first port that answers over either."""

    about = ABOUT
    of = SystemSubject

    def __init__(self, config: Config) -> None:
        self._config = config

    async def check(self, subject: SystemSubject, probe: Probe) -> Finding:
        system, host = subject.system, subject.host
        v6 = await probe.addresses(host, 6)
        routed6 = [a for a in v6 if probe.routed(a)]
        routed4 = [a for a in await probe.addresses(host, 4) if probe.routed(a)]
        last = Measured(None, None, bool(v6), bool(routed6))
        for port in sorted(system.ports, key=probe.tls, reverse=True) if routed6 and routed4 else ():
            last = Measured(
                await probe.visit(system, host, port, subject.home, routed6[0]),
                await probe.visit(system, host, port, subject.home, routed4[0]),
                has_aaaa=True,
                routed=True,
            )
            if last.v6 and last.v4 and last.v6.page.status and last.v4.page.status:
                break
        return judge(last, self._config)


def build(config: Config) -> ContentParity:
    return ContentParity(config)
