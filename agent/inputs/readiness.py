"""IPv6 readiness: runs the checks of ``agent/checks`` over the systems, devices and segments of the agent's work.

One round every ``interval``; each domain or device is one after the other on its own probe, a few at a time. A check
that takes too long or breaks is ``not_tested`` with that reason, and the others go on. With ``domain`` set, that
domain is checked as a system of its own besides the work.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from agent import probe, resolver, web
from agent.check import About, Check, DeviceSubject, Finding, SegmentSubject, Subject, SystemSubject
from agent.input import Context
from agent.probe import Probe
from agent.segment import SegmentView, view
from telemetry import component
from telemetry.errors import ConfigError, Problem
from telemetry.event import Event
from telemetry.verdict import Status, Text
from telemetry.work import System, Work

PACKAGE = "agent.checks"
MAX_SUBJECTS = 2000
"""Domains and devices of one round; what is beyond is counted and said."""
EVERY = "all"

Meta = msgspec.Meta
AnyCheck = Check[Any]


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[inputs.readiness]``. What is checked comes from the collector; ``domain`` is for one more, and for ``try``."""

    checks: Annotated[tuple[str, ...], Meta(description="checks to run by name, or all", min_length=1)] = (EVERY,)
    options: Annotated[
        Mapping[str, Mapping[str, str | int | float | bool]],
        Meta(description="options of single checks, by check name"),
    ] = {}
    interval: Annotated[float, Meta(ge=10, le=86400, description="seconds between rounds")] = 300
    concurrency: Annotated[int, Meta(ge=1, le=32, description="domains and devices checked at the same time")] = 4
    check_timeout: Annotated[float, Meta(ge=1, le=600, description="seconds that one check may take")] = 60
    connect_timeout: Annotated[float, Meta(ge=0.1, le=60, description="seconds for a TCP and TLS connection")] = 4.0
    page_timeout: Annotated[float, Meta(ge=0.1, le=120, description="seconds for a whole page")] = 15.0
    dns_timeout: Annotated[float, Meta(ge=0.1, le=30, description="seconds for one DNS answer")] = 3.0
    resolvers: Annotated[
        tuple[str, ...], Meta(description="recursive DNS servers; else those of the work, else the system's")
    ] = ()
    dns_port: Annotated[int, Meta(ge=1, le=65535, description="port of all DNS servers")] = 53
    tls_ports: Annotated[tuple[int, ...], Meta(description="ports on which TLS is spoken")] = (443, 8443)
    domain: Annotated[str, Meta(description="one domain to check besides the agent's work")] = ""
    ports: Annotated[tuple[int, ...], Meta(description="web ports of domain")] = (80, 443)
    private: Annotated[bool, Meta(description="domain is not published outside: unique-local addresses will do")] = (
        False
    )


