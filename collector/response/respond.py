"""The leader's part ``respond``: proposes, follows each order to its end, and says what became of it.

Once a step: for each open incident what the playbooks propose; for each order what its agent said and others measured,
judged anew; for each order in force a measurement by others, so that its effect is known sooner than by their silence.
What changes is put on the incident's record; what does not hold is paged. Where an incident is over its orders are
undone: that the matter is over must not rest on a block that nobody remembers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec

from collector.audit import Trail
from collector.incidents.model import OPEN, Entry, Incident
from collector.incidents.model import State as IncidentState
from collector.operation import News
from collector.response import judgement
from collector.response.book import HANDED_OUT
from collector.response.evidence import Evidence
from collector.response.model import IN_FORCE, OVER, PAGED, Kept, Proposal, Reports, State
from collector.response.playbook import TITLES
from collector.response.proposing import NO_AGENT, Ability
from collector.response.responses import SYSTEM, Incidents, Responses
from telemetry.clock import Clock
from telemetry.errors import Permanent, Transient
from telemetry.order import CONTAINING, Action
from telemetry.report import Report

KEEP_MS = 7 * 86_400_000
"""Orders of incidents that are over are forgotten after so long; the incident's record keeps what became of them."""
AGAIN_S = 15.0
"""How often is looked again for an agent where none could act."""
REFUSED_S = 10.0
PROBES_MS = (12_000, 45_000, 90_000)
"""After the rules are there, others are asked to measure again: their checks look back ten seconds."""
PROBE_MS = 60_000
MAX_PROBED = 3
LOOK_S = 5.0
RENEW_MS = 10_000
RENEWED = frozenset({"ended", "agent_away", "too_late", "not_told", "not_there", "agent_stopped", "no_collector"})
"""Ends that nobody wanted for the matter's sake: a person's own decision is not asked for again."""
FOLLOWED = frozenset({IncidentState.FOUND, IncidentState.NOTIFIED, IncidentState.ACKNOWLEDGED, IncidentState.HANDLING})


class Desk(Incidents, Protocol):
    """What of collector/incidents/desk.py is needed here."""

    def open(self) -> Sequence[Incident]: ...


