"""The readiness input: a round over a real portal, and what it does with checks that hang or break."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from pathlib import Path

import msgspec
import pytest

from agent.check import About, Finding, Subject, SystemSubject
from agent.input import Context
from agent.inputs import readiness
from agent.probe import Probe
from agent.segment import SegmentView
from telemetry.clock import SystemClock
from telemetry.errors import ConfigError
from telemetry.event import Event
from telemetry.report import Report
from telemetry.validate import validate
from telemetry.verdict import Severity, Text
from telemetry.work import SnmpCredential, SnmpTarget, SnmpVersion, System, Work
from tests.parts.portal import DOMAIN, PORTAL, portal

CREDENTIAL = SnmpCredential(SnmpVersion.V2C, community="never-shown")


def world(tmp_path: Path, work: Work | None = None) -> tuple[Context, list[Event]]:
    events: list[Event] = []
    clock = SystemClock()
    return Context(clock, Report(clock), events.append, lambda: work or Work(), tmp_path), events


def statuses(events: list[Event]) -> dict[tuple[object, object], object]:
    return {(e["tengwang.check.subject"], e["tengwang.check.id"]): e["tengwang.check.status"] for e in events}


@pytest.mark.needs("root", "bind9", "nginx", "iproute2")
def test_a_round_over_a_portal_a_device_and_the_segment(tmp_path: Path) -> None:
    work = Work(
        "1",
        systems=(System("portal", "某某局门户", (DOMAIN, "none.example.gov")),),
        snmp=(SnmpTarget("r1", "r1", PORTAL, CREDENTIAL, port=9, router=True),),
        resolvers=("::1",),
    )
    context, events = world(tmp_path, work)

    async def collect() -> None:
        source = readiness.build(readiness.Config(), context)
        await source.collect()
        source.close()

    with portal(tmp_path) as site:
        site.run(collect())
    for event in events:
        validate(event)
        assert event["tengwang.check.title.zh"]
        json.loads(str(event["tengwang.check.evidence"]))
    found = statuses(events)
    web = ("aaaa", "authority_chain", "home_page", "every_address", "port_parity", "content_parity", "tls_parity")
    assert {found[DOMAIN, check] for check in web} == {"pass"}
    assert found["none.example.gov", "aaaa"] == "fail"
    assert found["none.example.gov", "home_page"] == "not_tested"
    assert found["r1", "forwarding"] == "not_tested"
    assert found[socket.gethostname(), "rogue_ra"] == "not_tested"
    assert len(found) == len(events)
    asked = {subject: {check for s, check in found if s == subject} for subject in (DOMAIN, "none.example.gov")}
    assert asked[DOMAIN] == asked["none.example.gov"] >= set(web)
    assert {e["tengwang.asset.id"] for e in events if e["tengwang.check.subject"] == DOMAIN} == {"portal"}
    assert "never-shown" not in repr(events)


@pytest.mark.needs("root", "bind9", "nginx", "iproute2")
def test_one_domain_by_option_as_try_does(tmp_path: Path) -> None:
    context, events = world(tmp_path)
    config = readiness.Config(domain=DOMAIN, resolvers=("::1",), checks=("home_page", "aaaa"))
    with portal(tmp_path) as site:
        source = readiness.build(config, context)
        site.run(source.collect())
    assert statuses(events) == {(DOMAIN, "aaaa"): "pass", (DOMAIN, "home_page"): "pass"}


ABOUT = About("made_up", 99, Severity.READINESS, Text("测试", "test"), "test")


class Broken:
    """A check that does not go well."""

    about = ABOUT
    of: type[Subject] = SystemSubject

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    async def check(self, subject: SystemSubject, probe: Probe) -> Finding:
        await asyncio.sleep(self.seconds)
        raise ZeroDivisionError(subject.domain)


@pytest.mark.parametrize(("seconds", "reason"), [(0.0, "internal"), (60.0, "timeout")])
async def test_a_check_that_breaks_or_hangs_is_not_tested(tmp_path: Path, seconds: float, reason: str) -> None:
    context, events = world(tmp_path)
    config = readiness.Config(domain="a.example.gov", check_timeout=1)
    started = time.monotonic()
    await readiness.Readiness(config, context, [Broken(seconds)], SegmentView()).collect()
    assert time.monotonic() - started < 5
    (event,) = events
    assert event["tengwang.check.status"] == "not_tested"
    assert json.loads(str(event["tengwang.check.evidence"]))["reason"] == reason


async def test_a_thousand_subjects_are_bounded_in_how_many_at_once(tmp_path: Path) -> None:
    running, most = 0, 0

    class Counting(Broken):
        async def check(self, subject: SystemSubject, probe: Probe) -> Finding:
            nonlocal running, most
            running, most = running + 1, max(most, running + 1)
            await asyncio.sleep(0)
            running -= 1
            raise ZeroDivisionError

    domains = tuple(f"d{n}.example.gov" for n in range(2500))
    context, events = world(tmp_path, Work("1", systems=(System("s", "s", domains),)))
    await readiness.Readiness(readiness.Config(concurrency=3), context, [Counting(0)], SegmentView()).collect()
    assert most <= 3
    assert len(events) == readiness.MAX_SUBJECTS
    assert context.report.value("tengwang_readiness_subjects_left_out_total") == 501


def test_wrong_options_are_all_named(tmp_path: Path) -> None:
    context, _ = world(tmp_path)
    config = readiness.Config(
        checks=("aaaa", "hompage", "content_parity"),
        options={"content_parity": {"difference": 3}, "tls_parity": {}},
    )
    with pytest.raises(ConfigError) as error:
        readiness.build(config, context)
    text = str(error.value)
    assert "did you mean 'home_page'" in text
    assert "difference" in text or "content_parity" in text
    assert "options.tls_parity" in text


def test_options_reach_their_check() -> None:
    checks = readiness.load_checks(readiness.Config(options={"content_parity": {"difference": 0.5}}))
    numbers = [check.about.number for check in checks]
    assert numbers == sorted(set(numbers))
    assert {1, 2, 9, 11, 12, 13, 18, 22, 34} <= set(numbers)
    assert msgspec.convert({"checks": ["aaaa"]}, readiness.Config).checks == ("aaaa",)
