"""The part "verify": an incident is over when a measurement shows it, and closes when that has held.

Where the rule has a proof (an event that shows the good state), it must be newer than the newest alert. Besides, the
rule's quiet time must have passed without a further alert, while the agents that raised it could see. Then it is being
verified, and after ``hold_ms`` more of the same it is closed. Where it is seen again meanwhile, the part "group" puts
it back. Where nobody can see, nothing moves, and the record says why.

Times on an incident are of whoever led then, and clocks differ and jump. So besides what they say, this leader itself
must have watched for the quiet time, of a long one for ``WATCHED_MS``, by a clock that did not jump.
"""

from __future__ import annotations

import functools

import msgspec

from collector.incidents import lifecycle
from collector.incidents.desk import Desk
from collector.incidents.facts import HOUR_MS, RuleFacts
from collector.incidents.group import STORM_KEY, count
from collector.incidents.identity import SYSTEM
from collector.incidents.model import Entry, Incident, State
from collector.incidents.sight import Seeing, Sight
from collector.operation import News
from collector.store import Record, Store
from telemetry.clock import Clock
from telemetry.errors import Permanent, Transient
from telemetry.event import Event
from telemetry.report import Report

EVERY_S = 5.0
PROOF = "proof"
WATCHED_MS = 600_000
JUMP_MS = 60_000
replace = msgspec.structs.replace


