"""Check 18: is the TLS side the same over IPv4 and IPv6: certificate, protocol versions, HSTS?"""

from __future__ import annotations

import msgspec

from agent.check import NOTHING_TO_DO, About, Finding, SystemSubject, not_tested
from agent.probe import Probe
from telemetry.verdict import Evidence, Severity, Status, Text

ABOUT = About(
    id="tls_parity",
    number=18,
    severity=Severity.READINESS,
    title=Text(zh="IPv4 与 IPv6 的 TLS 配置一致", en="TLS is the same over IPv4 and IPv6"),
    source="Internet.nl (TLS is tested at each address)",
)


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Nothing to set: equal is equal."""


class Side(msgspec.Struct, frozen=True):
    """One address at one port. ``hsts`` is the header's text, empty where there is none."""

    port: int
    address: str
    error: str
    fingerprint: str = ""
    protocols: tuple[str, ...] = ()
    hsts: str = ""
    expires: str = ""

    def __str__(self) -> str:
        state = self.error or f"sha256={self.fingerprint[:16]} {'/'.join(self.protocols)} hsts={self.hsts or '-'}"
        return f"[{self.address}]:{self.port} {state}"


class Measured(msgspec.Struct, frozen=True):
    """Both sides of every TLS port of the system."""

    ports: tuple[int, ...]
    has_aaaa: bool
    routed: bool
    v6: tuple[Side, ...]
    v4: tuple[Side, ...]


def judge(measured: Measured) -> Finding:
    """Pass: at each port the sides that answer are equal in all three."""
    if not measured.ports:
        return not_tested("no_tls")
    if not measured.has_aaaa:
        return not_tested("no_aaaa")
    evidence: Evidence = {"ipv6": [str(s) for s in measured.v6], "ipv4": [str(s) for s in measured.v4]}
    expires = [f"{s.expires} [{s.address}]:{s.port}" for s in (*measured.v6, *measured.v4) if s.expires]
    if expires:  # what the early warning of certificates reads
        evidence = {**evidence, "expires": expires}
    if not measured.routed:
        return not_tested("no_ipv6_route", evidence)
    if not measured.v4:
        return not_tested("no_ipv4", evidence)
    pairs = [
        (one, other)
        for one in measured.v6
        for other in measured.v4
        if one.port == other.port and one.fingerprint and other.fingerprint
    ]
    if not pairs:
        return not_tested("not_answered", evidence)
    differ = {
        "certificate": any(a.fingerprint != b.fingerprint for a, b in pairs),
        "protocols": any(a.protocols != b.protocols for a, b in pairs),
        "hsts": any(a.hsts != b.hsts for a, b in pairs),
    }
    words = {
        "certificate": ("证书", "certificate"),
        "protocols": ("协议版本", "protocol versions"),
        "hsts": ("HSTS", "HSTS"),
    }
    found = [name for name, different in differ.items() if different]
    evidence = {**evidence, "different": found}
    if found:
        zh, en = ("、".join(words[n][0] for n in found), ", ".join(words[n][1] for n in found))
        return Finding(
            Status.FAIL,
            Text(zh=f"IPv4 与 IPv6 不一致：{zh}。", en=f"Different over IPv4 and IPv6: {en}."),
            Text(
                zh="在 IPv6 侧部署与 IPv4 相同的证书、TLS 版本与 HSTS。",
                en="Deploy the same certificate, TLS versions and HSTS over IPv6 as over IPv4.",
            ),
            evidence,
        )
    shown = "/".join(pairs[0][0].protocols)
    summary = Text(zh=f"证书、协议（{shown}）与 HSTS 一致。", en=f"Same certificate, protocols ({shown}) and HSTS.")
    return Finding(Status.PASS, summary, NOTHING_TO_DO, evidence)


class TlsParity:
    """Shakes hands over both families and compares."""

    about = ABOUT
    of = SystemSubject

    async def check(self, subject: SystemSubject, probe: Probe) -> Finding:
        ports = tuple(port for port in subject.system.ports if probe.tls(port))
        v6 = await probe.addresses(subject.host, 6)
        routed6 = [a for a in v6 if probe.routed(a)]
        routed4 = [a for a in await probe.addresses(subject.host, 4) if probe.routed(a)]
        sides: dict[int, tuple[Side, ...]] = {6: (), 4: ()}
        if routed6 and routed4:
            for family, address in ((6, routed6[0]), (4, routed4[0])):
                sides[family] = tuple([await self._side(subject, probe, port, address) for port in ports])
        return judge(Measured(ports, bool(v6), bool(routed6), sides[6], sides[4]))

    async def _side(self, subject: SystemSubject, probe: Probe, port: int, address: str) -> Side:
        visit = await probe.visit(subject.system, subject.host, port, subject.home, address)
        page = visit.page
        if not page.fingerprint:
            return Side(port, address, page.error or "no_tls")
        protocols = await probe.protocols(address, port, subject.host)
        hsts = page.headers.get("strict-transport-security", "")[:200]
        return Side(port, address, "", page.fingerprint, protocols, hsts, page.expires)


def build(_: Config) -> TlsParity:
    return TlsParity()
