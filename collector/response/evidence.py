"""What the store knows of orders: what their agents said, what others measured. All times on the collector's clock.

An agent's own time is moved by its clock's skew, where that is known, and is never later than its arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

import msgspec

from collector.incidents.model import Incident
from collector.incidents.sight import Sight
from collector.query import Condition, Equals, Kind, Latest, Search
from collector.registry import AgentRecord
from collector.response.judgement import SETTLE_MS, Seen
from collector.response.model import Kept, Reports
from collector.store import INGESTED, Store
from telemetry.event import TIMESTAMP, Event
from telemetry.order import DATASET, Phase

SKEW_MS = 27 * 3_600_000
BEFORE_MS = 3_600_000
"""Alerts so long before an incident was found may be its first ones."""
MAX_AGENTS = 200


def happened(doc: Event) -> int:
    """When it was, by the collector's clock."""
    at, arrived, skew = doc.get(TIMESTAMP), doc.get(INGESTED), doc.get("tengwang.time.skew")
    made = int(at) if isinstance(at, int) else 0
    made -= skew if isinstance(skew, int) else 0
    return min(made, arrived) if isinstance(arrived, int) else made


class Evidence:
    """For one thread; blocks on the store. ``datasets_of``: what a rule looks at."""

    def __init__(
        self,
        store: Store,
        agents: Callable[[], Sequence[AgentRecord]],
        datasets_of: Callable[[str], Collection[str]],
    ) -> None:
        self._store, self._agents, self._datasets_of = store, agents, datasets_of
        self._records: Sequence[AgentRecord] = ()
        self._sight = Sight(store, lambda: self._records)
        self._heard: dict[str, int] = {}
        self._before: dict[str, tuple[str, ...]] = {}

    def forget(self) -> None:
        self._sight.begin()
        self._before.clear()

    def listen(self, now_ms: int) -> None:
        """Once a step: who is heard."""
        self._records = self._agents()
        self._sight.listen(now_ms)
        self._heard = {record.id: record.last_seen_ms for record in self._records}

    def reports(self, orders: Sequence[Kept], now_ms: int) -> dict[str, Reports]:
        """What the agents said of these orders so far, added to what is on record."""
        made = {kept.id: kept.reports for kept in orders}
        if not orders:
            return made
        acting = {kept.id: kept.proposal.agent for kept in orders}
        since = min(kept.decided_ms for kept in orders) - SKEW_MS
        where = (Equals("event.dataset", (DATASET,)), Equals("tengwang.order.id", tuple(made)))
        query = Latest(since, now_ms + SKEW_MS, ("tengwang.order.id", "tengwang.order.state"), where)
        for found in self._store.latest(query):
            order_id = str(found.doc["tengwang.order.id"])
            if found.doc.get("agent.id") == acting.get(order_id):  # another agent has nothing to say of it
                made[order_id] = _with(made[order_id], found.doc)
        for kept in orders:
            reports = made[kept.id]
            if reports.applied_ms and not kept.reports.applied_ms:
                made[kept.id] = msgspec.structs.replace(reports, applied_ms=self._first_applied(kept, reports, now_ms))
        return made

    def seen(self, kept: Kept, incident: Incident, verifying: Collection[str], now_ms: int) -> Seen:
        """What others than the acting agent measure. ``verifying``: ids of measurements ordered to find out."""
        applied = kept.reports.applied_ms
        if not applied:
            return Seen()
        keys = Equals("tengwang.alert.key", tuple(dict.fromkeys((incident.key, *incident.keys))))
        bad = 0
        for doc in self._of_agents(Kind.ALERT, (keys,), applied - SKEW_MS, now_ms):
            at = happened(doc)
            if doc.get("agent.id") != kept.proposal.agent and at > applied + SETTLE_MS:
                bad = max(bad, at)
        good = 0
        for doc in self._verdicts(verifying, applied, now_ms):
            at, status = happened(doc), doc.get("tengwang.check.status")
            if doc.get("agent.id") == kept.proposal.agent or at <= applied + SETTLE_MS:
                continue
            good = max(good, at) if status == "pass" else good
            bad = max(bad, at) if status == "fail" else bad
        watching = []
        for agent in self.witnesses(kept, incident, now_ms):
            seeing = self._sight.look([agent], self._datasets(incident), applied, now_ms)
            if not seeing.why and seeing.since_ms <= applied + SETTLE_MS:
                watching.append((agent, self._heard.get(agent, 0)))
        return Seen(bad, tuple(watching), good)

    def witnesses(self, kept: Kept, incident: Incident, now_ms: int) -> tuple[str, ...]:
        """Other agents that measured it before the rules were there: silence of these means something."""
        if kept.id not in self._before:
            keys = Equals("tengwang.alert.key", tuple(dict.fromkeys((incident.key, *incident.keys))))
            found = self._of_agents(Kind.ALERT, (keys,), incident.first_ms - BEFORE_MS, now_ms)
            agents = {str(doc["agent.id"]) for doc in found}
            self._before[kept.id] = tuple(sorted(agents - {kept.proposal.agent}))
        return self._before[kept.id]

    def refused(self, since_ms: int, now_ms: int) -> Iterable[Event]:
        """The newest refusal of each agent and reason: what came as an order and was none is audited."""
        where = (Equals("event.dataset", (DATASET,)), Equals("event.action", (Phase.REFUSED.value,)))
        query = Latest(since_ms, now_ms + SKEW_MS, ("agent.id", "event.reason"), where, limit=MAX_AGENTS)
        return [found.doc for found in self._store.latest(query)]

    def _datasets(self, incident: Incident) -> frozenset[str]:
        return frozenset(dataset for rule in (incident.rule, *incident.rules) for dataset in self._datasets_of(rule))

    def _of_agents(self, kind: Kind, where: tuple[Condition, ...], since_ms: int, now_ms: int) -> list[Event]:
        query = Latest(since_ms, now_ms + SKEW_MS, ("agent.id",), where, kind, MAX_AGENTS)
        return [found.doc for found in self._store.latest(query)]

    def _verdicts(self, verifying: Collection[str], applied_ms: int, now_ms: int) -> list[Event]:
        if not verifying:
            return []
        where = (Equals("event.dataset", ("tengwang.readiness",)), Equals("tengwang.order.id", tuple(verifying)))
        page = self._store.search(Search(applied_ms - SKEW_MS, now_ms + SKEW_MS, where, Kind.EVENT, 50))
        return [found.doc for found in page.rows]

    def _first_applied(self, kept: Kept, reports: Reports, now_ms: int) -> int:
        where = (
            Equals("event.dataset", (DATASET,)),
            Equals("tengwang.order.id", (kept.id,)),
            Equals("tengwang.order.state", (Phase.APPLIED.value,)),
            Equals("agent.id", (kept.proposal.agent,)),
        )
        query = Search(kept.decided_ms - SKEW_MS, now_ms + SKEW_MS, where, Kind.EVENT, 1, oldest_first=True)
        page = self._store.search(query)
        return happened(page.rows[0].doc) if page.rows else reports.applied_ms


