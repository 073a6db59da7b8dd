"""Check 1: does the domain have an AAAA record that people can use?

Asked of the recursive resolver, and of the zone's own servers where they answer. IPv4-mapped, documentation (RFC 3849,
RFC 9637) and other special addresses do not count; unique-local ones only for systems not published outside.
"""

from __future__ import annotations

import msgspec

from agent import address_class
from agent.check import NOTHING_TO_DO, About, Finding, SystemSubject, not_tested
from agent.probe import Probe
from telemetry.verdict import Evidence, Severity, Status, Text

ABOUT = About(
    id="aaaa",
    number=1,
    severity=Severity.READINESS,
    title=Text(zh="域名有可用的 AAAA 记录", en="The domain has a usable AAAA record"),
    source="国家IPv6发展监测平台 (AAAA解析); Internet.nl",
)


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Nothing to set: the bar is the standards' own."""


class Measured(msgspec.Struct, frozen=True):
    """Statuses and records of the recursive resolver and of one authoritative server (``none``: none was asked)."""

    private: bool
    status: str
    records: tuple[str, ...] = ()
    server: str = ""
    authority_status: str = "none"
    authority_records: tuple[str, ...] = ()
    authority: str = ""


def judge(measured: Measured) -> Finding:
    """Pass: at least one usable address, none that is not, and both sources agree."""
    authoritative = measured.authority_status in ("ok", "nodata", "nxdomain")
    if measured.status not in ("ok", "nodata", "nxdomain") and not authoritative:
        return not_tested("no_dns", _evidence(measured))
    records = sorted({*measured.records, *measured.authority_records})
    bad = [f"{r} ({address_class.kind(r)})" for r in records if not address_class.usable(r, measured.private)]
    good = len(records) - len(bad)
    evidence = {**_evidence(measured), "unusable": bad}
    if not records:
        return Finding(
            Status.FAIL,
            Text(zh="没有 AAAA 记录。", en="There is no AAAA record."),
            Text(
                zh="为该域名增加 AAAA 记录，指向全球单播地址。", en="Add an AAAA record with a global unicast address."
            ),
            evidence,
        )
    listed = ", ".join(bad)
    replace = Text(
        zh="删除不可用的 AAAA 记录，只保留全球单播地址。",
        en="Remove the unusable AAAA records; keep only global unicast addresses.",
    )
    if not good:
        return Finding(
            Status.FAIL,
            Text(zh=f"所有 AAAA 记录均不可用：{listed}。", en=f"No AAAA record is usable: {listed}."),
            replace,
            evidence,
        )
    if bad:
        return Finding(
            Status.WARN,
            Text(zh=f"部分 AAAA 记录不可用：{listed}。", en=f"Some AAAA records are not usable: {listed}."),
            replace,
            evidence,
        )
    both = authoritative and measured.status in ("ok", "nodata", "nxdomain")
    if both and set(measured.records) != set(measured.authority_records):
        return Finding(
            Status.WARN,
            Text(zh="递归解析与权威服务器的答复不一致。", en="The resolver and the zone's own server disagree."),
            Text(
                zh="检查解析器是否过滤或篡改 AAAA，或等待缓存过期后重测。",
                en="See whether the resolver filters or changes AAAA, or measure again once its cache has expired.",
            ),
            evidence,
        )
    return Finding(
        Status.PASS,
        Text(zh=f"有 {good} 条可用的 AAAA 记录。", en=f"{good} usable AAAA record{'s' if good > 1 else ''}."),
        NOTHING_TO_DO,
        evidence,
    )


def _evidence(measured: Measured) -> Evidence:
    return {
        "resolver": measured.server,
        "resolver_status": measured.status,
        "resolver_aaaa": list(measured.records),
        "authority": measured.authority,
        "authority_status": measured.authority_status,
        "authority_aaaa": list(measured.authority_records),
    }


class Aaaa:
    """Asks for the AAAA records of a domain."""

    about = ABOUT
    of = SystemSubject

    async def check(self, subject: SystemSubject, probe: Probe) -> Finding:
        answer = await probe.lookup(subject.host, "AAAA")
        measured = Measured(subject.system.private, answer.status, answer.records, answer.server)
        zone = await probe.zone(subject.host)
        for address in [a for server in zone.servers for a in (*server.v6, *server.v4) if probe.routed(a)][:4]:
            told = await probe.resolver.ask(address, subject.host, "AAAA")
            if told.answered and told.authoritative:
                measured = msgspec.structs.replace(
                    measured, authority_status=told.status, authority_records=told.records, authority=address
                )
                break
        return judge(measured)


def build(_: Config) -> Aaaa:
    return Aaaa()
