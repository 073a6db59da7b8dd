"""What ``tengwang-agent check`` looks at: identity, inputs, collectors. Sends no event and changes nothing."""

from __future__ import annotations

import enum
import tempfile
from pathlib import Path

import msgspec

from agent import identity, stand, tls
from agent.config import InputSettings, Settings
from agent.home import Home
from agent.host_identity import this_host
from agent.input import Blind, Context
from agent.link import Link, Unanswered, explain
from agent.nft import Nft
from agent.order_policy import Actions
from telemetry.clock import Clock, SystemClock, iso
from telemetry.enrol import WORK_PATH
from telemetry.errors import ConfigError, Permanent, TengwangError, Transient
from telemetry.order import CONTAINING
from telemetry.report import Report
from telemetry.work import Work


class Grade(enum.StrEnum):
    GOOD = "ok"
    LIMITED = "warn"
    """It would run, but not see or reach everything."""
    BROKEN = "fail"
    """It would not start."""


class Finding(msgspec.Struct, frozen=True):
    grade: Grade
    what: str
    detail: str
    advice: str = ""

    @property
    def exit_code(self) -> int:
        return list(Grade).index(self.grade)


def run(home: Home, settings: Settings, timeout: float = 10.0) -> list[Finding]:
    """One finding a thing looked at."""
    clock = SystemClock()
    findings = [Finding(Grade.GOOD, "configuration", f"{home.config if home.config.exists() else 'defaults'}")]
    findings += [_input(given, clock) for given in settings.inputs]
    findings += _actions(settings.config.actions)
    try:
        enrolled = identity.read(home)
        identity.check_host(enrolled, this_host(), home)
    except ConfigError as error:
        problem = error.problems[0]
        return [*findings, Finding(Grade.BROKEN, "identity", problem.message, problem.hint)]
    if clock.now_ms() >= enrolled.not_after_ms:
        advice = "enrol again with a new token"
        findings.append(
            Finding(Grade.LIMITED, "identity", f"the certificate ended {iso(enrolled.not_after_ms)}", advice)
        )
    else:
        detail = f"{enrolled.name} ({enrolled.agent}), unit {enrolled.unit}, until {iso(enrolled.not_after_ms)}"
        findings.append(Finding(Grade.GOOD, "identity", detail))
    urls = settings.config.uplink.collectors or enrolled.collectors
    return findings + [_collector(home, url, timeout) for url in urls]


def _input(given: InputSettings, clock: Clock) -> Finding:
    what = f"input {given.name}"
    with tempfile.TemporaryDirectory() as folder:
        context = Context(clock=clock, report=Report(clock), emit=lambda _: None, work=Work, state=Path(folder))
        try:
            given.module.build(given.options, context).close()
        except Blind as blind:
            return Finding(Grade.LIMITED, what, f"blind here: {blind.why}", blind.advice)
        except TengwangError as error:
            return Finding(Grade.BROKEN, what, str(error))
        except Exception as error:  # noqa: BLE001 - an input may do anything; the others are still checked
            return Finding(Grade.LIMITED, what, f"{type(error).__name__}: {error}")
    return Finding(Grade.GOOD, what, "can see")


def _actions(policy: Actions, tables: Nft | None = None) -> list[Finding]:
    """What a collector may order here; nothing to say where it may only ask for measurements."""
    contains = sorted(action.value for action in policy.allow if action in CONTAINING)
    if not contains:
        return []
    scope = stand.look(only=policy.interfaces).scope.value
    try:
        (tables or Nft()).probe()
    except (Permanent, Transient) as error:
        advice = "install nftables; let systemd give the agent AmbientCapabilities=CAP_NET_ADMIN"
        return [Finding(Grade.LIMITED, "actions", f"may {', '.join(contains)}, and can not: {error}", advice)]
    return [Finding(Grade.GOOD, "actions", f"may {', '.join(contains)}; they reach: {scope}")]


def _collector(home: Home, url: str, timeout: float) -> Finding:
    what = f"collector {url}"
    try:
        link = Link(url, tls.client_context(home), timeout)
    except OSError as error:
        return Finding(Grade.BROKEN, what, f"the identity can not be used: {explain(error)}", "enrol again")
    try:
        answer = link.request("GET", WORK_PATH)
    except Unanswered as error:
        return Finding(Grade.LIMITED, what, str(error).removeprefix(f"{url}: "), "events wait in the spool until then")
    finally:
        link.close()
    if answer.status in (200, 304):
        return Finding(Grade.GOOD, what, "reached, and it knows this agent")
    refusal = answer.refusal()
    return Finding(Grade.LIMITED, what, f"it answers {answer.status} {refusal.reason}", refusal.detail)
