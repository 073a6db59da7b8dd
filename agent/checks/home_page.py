"""Check 9: does the home page open over IPv6? As ``curl -6`` would: 4 s to connect, 15 s in all, HTTP 200 to 399."""

from __future__ import annotations

import msgspec

from agent.check import NOTHING_TO_DO, About, Finding, SystemSubject, not_tested
from agent.probe import Probe, Visit
from telemetry.verdict import Evidence, Severity, Status, Text

ABOUT = About(
    id="home_page",
    number=9,
    severity=Severity.READINESS,
    title=Text(zh="首页可通过 IPv6 访问", en="The home page opens over IPv6"),
    source="国家IPv6发展监测平台 (首页可达); Internet.nl",
)


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Nothing to set here; the time bounds are the readiness input's."""


class Measured(msgspec.Struct, frozen=True):
    """The visit of the home page at each of the system's web ports, at the first address that could be asked."""

    addresses: tuple[str, ...]
    routed: bool
    visits: tuple[Visit, ...]


def judge(measured: Measured) -> Finding:
    """Pass: every web port's home page is fine; warn: one is, another is not."""
    if not measured.addresses:
        return not_tested("no_aaaa")
    evidence: Evidence = {
        "addresses": list(measured.addresses),
        "visits": [line(v) for v in measured.visits],
        "redirects": [hop for v in measured.visits for hop in v.hops],
        "not_followed": [v.left for v in measured.visits if v.left],
    }
    if not measured.routed:
        return not_tested("no_ipv6_route", evidence)
    good = [v for v in measured.visits if v.fine]
    bad = "; ".join(f"{v.url}: {v.page.error or v.page.status}" for v in measured.visits if not v.fine)
    advice = Text(
        zh="检查 IPv6 监听、防火墙放行、负载均衡与证书配置，使首页经 IPv6 返回 200–399。",
        en="Check the IPv6 listeners, firewall, load balancer and certificate, so that the page answers 200 to 399.",
    )
    if not good:
        summary = Text(zh=f"首页无法通过 IPv6 打开：{bad}。", en=f"The home page does not open over IPv6: {bad}.")
        return Finding(Status.FAIL, summary, advice, evidence)
    if bad:
        summary = Text(zh=f"首页仅部分端口可用：{bad}。", en=f"The home page opens on some ports only: {bad}.")
        return Finding(Status.WARN, summary, advice, evidence)
    slowest = max(v.page.total_ms for v in good)
    summary = Text(
        zh=f"首页通过 IPv6 正常打开，最长 {slowest:.0f} 毫秒。",
        en=f"The home page opens over IPv6, in {slowest:.0f} ms at most.",
    )
    return Finding(Status.PASS, summary, NOTHING_TO_DO, evidence)


def line(visit: Visit) -> str:
    page = visit.page
    return (
        f"{visit.url} at [{page.address}]: {page.error or page.status} connect={page.connect_ms:.0f}ms "
        f"total={page.total_ms:.0f}ms bytes={len(page.body)}"
    )


class HomePage:
    """Opens the home page over IPv6 on each web port."""

    about = ABOUT
    of = SystemSubject

    async def check(self, subject: SystemSubject, probe: Probe) -> Finding:
        system = subject.system
        addresses = await probe.addresses(subject.host, 6)
        routed = tuple(a for a in addresses if probe.routed(a))
        visits = []
        for port in system.ports if routed else ():
            for address in routed:  # as a client does: the next address where one does not connect
                visit = await probe.visit(system, subject.host, port, subject.home, address)
                if visit.page.connect_ms:
                    break
            visits.append(visit)
        return judge(Measured(addresses, bool(routed), tuple(visits)))


def build(_: Config) -> HomePage:
    return HomePage()
