"""Check 22: does the device forward IPv6, and is it one that should?

IP-MIB ipv6IpForwarding (RFC 4293), else IPV6-MIB ipv6Forwarding (RFC 2465), asked over SNMP.
"""

from __future__ import annotations

import msgspec

from agent import snmp_poll
from agent.check import NOTHING_TO_DO, About, DeviceSubject, Finding
from agent.probe import Probe
from agent.snmp_security import SnmpFault
from telemetry.verdict import Evidence, Severity, Status, Text

ABOUT = About(
    id="forwarding",
    number=22,
    severity=Severity.READINESS,
    title=Text(zh="设备 IPv6 转发状态正确", en="The device forwards IPv6 as it should"),
    source="RFC 4293 ipv6IpForwarding; RFC 2465 ipv6Forwarding",
)


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Nothing to set: the inventory says which devices are routers."""


class Measured(msgspec.Struct, frozen=True):
    """``forwarding`` is None where the device has neither object; ``fault`` where it did not answer."""

    router: bool
    address: str
    forwarding: bool | None = None
    fault: str = ""


def judge(measured: Measured) -> Finding:
    """Pass: on for a router, off for a host. A device that forwards and is no registered router is a warning."""
    state = "unknown" if measured.forwarding is None else "on" if measured.forwarding else "off"
    evidence: Evidence = {"address": measured.address, "router": measured.router, "forwarding": state}
    if measured.fault:
        return Finding(
            Status.NOT_TESTED,
            Text(zh=f"设备未应答 SNMP（{measured.fault}）。", en=f"The device did not answer SNMP ({measured.fault})."),
            Text(zh="检查可达性与 SNMP 凭据。", en="Check that it can be reached, and its SNMP credential."),
            {**evidence, "reason": measured.fault},
        )
    if measured.forwarding is None:
        return Finding(
            Status.NOT_TESTED,
            Text(
                zh="设备不支持 ipv6IpForwarding 与 ipv6Forwarding。",
                en="The device has neither ipv6IpForwarding nor ipv6Forwarding.",
            ),
            Text(
                zh="在设备上用命令行核对 IPv6 转发状态。",
                en="Look at the device's command line for its IPv6 forwarding.",
            ),
            {**evidence, "reason": "unsupported"},
        )
    if measured.router and not measured.forwarding:
        return Finding(
            Status.FAIL,
            Text(zh="该路由器未开启 IPv6 转发。", en="This router does not forward IPv6."),
            Text(
                zh="在设备上开启 IPv6 单播转发（如 ipv6 / ipv6 unicast-routing）。",
                en="Turn IPv6 unicast forwarding on (for example: ipv6, ipv6 unicast-routing).",
            ),
            evidence,
        )
    if not measured.router and measured.forwarding:
        return Finding(
            Status.WARN,
            Text(zh="该设备未登记为路由器，却在转发 IPv6。", en="It forwards IPv6 and is not registered as a router."),
            Text(zh="登记为路由器，或关闭 IPv6 转发。", en="Register it as a router, or turn IPv6 forwarding off."),
            evidence,
        )
    summary = (
        Text(zh="路由器已开启 IPv6 转发。", en="The router forwards IPv6.")
        if measured.router
        else Text(zh="主机未转发 IPv6。", en="The host does not forward IPv6.")
    )
    return Finding(Status.PASS, summary, NOTHING_TO_DO, evidence)


class Forwarding:
    """Asks a device for its forwarding state."""

    about = ABOUT
    of = DeviceSubject

    async def check(self, subject: DeviceSubject, probe: Probe) -> Finding:
        target = subject.target
        try:
            async with probe.snmp(target) as session:
                values = await session.get([snmp_poll.FORWARDING, snmp_poll.FORWARDING_2465])
        except SnmpFault as fault:
            return judge(Measured(target.router, target.address, fault=fault.reason))
        return judge(Measured(target.router, target.address, snmp_poll.forwarding(values)))


def build(_: Config) -> Forwarding:
    return Forwarding()