def _with(reports: Reports, doc: Event) -> Reports:
    at, state = happened(doc), doc.get("tengwang.order.state")
    reason, detail = str(doc.get("event.reason", "")), str(doc.get("message", ""))
    if state == Phase.APPLIED:
        packets, octets = doc.get("tengwang.order.packets", 0), doc.get("tengwang.order.bytes", 0)
        return msgspec.structs.replace(
            reports,
            applied_ms=reports.applied_ms or at,
            reported_ms=max(reports.reported_ms, at),
            packets=max(reports.packets, packets if isinstance(packets, int) else 0),
            bytes=max(reports.bytes, octets if isinstance(octets, int) else 0),
            **({"detail": detail} if reason == "measured" else {}),
        )
    said = {"reason": reason, "detail": detail}
    if state == Phase.REFUSED:
        return msgspec.structs.replace(reports, refused_ms=at, **said)
    if state == Phase.FAILED:
        return msgspec.structs.replace(reports, failed_ms=at, **said)
    if state == Phase.EXPIRED:
        return msgspec.structs.replace(reports, expired_ms=at, **said)
    if state == Phase.UNDONE:
        verified = doc.get("event.outcome") == "success"
        return msgspec.structs.replace(reports, undone_ms=at, undo_verified=verified, **said)
    return reports