class Readiness:
    """Runs checks and emits a verdict for each."""

    def __init__(self, config: Config, context: Context, checks: Sequence[AnyCheck], segment: SegmentView) -> None:
        self.interval = config.interval
        self._config = config
        self._context = context
        self._checks = checks
        self._segment = segment
        self._rng = random.Random()

    async def collect(self) -> None:
        """One round over everything."""
        clock, report = self._context.clock, self._context.report
        work = self._context.work()
        found = subjects(work, self._config, socket.gethostname())
        if len(found) > MAX_SUBJECTS:
            report.count("tengwang_readiness_subjects_left_out_total", len(found) - MAX_SUBJECTS)
            report.warn("readiness_subjects", f"{len(found)} subjects, the first {MAX_SUBJECTS} are checked")
        started = clock.monotonic()
        waiting = iter(found[:MAX_SUBJECTS])

        async def worker() -> None:
            for subject in waiting:
                await self._examine(subject, work)

        async with asyncio.TaskGroup() as group:
            for _ in range(self._config.concurrency):
                group.create_task(worker())
        report.gauge("tengwang_readiness_round_seconds", clock.monotonic() - started)

    def close(self) -> None:
        """Nothing is held open between rounds."""

    async def _examine(self, subject: Subject, work: Work) -> None:
        """All checks of one subject, one after the other: what they share is measured once."""
        instrument = self._probe(work)
        try:
            for check in self._checks:
                if isinstance(subject, check.of):
                    finding = await self._run(check, subject, instrument)
                    self._context.emit(self._event(check.about, subject, finding))
                    self._context.report.count("tengwang_checks_total", check=check.about.id, status=finding.status)
        finally:
            await instrument.close()

    async def _run(self, check: AnyCheck, subject: Subject, instrument: Probe) -> Finding:
        try:
            async with asyncio.timeout(self._config.check_timeout):
                return await check.check(subject, instrument)
        except TimeoutError:
            seconds = f"{self._config.check_timeout:g}"
            summary = Text(zh=f"检查在 {seconds} 秒内未完成。", en=f"The check was not done in {seconds} s.")
            advice = Text(
                zh="检查对象应答过慢；先排查其可达性，或放宽 check_timeout。",
                en="It answers too slowly: see whether it can be reached, or allow more by check_timeout.",
            )
            return Finding(Status.NOT_TESTED, summary, advice, {"reason": "timeout"})
        except Exception as error:  # noqa: BLE001 - one check must never end the others
            kind = type(error).__name__
            self._context.report.error("check_broke", f"{check.about.id} of {subject.name}: {kind}: {error}")
            summary = Text(zh=f"检查程序出错（{kind}）。", en=f"The check itself broke ({kind}).")
            advice = Text(zh="请将探针日志交给运维人员。", en="Give the agent's log to whoever maintains it.")
            return Finding(Status.NOT_TESTED, summary, advice, {"reason": "internal", "error": kind})

    def _event(self, about: About, subject: Subject, finding: Finding) -> Event:
        made = about.verdict(subject.name, finding).to_event(self._context.clock.now_ms())
        if isinstance(subject, SystemSubject) and subject.system.asset:
            made["tengwang.asset.id"] = subject.system.asset
            made["tengwang.asset.name"] = subject.system.name
        if isinstance(subject, DeviceSubject):
            made["tengwang.device.id"] = subject.target.device
        if isinstance(subject, SegmentSubject):
            made["host.name"] = subject.host
        return made

    def _probe(self, work: Work) -> Probe:
        config, clock = self._config, self._context.clock
        servers = config.resolvers or work.resolvers or resolver.system_servers(self._context.root)
        bounds = probe.Bounds(
            web=web.Bounds(connect_s=config.connect_timeout, total_s=config.page_timeout),
            tls_ports=config.tls_ports,
        )
        asks = resolver.Resolver(servers, clock, config.dns_timeout, config.dns_port)
        return Probe(clock, asks, bounds, work, self._segment, self._rng)


def subjects(work: Work, config: Config, host: str) -> list[Subject]:
    """What one round is about: each domain of each system, each device, and the host's segments."""
    systems = list(work.systems)
    if config.domain:
        own = System("", config.domain, (config.domain,), config.ports, private=config.private)
        systems.insert(0, own)
    found: list[Subject] = [SystemSubject(system, domain) for system in systems for domain in system.domains]
    found += [DeviceSubject(target) for target in work.snmp]
    found.append(SegmentSubject(host))
    return found


def load_checks(config: Config) -> list[AnyCheck]:
    """The enabled checks by number. Raises ConfigError with every problem."""
    every = component.names(PACKAGE)
    wanted = every if EVERY in config.checks else list(dict.fromkeys(config.checks))
    problems: list[Problem] = []
    made: list[AnyCheck] = []
    for name in config.options.keys() - set(wanted):
        problems.append(Problem("readiness", 0, f"options.{name}", "is not an enabled check", ", ".join(every)))
    for name in wanted:
        try:
            module = component.load(PACKAGE, name, "readiness")
            made.append(module.build(msgspec.convert(config.options.get(name, {}), module.Config)))
        except ConfigError as error:
            problems += error.problems
        except msgspec.ValidationError as error:
            problems.append(Problem("readiness", 0, f"options.{name}", str(error)))
    if problems:
        raise ConfigError(problems)
    return sorted(made, key=lambda check: check.about.number)


def build(config: Config, context: Context) -> Readiness:
    """Raises ConfigError for a check that there is not, or an option of one that is wrong."""
    return Readiness(config, context, load_checks(config), view())
