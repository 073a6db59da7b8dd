"""Asks the store what the indicators want to know, for one moment. The only part of a score that reads anything.

Everything comes from stored records with a time before ``at_ms``, so a score of last week is made in the same way as
one of now, and each engine gives the same. What changes without an event (an agent's ledger, the retention) is stored
by collector/posture/observe.py, so that it can be asked for like the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from collector import search_text
from collector.duration import seconds
from collector.posture.indicator import Indicator, Measure
from collector.posture.matching import holds
from collector.query import Aggregate, AnyOf, ByTerm, Condition, Equals, Kind, Latest
from collector.query import Measure as Value
from collector.store import Found, Store
from telemetry.event import Event

UNIT, ZONE = "tengwang.unit.id", "tengwang.zone"
MAX_LATEST = 10_000
MAX_GROUPS = 20_000
COVERAGE_MS = 24 * 3_600_000
"""An agent that has said nothing for a day is no longer one that could see."""
SILENT_MS = 3 * 60_000
"""It reports every 10 s; its last words may also wait a while in the spool of a network that was away."""
REVOKED_MS = 400 * 86_400_000


class Fact(msgspec.Struct, frozen=True):
    """``value`` of ``total``: bad ones of all, or the sum and the number of records it is of."""

    value: float = 0.0
    total: float = 0.0

    def __add__(self, other: Fact) -> Fact:
        return Fact(self.value + other.value, self.total + other.total)


class Coverage(msgspec.Struct, frozen=True):
    """The agents of one unit: how many speak, how many spoke in the last day, and which inputs can not see."""

    up: int = 0
    agents: int = 0
    blind_inputs: tuple[str, ...] = ()


class Facts(msgspec.Struct, frozen=True):
    """By indicator, then by unit (``""``: records of no unit) or by zone and unit."""

    at_ms: int
    units: Mapping[str, Mapping[str, Fact]]
    zones: Mapping[str, Mapping[tuple[str, str], Fact]]
    coverage: Mapping[str, Coverage]
    cut: tuple[str, ...] = ()
    """Indicators of which there is more than was looked at."""


def gather(store: Store, indicators: Iterable[Indicator], at_ms: int) -> Facts:
    """Blocks on the store; raises Transient."""
    revoked = _revoked(store, at_ms)
    units: dict[str, dict[str, Fact]] = {}
    zones: dict[str, dict[tuple[str, str], Fact]] = {}
    newest = _Newest(store, at_ms)
    cut = []
    for indicator in indicators:
        measure = indicator.measure
        if measure.take == "latest":
            found = newest.of(measure)
            units[indicator.id], zones[indicator.id] = _latest(found, measure, at_ms, revoked)
            if len(found) == MAX_LATEST:
                cut.append(indicator.id)
        else:
            units[indicator.id], zones[indicator.id] = _counted(store, measure, at_ms)
    return Facts(at_ms, units, zones, _coverage(store, at_ms, revoked), tuple(cut))


Answer = tuple[dict[str, Fact], dict[tuple[str, str], Fact]]


def since(measure: Measure, at_ms: int) -> int:
    return max(0, at_ms - seconds(measure.window) * 1000)


def _counted(store: Store, measure: Measure, at_ms: int) -> Answer:
    units, zones = _sums(store, measure, at_ms, measure.query)
    if not measure.share:
        return units, zones
    part_units, part_zones = _sums(store, measure, at_ms, f"{measure.query} {measure.bad[0]}")
    return (
        {key: Fact(part_units.get(key, Fact()).value, fact.value) for key, fact in units.items()},
        {key: Fact(part_zones.get(key, Fact()).value, fact.value) for key, fact in zones.items()},
    )


def _sums(store: Store, measure: Measure, at_ms: int, text: str) -> Answer:
    values = (Value("sum", measure.field), Value("count")) if measure.field else (Value("count"), Value("count"))

    def ask(*names: str) -> Iterable[tuple[tuple[str, ...], Fact]]:
        query = Aggregate(
            since(measure, at_ms),
            at_ms,
            search_text.parse(text),
            Kind(measure.kind),
            tuple(ByTerm(name) for name in names),
            values,
            MAX_GROUPS,
        )
        for row in store.aggregate(query):
            yield tuple(map(str, row.keys)), Fact(row.values[0], row.values[1])

    units = {keys[0]: fact for keys, fact in ask(UNIT)}
    whole = next((fact for _, fact in ask()), Fact())
    apart = Fact(whole.value - sum(f.value for f in units.values()), whole.total - sum(f.total for f in units.values()))
    if apart.total > 0:
        units[""] = apart
    return units, {(keys[0], keys[1]): fact for keys, fact in ask(ZONE, UNIT)}


def _latest(rows: Iterable[Found], measure: Measure, at_ms: int, revoked: frozenset[str]) -> Answer:
    bad = tuple(search_text.parse(text) for text in measure.bad)
    units: dict[str, Fact] = {}
    zones: dict[tuple[str, str], Fact] = {}
    for found in rows:
        doc = found.doc
        if "agent.id" in measure.per and doc.get("agent.id") in revoked:
            continue
        wrong = _wrong(doc, bad, measure, at_ms)
        fact = Fact((_number(doc, measure.field) if measure.field else 1.0) if wrong else 0.0, 1.0)
        unit, zone = str(doc.get(UNIT, "")), str(doc.get(ZONE, ""))
        units[unit] = units.get(unit, Fact()) + fact
        if unit and zone:
            zones[zone, unit] = zones.get((zone, unit), Fact()) + fact
    return units, zones


class _Newest:
    """The records that a ``latest`` looks at; indicators that differ only in what is bad ask once."""

    def __init__(self, store: Store, at_ms: int) -> None:
        self._store = store
        self._at_ms = at_ms
        self._known: dict[Latest, Sequence[Found]] = {}

    def of(self, measure: Measure) -> Sequence[Found]:
        where = search_text.parse(measure.query)
        query = Latest(since(measure, self._at_ms), self._at_ms, measure.per, where, Kind(measure.kind), MAX_LATEST)
        if query not in self._known:
            self._known[query] = self._store.latest(query)
        return self._known[query]


def _wrong(doc: Event, bad: tuple[tuple[Condition, ...], ...], measure: Measure, at_ms: int) -> bool:
    if bad and not any(all(holds(doc, condition) for condition in one) for one in bad):
        return False
    return measure.stale is None or at_ms - _number(doc, measure.stale_of) > seconds(measure.stale) * 1000


def _coverage(store: Store, at_ms: int, revoked: frozenset[str]) -> dict[str, Coverage]:
    agents: dict[str, tuple[str, bool]] = {}
    for doc in _of_agents(store, at_ms, ("status",), ("agent.id",)):
        agent = str(doc["agent.id"])
        if agent not in revoked:
            agents[agent] = (str(doc.get(UNIT, "")), at_ms - _number(doc, "@timestamp") <= SILENT_MS)
    blind: dict[str, set[str]] = {}
    for doc in _of_agents(store, at_ms, ("input-state",), ("agent.id", "tengwang.input.type")):
        unit, up = agents.get(str(doc["agent.id"]), ("", False))
        if up and doc.get("tengwang.input.state") in ("blind", "failing"):
            kind = doc["tengwang.input.type"]
            blind.setdefault(unit, set()).update(map(str, kind) if isinstance(kind, list) else [str(kind)])
    made: dict[str, Coverage] = {}
    for unit, up in agents.values():
        known = made.get(unit, Coverage())
        made[unit] = Coverage(known.up + up, known.agents + 1, tuple(sorted(blind.get(unit, ()))))
    return made


def _of_agents(store: Store, at_ms: int, actions: tuple[str, ...], per: tuple[str, ...]) -> Iterable[Event]:
    where = (Equals("event.dataset", ("tengwang.agent",)), Equals("event.action", actions))
    found = store.latest(Latest(max(0, at_ms - COVERAGE_MS), at_ms, per, where, limit=MAX_LATEST))
    return (one.doc for one in found)


def _revoked(store: Store, at_ms: int) -> frozenset[str]:
    """Agents that were revoked and not enrolled again by then; from the audit, so it holds for the past too."""
    where = (AnyOf((Equals("event.action", ("agent-revoked",)), Equals("event.action", ("agent-enrolled",)))),)
    found = store.latest(Latest(max(0, at_ms - REVOKED_MS), at_ms, ("agent.id",), where, Kind.AUDIT, limit=MAX_LATEST))
    return frozenset(str(f.doc["agent.id"]) for f in found if f.doc["event.action"] == "agent-revoked")


def _number(doc: Event, name: str) -> float:
    value = doc.get(name, 0)
    return float(value) if isinstance(value, int | float) else 0.0
