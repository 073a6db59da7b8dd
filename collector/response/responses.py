"""What people and other parts may do with orders: see, approve, refuse, withdraw. The one way in.

Approving signs the order: from then on the agent that it is bound to may fetch it. Everything is on record: in the
order's document, with the incident, and in the audit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from collector.audit import Trail
from collector.ca import Authority
from collector.incidents.model import Entry, Incident
from collector.response import model, packets
from collector.response.book import HANDED_OUT, Book
from collector.response.ground import Grounds
from collector.response.model import Kept, Proposal, State, View
from collector.response.playbook import TITLES
from collector.response.proposing import PROTECTED, Ability, choose, proposals
from collector.response.texts import why_text
from collector.store import Store
from telemetry.clock import Clock
from telemetry.errors import Permanent, Problem, Transient
from telemetry.order import CONTAINING, Action, Order, SignedOrder, SignedOrders, payload_of
from telemetry.report import Report

SYSTEM = "system"
POLICY = "policy"
"""Who approved what a playbook may do by itself."""
BY_PERSON = "by_person"
MAX_REASON = 500
MAX_FETCHED = 20
"""Times that packets may be asked for about one incident."""
FETCH_MS = 600_000
ATTEMPTS = 1000
"""An incident that came back is acted on anew: its attempts are numbered from the next thousand on."""


class Incidents(Protocol):
    """What of collector/incidents is needed here."""

    def get(self, id: str) -> Incident | None: ...

    def append(self, id: str, entry: Entry) -> object: ...


class Responses:
    """Thread-safe. Every method blocks on the store and may raise Transient."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        authority: Authority,
        trail: Trail,
        report: Report,
        grounds: Grounds,
        incidents: Callable[[], Incidents | None] = lambda: None,
    ) -> None:
        """``incidents`` is asked each time: it may be made after this."""
        self.book = Book(store, clock)
        self._store = store
        self._clock, self._authority, self._trail, self._report = clock, authority, trail, report
        self._grounds, self._incidents = grounds, incidents

    def abilities(self) -> list[Ability]:
        """What each agent last said that it may do."""
        return self._grounds.abilities()

    def problems(self) -> list[Problem]:
        """What is wrong with playbook files; the others are in use."""
        return self._grounds.problems()

    def proposals(self, incident: Incident) -> list[Proposal]:
        """What the playbooks say should be done about an incident as it is now."""
        return proposals(incident, self._grounds.of(incident))

    def propose(self, incident: Incident) -> list[Kept]:
        """Put on record what is proposed and not yet known, and approve what policy allows. What is new.

        The same action by an agent that reaches farther takes the place of one that still waits; what is in force, or
        what a person refused, is not proposed once more because another agent could do it too.
        """
        fresh = []
        before = [k for k in self.book.every() if k.incident == incident.id and not k.proposal.verifies]
        round_ = 1 + ATTEMPTS * incident.reopened
        for proposal in self.proposals(incident):
            wanted = (proposal.action, proposal.target)
            others = [
                k
                for k in before
                if (k.proposal.action, k.proposal.target) == wanted
                and k.proposal.agent != proposal.agent
                and k.attempt >= round_
            ]
            if any(k.state in HANDED_OUT or k.why == BY_PERSON for k in others):
                continue
            for waiting in others:
                if waiting.state is State.PROPOSED:
                    self.book.change(waiting.id, _superseded)
            kept = self.keep(incident.id, proposal, round_)
            if kept is not None:
                fresh.append(kept)
        return fresh

    def keep(self, incident: str, proposal: Proposal, attempt: int = 1) -> Kept | None:
        """A new order of one proposal; None where it is on record already."""
        state = State.PROPOSED
        if proposal.why:
            state = State.REFUSED if proposal.why.startswith(PROTECTED) else State.FAILED
        made = Kept(
            id=model.order_id(incident, proposal, attempt),
            incident=incident,
            proposal=proposal,
            attempt=attempt,
            state=state,
            why=proposal.why,
            proposed_ms=self._clock.now_ms(),
            said=state,
        )
        if not self.book.add(made):
            return None
        self._report.count("tengwang_orders_total", action=proposal.action.value, state=state.value)
        if proposal.automatic and state is State.PROPOSED:
            return self._approve(made.id, POLICY)
        self._tell(made, SYSTEM)
        return made

    def pending(self, incident_id: str) -> list[View]:
        """What waits for a person's approval."""
        return [view for view in self.of_incident(incident_id) if view.state is State.PROPOSED]

    def of_incident(self, incident_id: str) -> list[View]:
        """All orders of an incident, oldest first."""
        return [self.view(kept) for kept in self.book.every() if kept.incident == incident_id]

    def every(self) -> list[View]:
        return [self.view(kept) for kept in self.book.every()]

    def get(self, order_id: str) -> View:
        """Raises Permanent ``not_found``."""
        return self.view(self.book.get(order_id))

    def fetch(self, incident_id: str, by: str, around_ms: int = 0, seconds: int = 60) -> View:
        """Have the agent that saw it send its packets around a moment: asked for and approved in one.

        Raises Permanent: unknown_incident, no_agent, too_many.
        """
        incident = self._incident(incident_id)
        if incident is None:
            raise Permanent("unknown_incident", f"there is no incident {incident_id[:64]!r}")
        ground = self._grounds.of(incident)
        able = [a for a in ground.abilities if Action.EVIDENCE in a.allowed]
        seen = next((a for a in able if a.agent == incident.subject.agent), None)
        ability = seen or choose(Action.EVIDENCE, incident, able, ground.path)
        if ability is None:
            raise Permanent("no_agent", "no agent of this unit may send packets: see [actions] allow of the agent")
        asked = [k for k in self.book.every() if k.incident == incident.id and k.proposal.action is Action.EVIDENCE]
        if len(asked) >= MAX_FETCHED:
            raise Permanent("too_many", f"packets were asked for {len(asked)} times")
        proposal = Proposal(
            playbook="",
            title=TITLES[Action.EVIDENCE],
            action=Action.EVIDENCE,
            agent=ability.agent,
            scope=ability.scope,
            mac=incident.subject.source_mac,
            address=incident.subject.source_ip,
            around_ms=around_ms or incident.first_ms,
            seconds=seconds,
            ttl_ms=FETCH_MS,
            begin_ms=FETCH_MS,
        )
        kept = self.keep(incident.id, proposal, len(asked) + 1)
        if kept is None:
            raise Permanent("too_many", "somebody else asked at this moment")
        return self.approve(kept.id, by)

    def packets(self, order_id: str, by: str) -> tuple[View, bytes]:
        """The pcapng that came of it; who took it is in the audit. Raises Permanent: not_found."""
        kept = self.book.get(order_id)
        data = packets.of_order(self._store, kept, self._clock.now_ms())
        self._trail.write("packets-read", "success", user=by, agent=kept.proposal.agent, message=kept.id)
        return self.view(kept), data

    def approve(self, order_id: str, by: str) -> View:
        """Sign it: the agent may begin now. Raises Permanent: not_found, not_proposed, protected."""
        return self.view(self._approve(order_id, by))

    def _approve(self, order_id: str, by: str) -> Kept:
        def change(kept: Kept) -> Kept:
            if kept.state is not State.PROPOSED:
                raise Permanent("not_proposed", f"this order is {kept.state.value} by now")
            self._check_protected(kept)
            now = self._clock.now_ms()
            made = msgspec.structs.replace(
                kept,
                state=State.APPROVED,
                why="",
                decided_ms=now,
                decided_by=by,
                not_after_ms=now + kept.proposal.begin_ms,
                until_ms=now + kept.proposal.ttl_ms,
            )
            return msgspec.structs.replace(made, signed=self._sign(made, serial=1))

        return self._decide(order_id, by, "order-approved", change)

    def refuse(self, order_id: str, by: str, reason: str = "") -> View:
        """A person says no. Raises Permanent: not_found, not_proposed."""

        def change(kept: Kept) -> Kept:
            if kept.state is not State.PROPOSED:
                raise Permanent("not_proposed", f"this order is {kept.state.value} by now")
            return msgspec.structs.replace(
                kept,
                state=State.REFUSED,
                why=BY_PERSON,
                detail=reason[:MAX_REASON],
                decided_ms=self._clock.now_ms(),
                decided_by=by,
            )

        return self.view(self._decide(order_id, by, "order-refused", change))

    def withdraw(self, order_id: str, by: str) -> View:
        """Undo it now. Asked twice it is one undo. Raises Permanent: not_found, not_in_force."""

        def change(kept: Kept) -> Kept:
            if kept.withdrawn_ms:
                return kept
            if kept.state not in HANDED_OUT or kept.proposal.action not in CONTAINING:
                raise Permanent("not_in_force", f"this order is {kept.state.value}; there is nothing to undo")
            made = msgspec.structs.replace(
                kept, state=State.UNDOING, why="withdrawn", withdrawn_ms=self._clock.now_ms(), withdrawn_by=by
            )
            return msgspec.structs.replace(made, signed=self._sign(made, serial=2))

        return self.view(self._decide(order_id, by, "order-withdrawn", change))

    def again(self, order_id: str, by: str) -> View:
        """Propose once more what is over. Raises Permanent: not_found, not_over."""
        kept = self.book.get(order_id)
        if kept.state not in model.OVER:
            raise Permanent("not_over", f"this order is {kept.state.value}")
        incident = self._incident(kept.incident)
        fresh = self.proposals(incident) if incident is not None else []
        proposal = next(
            (p for p in fresh if (p.action, p.target) == (kept.proposal.action, kept.proposal.target)), kept.proposal
        )
        made = self.keep(kept.incident, msgspec.structs.replace(proposal, automatic=False), kept.attempt + 1)
        if made is None:
            raise Permanent("not_over", "it was proposed again already")
        self._trail.write("order-proposed", "success", user=by, message=made.id)
        return self.view(made)

    def for_agent(self, agent: str) -> SignedOrders:
        """What the receiver gives to an agent that asks."""
        return self.book.for_agent(agent)

    def fetched(self, agent: str) -> None:
        """The agent has them now."""
        self.book.fetched(agent)

    def view(self, kept: Kept) -> View:
        proposal = kept.proposal
        return View(
            id=kept.id,
            incident=kept.incident,
            action=proposal.action,
            title=proposal.title,
            target=proposal.target,
            state=kept.state,
            why=kept.why,
            detail=kept.detail,
            agent=proposal.agent,
            agent_name=self._grounds.agent_name(proposal.agent),
            scope=proposal.scope.value if proposal.scope else "",
            automatic=proposal.automatic,
            proposed_ms=kept.proposed_ms,
            decided_ms=kept.decided_ms,
            decided_by=kept.decided_by,
            applied_ms=kept.reports.applied_ms,
            reported_ms=kept.reports.reported_ms,
            until_ms=kept.until_ms,
            ttl_ms=proposal.ttl_ms,
            packets=kept.reports.packets,
            bytes=kept.reports.bytes,
            verifies=proposal.verifies,
            because=why_text(kept.why),
        )

    def _decide(self, order_id: str, by: str, action: str, change: Callable[[Kept], Kept]) -> Kept:
        try:
            kept = self.book.change(order_id, lambda present: _said(present, change(present)))
        except Permanent as error:
            self._trail.write(
                action, "failure", user=by, reason=error.reason, message=f"{order_id[:64]}: {error.detail}"
            )
            raise
        message = f"{kept.id} {kept.proposal.action.value} {kept.proposal.target}".strip()
        self._trail.write(action, "success", user=by, agent=kept.proposal.agent, message=message)
        self._report.count("tengwang_orders_total", action=kept.proposal.action.value, state=kept.state.value)
        self._tell(kept, by)
        return kept

    def _check_protected(self, kept: Kept) -> None:
        """The inventory may have changed since it was proposed."""
        if kept.proposal.action in CONTAINING:
            found = self._grounds.protected().why(kept.proposal.mac, kept.proposal.address)
            if found:
                raise Permanent(PROTECTED, f"{kept.proposal.target} is {found}, and is never acted on")

    def _sign(self, kept: Kept, serial: int) -> SignedOrder:
        proposal = kept.proposal
        payload = payload_of(
            Order(
                id=kept.id,
                agent=proposal.agent,
                action=proposal.action,
                issued_ms=self._clock.now_ms(),
                not_after_ms=kept.not_after_ms,
                until_ms=kept.until_ms,
                incident=kept.incident,
                mac=proposal.mac,
                address=proposal.address,
                interface=proposal.interface,
                packets_per_second=proposal.packets_per_second,
                check=proposal.check,
                subject=proposal.subject,
                around_ms=proposal.around_ms,
                seconds=proposal.seconds,
                approved_by=kept.decided_by,
                withdraw=bool(kept.withdrawn_ms),
                serial=serial,
            )
        )
        return SignedOrder(payload, self._authority.sign_order(payload))

    def _incident(self, id: str) -> Incident | None:
        known = self._incidents()
        return known.get(id) if known is not None else None

    def tell(self, kept: Kept, by: str = SYSTEM, page: bool = False) -> None:
        """Put the order's state on the incident's record; with ``page`` a person must hear of it."""
        self._tell(kept, by)
        if page:
            self._append(kept, by, "page_needed")

    def _tell(self, kept: Kept, by: str) -> None:
        if not kept.proposal.verifies:  # what is measured to judge another order is that order's matter
            self._append(kept, by, "order")

    def _append(self, kept: Kept, by: str, action: str) -> None:
        known = self._incidents()
        if known is None:
            return
        data: dict[str, str | int | float | bool | list[str]] = {
            "order": kept.id,
            "action": kept.proposal.action.value,
            "target": kept.proposal.target,
            "state": kept.state.value,
            "agent": kept.proposal.agent,
        }
        if kept.why:
            data["why"] = kept.why
        if kept.reports.packets:
            data["packets"] = kept.reports.packets
        try:
            known.append(kept.incident, Entry(self._clock.now_ms(), by, action, kept.detail, data))
        except (Permanent, Transient) as error:
            self._report.warn("response", f"incident {kept.incident} was not told of order {kept.id}: {error}")


def _superseded(kept: Kept) -> Kept:
    if kept.state is not State.PROPOSED:
        return kept
    return msgspec.structs.replace(kept, state=State.EXPIRED, why="superseded", said=State.EXPIRED)


def _said(before: Kept, after: Kept) -> Kept:
    """The incident is told at once of what a person decided."""
    return after if after == before else msgspec.structs.replace(after, said=after.state)
