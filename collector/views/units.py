"""The units as a tree, and honestly where the platform can see and where it is blind."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

import msgspec

from collector.inventory import Level, Unit
from collector.inventory_index import Indexed
from collector.query import Aggregate, ByTerm, Kind
from collector.services import Services
from collector.views.agents import AgentView, Presence

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Sight(enum.StrEnum):
    """``seen``: an agent of the unit is up and every input works; ``partly``: some input is blind or failing;
    ``silent``: it has agents and none answers; ``blind``: it has no agent at all."""

    SEEN = "seen"
    PARTLY = "partly"
    SILENT = "silent"
    BLIND = "blind"


class UnitView(msgspec.Struct, frozen=True):
    """One unit. ``depth`` is its distance from the root; counts are of this unit alone."""

    id: str
    name: str
    name_en: str
    level: str
    parent: str
    depth: int
    registered: bool
    sight: Sight
    agents: int
    agents_up: int
    blind_inputs: tuple[str, ...]
    events_hour: int
    alerts_day: int
    checks_passed: int
    checks_total: int


class LevelView(msgspec.Struct, frozen=True):
    """Coverage of one of the four levels."""

    level: str
    units: int
    seen: int
    partly: int
    silent: int
    blind: int


class Counts(msgspec.Struct, frozen=True):
    """What the tree shows of each unit, by its id. ``readiness`` is (passed, tested)."""

    events_hour: Mapping[str, int]
    alerts_day: Mapping[str, int]
    readiness: Mapping[str, tuple[int, int]]


def units(index: Indexed, agents: Sequence[AgentView], counts: Counts) -> tuple[UnitView, ...]:
    """Every registered unit in tree order, then those that agents named and nobody registered."""
    known = {unit.id: unit for unit in index.inventory.units}
    children: dict[str | None, list[Unit]] = {}
    for unit in known.values():
        children.setdefault(unit.parent if unit.parent in known else None, []).append(unit)
    made: list[UnitView] = []

    def add(unit: Unit, depth: int, registered: bool) -> None:
        own = [a for a in agents if a.unit == unit.id and a.presence is not Presence.REVOKED]
        passed, total = counts.readiness.get(unit.id, (0, 0))
        made.append(
            UnitView(
                id=unit.id,
                name=unit.name,
                name_en=unit.name_en or unit.name,
                level=unit.level.value if registered else "",
                parent=unit.parent or "",
                depth=depth,
                registered=registered,
                sight=sight(own),
                agents=len(own),
                agents_up=sum(a.presence is Presence.UP for a in own),
                blind_inputs=tuple(sorted({i.type for a in own if a.presence is Presence.UP for i in a.blind})),
                events_hour=counts.events_hour.get(unit.id, 0),
                alerts_day=counts.alerts_day.get(unit.id, 0),
                checks_passed=passed,
                checks_total=total,
            )
        )
        for child in sorted(children.get(unit.id, ()), key=lambda u: (LEVELS.index(u.level), u.name)):
            if registered:
                add(child, depth + 1, registered=True)

    for root in children.get(None, ()):
        add(root, 0, registered=True)
    for name in sorted({a.unit for a in agents if a.unit and a.unit not in known}):
        add(Unit(id=name, name=name, level=Level.VILLAGE), 0, registered=False)
    return tuple(made)


def sight(own: Sequence[AgentView]) -> Sight:
    """What a unit's own agents let us see of it."""
    up = [agent for agent in own if agent.presence is Presence.UP]
    if not own:
        return Sight.BLIND
    if not up:
        return Sight.SILENT
    return Sight.PARTLY if len(up) < len(own) or any(agent.blind for agent in up) else Sight.SEEN


def levels(made: Sequence[UnitView]) -> tuple[LevelView, ...]:
    """Coverage by level; levels without a unit are left out."""
    found = []
    for level in LEVELS:
        sights = [u.sight for u in made if u.level == level.value]
        if sights:
            counts = (sights.count(s) for s in (Sight.SEEN, Sight.PARTLY, Sight.SILENT, Sight.BLIND))
            found.append(LevelView(level.value, len(sights), *counts))
    return tuple(found)


def by_unit(services: Services, kind: Kind, span_ms: int) -> dict[str, int]:
    """How many records of a kind each unit had in the last ``span_ms``."""
    now = services.clock.now_ms()
    rows = services.store.aggregate(
        Aggregate(now - span_ms, now + 60_000, kind=kind, by=(ByTerm("tengwang.unit.id"),), limit=5000)
    )
    return {str(row.keys[0]): int(row.values[0]) for row in rows}


LEVELS = (Level.CITY, Level.COUNTY, Level.TOWNSHIP, Level.VILLAGE)
