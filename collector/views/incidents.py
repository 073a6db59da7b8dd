"""Incidents for a reader: the list with how far all of them are, and everything that one page shows of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from collector.detect import RuleInfo
from collector.detect.rule import SEVERITY
from collector.incidents.model import OPEN, Entry, Incident, State
from collector.query import Kind
from collector.response.model import View as OrderView
from collector.services import Services
from collector.store import Found
from telemetry.errors import Permanent, Transient

DAY_MS = 86_400_000
LATELY_MS = 7 * DAY_MS
SHOWN = 200
SAMPLE = 8
FUNNEL = (
    State.FOUND,
    State.NOTIFIED,
    State.ACKNOWLEDGED,
    State.HANDLING,
    State.VERIFYING,
    State.CLOSED,
    State.FALSE_POSITIVE,
)


class Step(msgspec.Struct, frozen=True):
    """One state and how many incidents are in it; of those that are over, of the last seven days."""

    state: str
    count: int


class Listing(msgspec.Struct, frozen=True):
    rows: tuple[Incident, ...]
    funnel: tuple[Step, ...]
    more: bool


class Detail(msgspec.Struct, frozen=True):
    """One incident with its evidence, its whole record (newest first), its rule, and what was done about it."""

    incident: Incident
    evidence: tuple[Found, ...]
    entries: tuple[Entry, ...]
    rule: RuleInfo | None
    actions: tuple[OrderView, ...]


STATES: Mapping[str, frozenset[State]] = {
    "open": OPEN,
    "any": frozenset(State),
    **{state.value: frozenset({state}) for state in State},
}
"""What a reader may ask for, by name."""


def listing(services: Services, state: str = "open", unit: str = "", level: str = "") -> Listing:
    """Raises Permanent ``bad_state``."""
    if state not in STATES:
        raise Permanent("bad_state", f"a state is one of: {', '.join(STATES)}")
    lately = services.clock.now_ms() - LATELY_MS
    known = services.desk.list(frozenset(State), limit=1000)
    counts = {step: sum(i.state is step and (step in OPEN or i.last_ms >= lately) for i in known) for step in FUNNEL}
    found = services.desk.list(STATES[state], unit=unit, level=level, limit=SHOWN + 1)
    if state == "open":
        found = sorted(found, key=lambda one: SEVERITY.get(one.level, 0), reverse=True)
    return Listing(tuple(found[:SHOWN]), tuple(Step(s.value, n) for s, n in counts.items()), len(found) > SHOWN)


def detail(services: Services, id: str) -> Detail | None:
    """None where there is no such incident."""
    incident = services.desk.get(id)
    if incident is None:
        return None
    return Detail(
        incident,
        tuple(filter(None, (services.store.get(Kind.ALERT, name) for name in incident.sample[:SAMPLE]))),
        tuple(reversed(_record(services, incident))),
        next((rule for rule in services.detector.rules() if rule.id == incident.rule), None),
        tuple(services.responses.of_incident(id)),
    )


def people(services: Services) -> dict[str, str]:
    """Name of every person of the inventory, by id."""
    return {person.id: person.name for person in services.inventory.current().inventory.people}


def _record(services: Services, incident: Incident) -> Sequence[Entry]:
    """All of it; where the store can not answer, what the document itself holds."""
    try:
        return services.desk.history(incident.id)
    except Transient:
        return incident.entries
