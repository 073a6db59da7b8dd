"""How the tests of checks measure: one check, on one subject, with nothing shared."""

from __future__ import annotations

import random
from types import ModuleType

import msgspec

from agent.check import Finding, Subject, SystemSubject
from agent.probe import Bounds, Probe
from agent.resolver import Resolver
from agent.segment import SegmentView
from telemetry.clock import Clock, SystemClock
from telemetry.verdict import Verdict
from telemetry.work import System, Work
from tests.parts.portal import DOMAIN, Portal

SYSTEM = System("portal", "某某局门户", (DOMAIN,))
QUICK = Bounds()


def probe(
    bounds: Bounds = QUICK,
    servers: tuple[str, ...] = ("::1",),
    work: Work | None = None,
    segment: SegmentView | None = None,
    clock: Clock | None = None,
) -> Probe:
    clock = clock or SystemClock()
    resolver = Resolver(servers, clock, 2.0, bounds.dns_port)
    return Probe(clock, resolver, bounds, work or Work(), segment or SegmentView(), random.Random(1))


async def measure(module: ModuleType, subject: Subject, instrument: Probe, **options: object) -> Finding:
    """What the check finds, having gone through everything that a verdict goes through."""
    check = module.build(msgspec.convert(options, module.Config))
    assert isinstance(subject, check.of)
    try:
        finding: Finding = await check.check(subject, instrument)
    finally:
        await instrument.close()
    verdict: Verdict = check.about.verdict(subject.name, finding)
    verdict.to_event(1)
    for text in (verdict.title, verdict.summary, verdict.advice):
        assert text.zh
        assert text.en
    return finding


def at(portal: Portal, module: ModuleType, system: System = SYSTEM, domain: str = DOMAIN) -> Finding:
    """The check inside the portal's namespace."""

    async def inside() -> Finding:
        return await measure(module, SystemSubject(system, domain), probe())

    return portal.run(inside())