class Respond:
    name = "respond"

    def __init__(
        self,
        responses: Responses,
        desk: Desk,
        evidence: Evidence,
        abilities: Callable[[], Sequence[Ability]],
        trail: Trail,
        clock: Clock,
        report: Report,
    ) -> None:
        self._responses, self._desk, self._evidence = responses, desk, evidence
        self._abilities, self._trail, self._clock, self._report = abilities, trail, clock, report
        self._retry_at = float("-inf")
        self._look_at: dict[str, float] = {}
        self._proposed: dict[str, tuple[object, float]] = {}
        self._refused_at = float("-inf")
        self._refused_ms = 0
        self._audited: set[str] = set()

    def begin(self, now_ms: int) -> None:
        self._proposed.clear()
        self._look_at.clear()
        self._audited.clear()
        self._evidence.forget()
        self._refused_ms = now_ms
        self._responses.book.forget()

    def step(self, news: News) -> None:
        now = news.now_ms
        opened = {incident.id: incident for incident in self._desk.open()}
        self._propose(opened.values())
        every = self._responses.book.every()
        retry = self._clock.monotonic() >= self._retry_at
        if retry:
            self._retry_at = self._clock.monotonic() + AGAIN_S
        following = [kept for kept in every if kept.signed and not _settled(kept, now)]
        if following:
            self._evidence.listen(now)
        reports = self._evidence.reports(following, now)
        for kept in every:
            try:
                if kept.why == NO_AGENT and not kept.signed:
                    if retry and kept.incident in opened:
                        self._retry(kept, opened[kept.incident])
                elif kept.state in OVER and _settled(kept, now):
                    self._renew(kept, opened.get(kept.incident))
                    self._forget(kept, now)
                elif kept.incident not in opened or self._due(kept, reports.get(kept.id, kept.reports), now):
                    incident = opened.get(kept.incident) or self._desk.get(kept.incident)
                    self._follow(kept, incident, every, reports.get(kept.id, kept.reports), now)
            except Permanent as error:
                self._report.warn("response", f"order {kept.id}: {error}")
        self._audit(now)

    def _propose(self, opened: Iterable[Incident]) -> None:
        """What is new about an incident may mean another action, or the same at another target."""
        mono = self._clock.monotonic()
        known = {}
        for incident in opened:
            if incident.state not in FOLLOWED:
                continue
            about = (incident.subject, incident.rule, incident.rules, incident.reopened)
            before = self._proposed.get(incident.id)
            if before is not None and before[0] == about and mono < before[1]:
                known[incident.id] = before
                continue
            self._responses.propose(incident)
            known[incident.id] = (about, mono + AGAIN_S)
        self._proposed = known

    def _follow(
        self, kept: Kept, incident: Incident | None, every: Sequence[Kept], reports: Reports, now_ms: int
    ) -> None:
        over = incident is None or incident.state not in OPEN
        if kept.state is State.PROPOSED:
            if over:
                self._set(kept, State.EXPIRED, "incident_over", now_ms)
            return
        if over and kept.state in HANDED_OUT and kept.proposal.action in CONTAINING and not kept.withdrawn_ms:
            self._responses.withdraw(kept.id, SYSTEM)
            return
        if not kept.signed:
            return
        looked = msgspec.structs.replace(kept, reports=reports)
        verifying = [one.id for one in every if one.proposal.verifies == kept.id]
        seen = judgement.Seen()
        if incident is not None and looked.reports.applied_ms and kept.proposal.action in CONTAINING:
            seen = self._evidence.seen(looked, incident, verifying, now_ms)
            self._probe(looked, incident, len(verifying), now_ms)
        verdict = judgement.judge(looked, seen, now_ms)
        self._record(looked, verdict, now_ms)

    def _record(self, looked: Kept, verdict: judgement.Verdict, now_ms: int) -> None:
        def change(present: Kept) -> Kept:
            if present.withdrawn_ms != looked.withdrawn_ms or present.decided_ms != looked.decided_ms:
                return present  # somebody decided meanwhile: judged anew in the next step
            return msgspec.structs.replace(
                present, reports=looked.reports, state=verdict.state, why=verdict.why, detail=verdict.detail
            )

        before = looked.state
        kept = self._responses.book.change(looked.id, change)
        if kept.state is before and kept.said == kept.state:
            return
        if kept.state is not verdict.state:
            return
        self._say(kept, now_ms)

    def _say(self, kept: Kept, now_ms: int) -> None:
        """On the incident's record, once for each state; what changed only in its reason is not told again."""
        if kept.said == kept.state or kept.proposal.verifies:
            return
        page = kept.state in PAGED and kept.proposal.action in CONTAINING and not kept.withdrawn_ms
        self._responses.tell(kept, page=page)
        if kept.state is State.EFFECTIVE and kept.proposal.action in CONTAINING:
            data: dict[str, str | int | float | bool | list[str]] = {"order": kept.id, "packets": kept.reports.packets}
            self._desk.append(kept.incident, Entry(now_ms, SYSTEM, "contained", "", data))
        self._responses.book.change(kept.id, lambda present: msgspec.structs.replace(present, said=kept.state))
        self._report.count("tengwang_orders_total", action=kept.proposal.action.value, state=kept.state.value)

    def _set(self, kept: Kept, state: State, why: str, now_ms: int) -> None:
        def change(present: Kept) -> Kept:
            if present.state is not kept.state:
                return present
            return msgspec.structs.replace(present, state=state, why=why, decided_ms=now_ms, decided_by=SYSTEM)

        self._responses.book.change(kept.id, change)

    def _retry(self, kept: Kept, incident: Incident) -> None:
        """Where no agent could act, one may have come: then the same proposal is a new one with that agent."""
        for proposal in self._responses.proposals(incident):
            same = (proposal.action, proposal.target) == (kept.proposal.action, kept.proposal.target)
            if same and proposal.agent:
                self._responses.book.remove(kept.id)
                self._responses.keep(incident.id, proposal, kept.attempt)

    def _probe(self, kept: Kept, incident: Incident, made: int, now_ms: int) -> None:
        """Ask others to measure what the playbook says, a few times after the rules are there."""
        check, age = kept.proposal.verify_by, now_ms - kept.reports.applied_ms
        if not check or kept.withdrawn_ms or kept.state is State.EFFECTIVE:
            return
        rounds = sum(age >= at for at in PROBES_MS)
        if not rounds:
            return
        witnesses = self._evidence.witnesses(kept, incident, now_ms)
        able = [
            a.agent
            for a in self._abilities()
            if Action.RECHECK in a.allowed and a.agent != kept.proposal.agent and a.unit == incident.unit
        ]
        able.sort(key=lambda agent: (agent not in witnesses, agent))
        if made >= rounds * len(able[:MAX_PROBED]):
            return
        for agent in able[:MAX_PROBED]:
            proposal = Proposal(
                playbook=kept.proposal.playbook, title=TITLES[Action.RECHECK], action=Action.RECHECK, agent=agent,
                check=check, ttl_ms=PROBE_MS, begin_ms=PROBE_MS, automatic=True, verifies=kept.id,
            )  # fmt: skip
            self._responses.keep(incident.id, proposal, attempt=rounds)

    def _due(self, kept: Kept, reports: Reports, now_ms: int) -> bool:
        """What is known to hold, or not to, is looked at less often; what its agent says is heard at once."""
        quiet = kept.state in IN_FORCE - {State.APPLIED} and now_ms < min(
            kept.until_ms, kept.withdrawn_ms or now_ms + 1
        )
        mono = self._clock.monotonic()
        if quiet and mono < self._look_at.get(kept.id, 0.0) and _same_phase(kept.reports, reports):
            return False
        self._look_at[kept.id] = mono + LOOK_S
        return True

    def _renew(self, kept: Kept, incident: Incident | None) -> None:
        """It ended, or never began, and the matter goes on: propose it once more."""
        if incident is None or incident.state not in FOLLOWED or kept.why not in RENEWED or kept.proposal.verifies:
            return
        if incident.last_ms > max(kept.reports.undone_ms, kept.reports.failed_ms, kept.not_after_ms) + RENEW_MS:
            self._responses.keep(incident.id, kept.proposal, kept.attempt + 1)

    def _forget(self, kept: Kept, now_ms: int) -> None:
        if now_ms - max(kept.decided_ms, kept.proposed_ms, kept.until_ms) > KEEP_MS:
            self._responses.book.remove(kept.id)
            self._look_at.pop(kept.id, None)

    def _audit(self, now_ms: int) -> None:
        """Orders that agents refused: forged, replayed, against their policy."""
        if self._clock.monotonic() - self._refused_at < REFUSED_S:
            return
        self._refused_at = self._clock.monotonic()
        try:
            found = list(self._evidence.refused(self._refused_ms - 60_000, now_ms))
        except Transient as error:
            self._report.warn("response", str(error))
            return
        for doc in found:
            name = str(doc.get("event.id", ""))
            if name in self._audited:
                continue
            self._audited.add(name)
            self._trail.write(
                "order-refused",
                "failure",
                agent=str(doc.get("agent.id", "")),
                reason=str(doc.get("event.reason", "")),
                message=f"{doc.get('tengwang.order.id', '')} {doc.get('message', '')}".strip(),
            )
        if len(self._audited) > 10_000:
            self._audited.clear()
            self._refused_ms = now_ms


def _settled(kept: Kept, now_ms: int) -> bool:
    """Nothing more will be heard of it: over, and late reports have had their time."""
    if kept.state not in OVER:
        return False
    return not kept.signed or now_ms > max(kept.until_ms, kept.not_after_ms, kept.withdrawn_ms) + judgement.UNDO_MS


def _same_phase(one: Reports, other: Reports) -> bool:
    """Only the counters went on."""
    return (one.refused_ms, one.failed_ms, one.expired_ms, one.undone_ms) == (
        other.refused_ms,
        other.failed_ms,
        other.expired_ms,
        other.undone_ms,
    )
