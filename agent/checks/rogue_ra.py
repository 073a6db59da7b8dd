"""Check 34: does anyone who is no registered router advertise itself on the segment (RFC 6104)?

Passive: it judges what the ndp input has heard. While nobody listens, nothing heard means nothing known.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from agent.check import NOTHING_TO_DO, About, Finding, SegmentSubject
from agent.probe import Probe
from agent.routers import Register
from telemetry.event import Event
from telemetry.verdict import Evidence, Severity, Status, Text

ABOUT = About(
    id="rogue_ra",
    number=34,
    severity=Severity.SECURITY,
    title=Text(zh="网段内没有非法路由器通告", en="No rogue router advertisement on the segment"),
    source="RFC 6104; RFC 6105",
)


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """RFC 4861 6.2.1: a router advertises every 200 to 600 s by default, so 600 s see each of them (2026-11)."""

    within: Annotated[float, msgspec.Meta(ge=10, le=86400, description="seconds back that are judged")] = 600
    listened: Annotated[
        float, msgspec.Meta(ge=0, le=86400, description="seconds to have listened before silence means anything")
    ] = 30


class Heard(msgspec.Struct, frozen=True):
    """One advertiser. ``registered`` is None where no router of this segment is registered to go by."""

    interface: str
    source: str
    mac: str
    prefixes: tuple[str, ...]
    lifetime: int
    registered: bool | None

    def __str__(self) -> str:
        told = ", ".join(self.prefixes) or "-"
        return f"{self.interface}: {self.source} ({self.mac or '-'}) prefixes {told}, lifetime {self.lifetime} s"


class Measured(msgspec.Struct, frozen=True):
    """``listened_s`` is None while nobody listens."""

    listened_s: float | None
    interfaces: tuple[str, ...]
    heard: tuple[Heard, ...]


def judge(measured: Measured, config: Config) -> Finding:
    """Pass: everyone heard is registered, or it was silent for long enough; fail: someone is not."""
    evidence: Evidence = {
        "listened_s": round(measured.listened_s or 0),
        "interfaces": list(measured.interfaces),
        "registered": [str(h) for h in measured.heard if h.registered],
        "unknown": [str(h) for h in measured.heard if h.registered is False],
        "unjudged": [str(h) for h in measured.heard if h.registered is None],
    }
    if measured.listened_s is None:
        return Finding(
            Status.NOT_TESTED,
            Text(zh="没有在本网段监听邻居发现报文。", en="Nobody listens to neighbour discovery on this segment."),
            Text(
                zh="为探针启用 ndp 采集项（需要 CAP_NET_RAW）。",
                en="Turn on the agent's ndp input (it needs CAP_NET_RAW).",
            ),
            {**evidence, "reason": "not_listening"},
        )
    if rogue := [h for h in measured.heard if h.registered is False]:
        who = ", ".join(sorted({h.source for h in rogue}))
        return Finding(
            Status.FAIL,
            Text(zh=f"发现未登记的路由器通告：{who}。", en=f"Unregistered router advertisements from {who}."),
            Text(
                zh="定位并断开该设备；在接入交换机启用 RA Guard；若为合法路由器则登记。",
                en="Find and unplug it; enable RA-Guard on the access switch; register it if it is legitimate.",
            ),
            evidence,
        )
    if unjudged := [h for h in measured.heard if h.registered is None]:
        who = ", ".join(sorted({h.source for h in unjudged}))
        return Finding(
            Status.NOT_TESTED,
            Text(
                zh=f"听到路由器通告（{who}），但本网段尚未登记任何路由器，无法判断是否合法。",
                en=f"Router advertisements from {who}, and no router of this segment is registered to judge them by.",
            ),
            Text(
                zh="在资产台账中登记本网段的路由器及其 MAC 或链路本地地址；登记之前，非法路由器通告不会告警。",
                en="Register this segment's routers in the inventory, each with its MAC or link-local address; until"
                " then no rogue router advertisement raises an alert.",
            ),
            {**evidence, "reason": "no_register"},
        )
    if measured.listened_s < config.listened and not measured.heard:
        return Finding(
            Status.NOT_TESTED,
            Text(zh="监听时间尚短，暂不下结论。", en="Not listened for long enough to tell."),
            NOTHING_TO_DO,
            {**evidence, "reason": "too_short"},
        )
    count = len({h.source for h in measured.heard})
    minutes = f"{measured.listened_s / 60:.0f}"
    summary = Text(
        zh=f"已监听 {minutes} 分钟，听到 {count} 个路由器，均已登记。",
        en=f"Listened for {minutes} min: {count} router{'' if count == 1 else 's'}, all registered.",
    )
    if not count:
        summary = Text(
            zh=f"已监听 {minutes} 分钟，未听到路由器通告。",
            en=f"Listened for {minutes} min: no router advertisement.",
        )
    return Finding(Status.PASS, summary, NOTHING_TO_DO, evidence)


class RogueRa:
    """Reads what the ndp input has heard."""

    about = ABOUT
    of = SegmentSubject

    def __init__(self, config: Config) -> None:
        self._config = config

    async def check(self, _: SegmentSubject, probe: Probe) -> Finding:
        now, since = probe.clock.now_ms(), probe.segment.listening_since_ms
        register = Register(probe.work)
        heard = tuple(
            heard_of(event, register.registered(event))
            for event in probe.segment.advertisements(now, self._config.within)
        )
        listened = None if since is None else max(0.0, (now - since) / 1000)
        return judge(Measured(listened, probe.segment.interfaces, heard), self._config)


def heard_of(event: Event, registered: bool | None) -> Heard:
    prefixes = event.get("tengwang.ndp.prefixes", [])
    lifetime = event.get("tengwang.ndp.router_lifetime", 0)
    return Heard(
        interface=str(event.get("tengwang.interface.name", "")),
        source=str(event.get("source.ip", "")),
        mac=str(event.get("source.mac", "")),
        prefixes=tuple(map(str, prefixes)) if isinstance(prefixes, list) else (),
        lifetime=lifetime if isinstance(lifetime, int) else 0,
        registered=registered,
    )


def build(config: Config) -> RogueRa:
    return RogueRa(config)