class Verify:
    """``step`` for one thread."""

    name = "verify"

    def __init__(
        self, desk: Desk, store: Store, sight: Sight, clock: Clock, report: Report, hold_ms: int = 60_000
    ) -> None:
        self._desk = desk
        self._store = store
        self._sight = sight
        self._clock = clock
        self._report = report
        self._hold_ms = hold_ms
        self._looked_at = float("-inf")
        self._pace = float("nan")
        self._watching_since = float("inf")

    def begin(self, now_ms: int) -> None:
        del now_ms
        self._sight.begin()
        self._looked_at = float("-inf")
        self._pace = float("nan")

    def step(self, news: News) -> None:
        proofs = [hit for hit in news.hits if hit.doc.get("tengwang.hit.role") == PROOF]
        if proofs:
            self._prove(proofs, news.now_ms)
        if self._clock.monotonic() - self._looked_at < EVERY_S:
            return
        self._looked_at = self._clock.monotonic()
        self._watch(news.now_ms)
        waiting = [one for one in self._desk.docket.all() if lifecycle.is_open(one)]
        if waiting:
            self._sight.listen(news.now_ms)
        failed: Transient | None = None
        for incident in waiting:
            try:
                self._look(incident, news.now_ms)
            except Transient as error:
                failed = error
            except Permanent as error:  # somebody else changed it meanwhile
                self._report.info("verify", f"{incident.id}: {error}")
        if failed is not None:
            raise failed

    def _watch(self, now_ms: int) -> None:
        """Where the clock was set, watching begins anew."""
        pace = now_ms - self._clock.monotonic() * 1000
        if not abs(pace - self._pace) < JUMP_MS:  # also of the first look
            self._pace = pace
            self._watching_since = self._clock.monotonic()

    def _prove(self, proofs: list[Record], now_ms: int) -> None:
        newest: dict[str, int] = {}
        for hit in proofs:
            key = str(hit.doc.get("tengwang.hit.group", ""))
            newest[key] = max(newest.get(key, 0), _happened(hit.doc))
        for incident in self._desk.docket.all():
            at = max((newest.get(key, 0) for key in (incident.key, *incident.keys)), default=0)
            if at > incident.last_ms >= incident.proof_ms and lifecycle.is_open(incident):
                self._desk.docket.change(incident.id, functools.partial(_proven, at_ms=at, now_ms=now_ms))

    def _look(self, incident: Incident, now_ms: int) -> None:
        facts = [f for rule in incident.rules or (incident.rule,) if (f := self._desk.rules(rule)) is not None]
        quiet = max((f.quiet_ms for f in facts), default=HOUR_MS)
        wants_proof = any(f.proof for f in facts) and not incident.key.startswith(STORM_KEY)
        start = max(incident.arrived_ms, incident.found_ms)
        if wants_proof and incident.proof_ms <= incident.last_ms:
            return
        if now_ms - start < quiet and not (wants_proof and incident.state is not State.VERIFYING):
            return
        if wants_proof and incident.state is not State.VERIFYING:
            self._desk.docket.change(incident.id, lambda one: _verifying(one, now_ms, incident, {"proof": True}))
            return
        if (self._clock.monotonic() - self._watching_since) * 1000 < min(quiet, WATCHED_MS):
            return
        seen = self._sight.look(incident.agents, _datasets(facts), start, now_ms)
        if seen.why or now_ms - seen.since_ms < quiet:
            self._blind(incident, seen, now_ms)
        elif incident.state is not State.VERIFYING:
            data: dict[str, str | int | float | bool | list[str]] = {"quiet_ms": now_ms - seen.since_ms}
            self._desk.docket.change(incident.id, lambda one: _verifying(one, now_ms, incident, data))
        elif now_ms - incident.verifying_ms >= min(self._hold_ms, quiet):
            self._close(incident, now_ms, now_ms - seen.since_ms)

    def _blind(self, incident: Incident, seen: Seeing, now_ms: int) -> None:
        """Noted once while it lasts."""
        why = seen.why or "an agent that raised it could not see all the time"
        if incident.blind == why:
            return

        def change(one: Incident) -> Incident:
            if one.blind == why:
                return one
            entry = Entry(now_ms, SYSTEM, "verified", why, {"result": "blind"})
            return lifecycle.noted(replace(one, blind=why), entry)

        self._desk.docket.change(incident.id, change)

    def _close(self, incident: Incident, now_ms: int, quiet_ms: int) -> None:
        counted = count(self._store, incident)

        def change(one: Incident) -> Incident:
            if one.state is not State.VERIFYING or one.arrived_ms != incident.arrived_ms:
                return one
            closed = lifecycle.moved(one, State.CLOSED, now_ms, SYSTEM, measured=True)
            entry = closed.entries[-1]
            entry = replace(entry, data={**entry.data, "quiet_ms": quiet_ms, "proof_ms": one.proof_ms})
            contained = one.contained_ms or one.verifying_ms
            return replace(
                closed,
                entries=(*closed.entries[:-1], entry),
                count=max(counted, one.count) if counted else one.count,
                contained_ms=contained,
                blind="",
            )

        self._desk.docket.change(incident.id, change)
        self._report.count("tengwang_incidents_closed_total", by="measurement")


def _verifying(
    one: Incident, now_ms: int, seen: Incident, data: dict[str, str | int | float | bool | list[str]]
) -> Incident:
    """Not where it went on, or somebody closed it, since it was looked at."""
    if one.state is State.VERIFYING or not lifecycle.is_open(one) or one.arrived_ms != seen.arrived_ms:
        return one
    moved = lifecycle.moved(one, State.VERIFYING, now_ms, SYSTEM, measured=True)
    entry = replace(moved.entries[-1], data={**moved.entries[-1].data, **data})
    return replace(moved, entries=(*moved.entries[:-1], entry), blind="")


def _proven(one: Incident, at_ms: int, now_ms: int) -> Incident:
    if not at_ms > one.last_ms >= one.proof_ms:
        return one
    entry = Entry(now_ms, SYSTEM, "verified", "", {"result": "proof", "at_ms": at_ms})
    return lifecycle.noted(replace(one, proof_ms=at_ms), entry)


def _datasets(facts: list[RuleFacts]) -> frozenset[str]:
    return frozenset(name for f in facts for name in f.datasets)


def _happened(doc: Event) -> int:
    at = doc.get("event.ingested" if "tengwang.time.flag" in doc else "@timestamp")
    return at if isinstance(at, int) else 0
