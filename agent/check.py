"""What a readiness check is: the seam between agent/checks/* and agent/inputs/readiness.py.

A check module has ``ABOUT``, a frozen ``Config``, a pure ``judge(measured, config) -> Finding``, and one class with
the subject it is ``of`` and the verb ``check``, which measures by means of a ``Probe`` and lets ``judge`` decide.
"""

from __future__ import annotations

import urllib.parse
from typing import Protocol, TypeVar

import msgspec

from agent.probe import Probe
from agent.resolver import a_label
from telemetry.verdict import Evidence, Severity, Status, Text, Verdict
from telemetry.work import SnmpTarget, System


class SystemSubject(msgspec.Struct, frozen=True):
    """One domain of a registered system."""

    system: System
    domain: str

    @property
    def name(self) -> str:
        return self.domain

    @property
    def host(self) -> str:
        """The name as DNS, TLS and HTTP carry it."""
        return a_label(self.domain)

    @property
    def home(self) -> str:
        """The path of the home page."""
        return urllib.parse.quote(self.system.paths[0], safe="/%?&=") if self.system.paths else "/"


class DeviceSubject(msgspec.Struct, frozen=True):
    """One device that is polled by SNMP."""

    target: SnmpTarget

    @property
    def name(self) -> str:
        return self.target.device


class SegmentSubject(msgspec.Struct, frozen=True):
    """The segments that this agent's host stands on."""

    host: str

    @property
    def name(self) -> str:
        return self.host


Subject = SystemSubject | DeviceSubject | SegmentSubject
S = TypeVar("S", bound=Subject, contravariant=True)


class Finding(msgspec.Struct, frozen=True):
    """What a judgement says: status, one sentence, what to do (both in zh and en), and the measurements behind it."""

    status: Status
    summary: Text
    advice: Text
    evidence: Evidence


class About(msgspec.Struct, frozen=True):
    """What a check is. ``number`` and ``severity`` as in the list of forty checks; ``source``: who sets the bar."""

    id: str
    number: int
    severity: Severity
    title: Text
    source: str

    def verdict(self, subject: str, finding: Finding) -> Verdict:
        return Verdict(
            check=self.id,
            number=self.number,
            severity=self.severity,
            subject=subject,
            status=finding.status,
            title=self.title,
            summary=finding.summary,
            advice=finding.advice,
            evidence=finding.evidence,
        )


class Check(Protocol[S]):
    """One check. ``check`` never raises for what the network does: that is a finding."""

    about: About
    of: type[Subject]

    async def check(self, subject: S, probe: Probe) -> Finding: ...


NOTHING_TO_DO = Text(zh="无需处理。", en="Nothing to do.")

REASONS = {
    "no_ipv6_route": (
        Text(zh="探针所在主机没有到目标的 IPv6 路由。", en="The agent's host has no IPv6 route to the target."),
        Text(
            zh="为探针所在主机配置 IPv6 地址和路由后重测。",
            en="Give the agent's host an IPv6 address and a route, then measure again.",
        ),
    ),
    "no_aaaa": (
        Text(zh="该域名没有可用的 AAAA 记录，无从测试。", en="The domain has no usable AAAA record to test."),
        Text(zh="先为该域名发布 AAAA 记录（检查项 1）。", en="Publish an AAAA record for the domain first (check 1)."),
    ),
    "no_ipv4": (
        Text(
            zh="没有可比较的 IPv4 一侧（单栈系统或探针无 IPv4）。",
            en="There is no IPv4 side to compare with (single-stack system, or an agent without IPv4).",
        ),
        NOTHING_TO_DO,
    ),
    "no_dns": (
        Text(zh="DNS 服务器没有给出答复。", en="The DNS servers gave no answer."),
        Text(
            zh="检查探针使用的 DNS 服务器是否可达、是否能解析该域名。",
            en="Check that the agent's DNS servers are reachable and resolve this domain.",
        ),
    ),
    "not_answered": (
        Text(zh="两侧均未取得可比较的应答。", en="No comparable answer could be had from both sides."),
        Text(zh="先解决首页可达问题（检查项 9）。", en="Solve the reachability of the home page first (check 9)."),
    ),
    "no_tls": (
        Text(zh="该系统没有登记 TLS 端口。", en="The system has no registered TLS port."),
        NOTHING_TO_DO,
    ),
}


def not_tested(reason: str, evidence: Evidence | None = None) -> Finding:
    """A finding that says why there is none: ``reason`` is one of ``REASONS`` and stands in the evidence."""
    summary, advice = REASONS[reason]
    return Finding(Status.NOT_TESTED, summary, advice, {"reason": reason, **(evidence or {})})
