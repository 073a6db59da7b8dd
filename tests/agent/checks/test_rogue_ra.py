"""Check 34: what was heard on the segment, against the register of routers."""

from __future__ import annotations

import pytest

from agent.check import Finding, SegmentSubject
from agent.checks import rogue_ra
from agent.segment import SegmentView
from telemetry.clock import ManualClock
from telemetry.event import Event, event
from telemetry.verdict import Status
from telemetry.work import Router, Work
from tests.agent.checks.measuring import measure, probe

WORK = Work("1", routers=(Router("r1", ("fe80::1",), ("02:00:00:00:00:01",), ("240e:1::/64",)),))


def advertisement(clock: ManualClock, source: str, mac: str, prefix: str = "240e:1::/64") -> Event:
    fields = {"source.ip": source, "source.mac": mac, "tengwang.ndp.prefixes": [prefix]}
    return event(clock.now_ms(), "tengwang.ndp", "router_advertisement", **fields)  # type: ignore[arg-type]


async def judged(view: SegmentView, clock: ManualClock, work: Work = WORK) -> Finding:
    instrument = probe(work=work, segment=view, clock=clock)
    return await measure(rogue_ra, SegmentSubject("host"), instrument, listened=30)


def listening(clock: ManualClock, seconds: float = 300) -> SegmentView:
    view = SegmentView()
    view.listening(clock.now_ms() - int(seconds * 1000), ("eth0",))
    return view


async def test_registered_routers_pass() -> None:
    clock = ManualClock()
    view = listening(clock)
    view.record(advertisement(clock, "fe80::1", "02:00:00:00:00:01"))
    finding = await judged(view, clock)
    assert finding.status == Status.PASS
    assert len(finding.evidence["registered"]) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "mac", "prefix"),
    [
        ("fe80::bad", "02:00:00:00:00:99", "240e:1::/64"),
        ("fe80::1", "02:00:00:00:00:99", "240e:1::/64"),
        ("fe80::1", "02:00:00:00:00:01", "2001:db8:bad::/64"),
    ],
)
async def test_anyone_else_fails_even_beside_a_good_one(source: str, mac: str, prefix: str) -> None:
    clock = ManualClock()
    view = listening(clock)
    view.record(advertisement(clock, "fe80::1", "02:00:00:00:00:01"))
    view.record(advertisement(clock, source, mac, prefix))
    finding = await judged(view, clock)
    assert finding.status == Status.FAIL
    assert source in finding.summary.en


async def test_what_was_long_ago_is_over() -> None:
    clock = ManualClock()
    view = listening(clock)
    view.record(advertisement(clock, "fe80::bad", "02:00:00:00:00:99"))
    clock.advance(700)
    assert (await judged(view, clock)).status == Status.PASS


async def test_when_nothing_can_be_said() -> None:
    clock = ManualClock()
    deaf = await judged(SegmentView(), clock)
    assert (deaf.status, deaf.evidence["reason"]) == (Status.NOT_TESTED, "not_listening")
    short = await judged(listening(clock, 5), clock)
    assert (short.status, short.evidence["reason"]) == (Status.NOT_TESTED, "too_short")
    view = listening(clock)
    view.record(advertisement(clock, "fe80::1", "02:00:00:00:00:01"))
    for nobody_registered in (Work(), Work("1")):
        unknown = await judged(view, clock, nobody_registered)
        assert (unknown.status, unknown.evidence["reason"]) == (Status.NOT_TESTED, "no_register")
        assert unknown.advice.en.startswith("Register this segment's routers")
        assert "fe80::1" in unknown.summary.zh
        assert len(unknown.evidence["unjudged"]) == 1  # type: ignore[arg-type]


async def test_silence_after_listening_long_enough_passes() -> None:
    clock = ManualClock()
    assert (await judged(listening(clock), clock)).status == Status.PASS
