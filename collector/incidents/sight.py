"""Could the agents that raised an incident have seen it go on? Silence of a blind agent proves nothing.

All times are the collector's own, so an agent's wrong clock does not matter. An agent sees from the latest of: its
start (its newest status says how long it runs), the moment its input for the rule's datasets was on again after it was
not, and, where it was silent, its return (what it kept meanwhile must have had time to arrive).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from collector.query import Equals, Kind, Latest, Range, Search
from collector.registry import AgentRecord
from collector.store import INGESTED, Store
from telemetry.event import Event

INPUTS: Mapping[str, frozenset[str]] = {
    "tengwang.flow": frozenset({"packets", "netflow", "sflow"}),
    "tengwang.ndp": frozenset({"ndp"}),
    "tengwang.arp": frozenset({"arp"}),
    "tengwang.dhcp": frozenset({"dhcp"}),
    "tengwang.dns": frozenset({"dns"}),
    "tengwang.sources": frozenset({"sources"}),
    "tengwang.terminals": frozenset({"terminals"}),
    "tengwang.snmp": frozenset({"snmp", "traps"}),
    "tengwang.host": frozenset({"host"}),
    "tengwang.readiness": frozenset({"readiness"}),
}
"""Which inputs make a dataset: one of them on is enough. What is not here the agent itself makes."""
HEARD_MS = 60_000
"""An agent reports its status every 10 s; six missed in a row are silence."""
SETTLE_MS = 120_000
"""After its return an agent has so long to hand in what it saw meanwhile; findings go before everything else."""
TOLD_MS = 15 * 60_000
"""Agents tell the state of every input each ten minutes, and when it changes."""
SKEW_MS = 27 * 3_600_000
PAGE = 1000


class Seeing(msgspec.Struct, frozen=True):
    """``since_ms``: seeing without a gap since then; ``why``: where not, a short text for people; else empty."""

    since_ms: int = 0
    why: str = ""
    silent: bool = False


class Sight:
    """For one thread; blocks on the store."""

    def __init__(self, store: Store, agents: Callable[[], Sequence[AgentRecord]]) -> None:
        self._store = store
        self._agents = agents
        self._last: dict[str, tuple[int, int]] = {}
        """When an agent was last heard, by the clock of who heard it, and when that was seen to change."""
        self._heard_since: dict[str, int] = {}
        self._known: dict[str, AgentRecord] = {}

    def begin(self) -> None:
        self._heard_since.clear()
        self._last.clear()

    def listen(self, now_ms: int) -> None:
        """Note which agents are heard now; to be called every few seconds."""
        self._known = {record.id: record for record in self._agents()}
        for record in self._known.values():
            before = self._last.get(record.id)
            if before is None:
                recent = abs(now_ms - record.last_seen_ms) <= HEARD_MS
                self._last[record.id] = (record.last_seen_ms, now_ms if recent else 0)
            elif before[0] != record.last_seen_ms:
                self._last[record.id] = (record.last_seen_ms, now_ms)
            if now_ms - self._last[record.id][1] > HEARD_MS:
                self._heard_since.pop(record.id, None)
            else:
                self._heard_since.setdefault(record.id, now_ms)

    def look(self, agents: Collection[str], datasets: Collection[str], start_ms: int, now_ms: int) -> Seeing:
        """Have all these agents seen these datasets from ``start_ms`` on, or from when? Agents that are gone for good
        are left out; were all of them, nobody sees. What no agent raised, the collectors see by themselves."""
        if not agents:
            return Seeing(start_ms)
        there = [self._known[name] for name in agents if name in self._known and not self._known[name].revoked]
        if not there:
            return Seeing(why="no agent that raised it is enrolled any more")
        since = start_ms
        for record in there:
            seen = self._one(record, datasets, start_ms, now_ms)
            if seen.why:
                return seen
            since = max(since, seen.since_ms)
        return Seeing(since)

    def _one(self, record: AgentRecord, datasets: Collection[str], start_ms: int, now_ms: int) -> Seeing:
        heard = self._heard_since.get(record.id)
        if heard is None:
            return Seeing(why=f"agent {record.name} is silent", silent=True)
        if now_ms - heard < min(SETTLE_MS, max(now_ms - start_ms, 0) // 2):
            return Seeing(why=f"agent {record.name} came back only just now", silent=True)
        since = max(start_ms, self._running_since(record.id, now_ms))
        for dataset in sorted(datasets):
            if (inputs := INPUTS.get(dataset)) is not None:
                seen = self._input(record, inputs, start_ms, now_ms)
                if seen.why:
                    return seen
                since = max(since, seen.since_ms)
        return Seeing(since)

    def _running_since(self, agent: str, now_ms: int) -> int:
        where = (
            Equals("event.dataset", ("tengwang.agent",)),
            Equals("event.action", ("status",)),
            Equals("agent.id", (agent,)),
        )
        found = self._store.latest(Latest(now_ms - SKEW_MS, now_ms + SKEW_MS, ("agent.id",), where, limit=1))
        for row in found:
            uptime = row.doc.get("process.uptime")
            if isinstance(uptime, int):
                return _arrived(row.doc) - uptime * 1000
        return 0

    def _input(self, record: AgentRecord, inputs: frozenset[str], start_ms: int, now_ms: int) -> Seeing:
        """Since when one of these inputs is on without a gap."""
        of: dict[str, list[Event]] = {}
        for doc in self._states(record.id, inputs, start_ms - TOLD_MS, now_ms):
            told = doc.get("tengwang.input.type")
            for name in told if isinstance(told, list) else [told]:
                of.setdefault(str(name), []).append(doc)
        best: Seeing | None = None
        for name, states in of.items():
            seen = _since(f"input {name} of agent {record.name}", states, start_ms)
            if best is None or (best.why and not seen.why) or (not seen.why and seen.since_ms < best.since_ms):
                best = seen
        return best or Seeing(why=f"agent {record.name} has no input {' or '.join(sorted(inputs))}")

    def _states(self, agent: str, inputs: frozenset[str], from_ms: int, now_ms: int) -> list[Event]:
        where = (
            Equals("event.dataset", ("tengwang.agent",)),
            Equals("event.action", ("input-state",)),
            Equals("agent.id", (agent,)),
            Equals("tengwang.input.type", tuple(sorted(inputs))),
            Range(INGESTED, from_ms),
        )
        page = self._store.search(Search(from_ms - SKEW_MS, now_ms + SKEW_MS, where, Kind.EVENT, PAGE))
        return sorted((row.doc for row in page.rows), key=_arrived)


def _since(name: str, states: Sequence[Event], start_ms: int) -> Seeing:
    """From its states in order of arrival; the first may be from before the start."""
    since, why = start_ms, ""
    for doc in states:
        state = str(doc.get("tengwang.input.state", ""))
        if state != "on":
            why = f"{name} is {state or 'in no state'}"
        elif why:
            since, why = max(since, _arrived(doc)), ""
    return Seeing(since, why)


def _arrived(doc: Event) -> int:
    at = doc.get(INGESTED)
    return at if isinstance(at, int) else 0
