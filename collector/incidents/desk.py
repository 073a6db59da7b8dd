"""What may be done with incidents, by whom, and what stays on record: for console, API, phone page and command line.

Every verb reads, decides and writes by compare-and-set, so two people never overwrite each other; each leaves an
attributed entry, and an audit record where a person did it. All raise ``Permanent`` (``unknown_incident``,
``not_allowed`` with why, ``unknown_person``, ``bad_...``) or ``Transient`` (try again). The same thing done twice, as
by a thumb that taps twice, is done once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from collector.audit import Trail
from collector.detect.rule import SEVERITY
from collector.incidents import grouping, lifecycle
from collector.incidents.docket import Change, Docket
from collector.incidents.facts import Rules
from collector.incidents.identity import SYSTEM, incident_id
from collector.incidents.model import Entry, Grade, Incident, State
from collector.incidents.responsibility import DEFAULT, Raising
from collector.incidents.suppression import Suppressions
from collector.inventory_index import Indexed
from collector.query import Kind
from collector.store import Record, Store
from telemetry.clock import Clock
from telemetry.errors import Permanent
from telemetry.report import Report

MAX_LIST = 1000
LONGEST_MS = 366 * 86_400_000
replace = msgspec.structs.replace


class Desk:
    """Thread-safe; blocks on the store. ``by`` is a person's id, a user's name, or ``system``."""

    def __init__(
        self,
        *,
        store: Store,
        inventory: Callable[[], Indexed],
        clock: Clock,
        report: Report,
        trail: Trail,
        rules: Rules,
        collector_id: str,
        raising: Raising = DEFAULT,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.docket = Docket(store, clock, report, collector_id, changed)
        self.suppressions = Suppressions(store, clock, trail)
        self.rules = rules
        self.raising = raising
        self.inventory = inventory
        self._store = store
        self._clock = clock
        self._trail = trail

    # --- read

    def open(self) -> list[Incident]:
        """All that are not over, the gravest and newest first."""
        return sorted(filter(lifecycle.is_open, self.docket.all()), key=_urgency, reverse=True)

    def list(
        self,
        states: Iterable[State] = (),
        unit: str = "",
        level: str = "",
        since_ms: int = 0,
        limit: int = 100,
    ) -> Sequence[Incident]:
        """Newest first, of those that have a document: the open ones and what was closed lately.

        ``unit`` means also the units below it, ``level`` this one or graver, ``since_ms`` found or last seen since.
        """
        wanted = frozenset(states)
        below = frozenset(self.inventory().below(unit)) | {unit}
        least = SEVERITY.get(level, 0)
        found = [
            one
            for one in self.docket.all()
            if (not wanted or one.state in wanted)
            and (not unit or one.unit in below)
            and SEVERITY.get(one.level, 0) >= least
            and max(one.found_ms, one.last_ms) >= since_ms
        ]
        return sorted(found, key=lambda one: (one.found_ms, one.id), reverse=True)[: min(limit, MAX_LIST)]

    def get(self, id: str) -> Incident | None:
        """Also one that was closed long ago, as its newest record has it."""
        return self.docket.find(id)

    def history(self, id: str) -> Sequence[Entry]:
        """Every line of its record, oldest first, also those that the document has no room for."""
        made: list[Entry] = []
        known: set[bytes] = set()
        present, _ = self.docket.read(id)
        for incident in (*self.docket.documents(id), *([present] if present else [])):
            for entry in incident.entries:
                name = msgspec.json.encode(entry)
                if name not in known:
                    known.add(name)
                    made.append(entry)
        if not made and self.docket.find(id) is None:
            raise Permanent("unknown_incident", f"there is no incident {id[:64]!r}")
        return sorted(made, key=lambda entry: entry.at_ms)

    # --- change

    def change(self, id: str, change: Change) -> Incident:
        """Compare-and-set: ``change`` gets the incident and returns it changed, or the same object for no change. It
        may be called several times."""
        return self.docket.change(id, change)

    def append(self, id: str, entry: Entry) -> Incident:
        """One more line on the record, once. ``notified`` and ``contained`` also set the state and time they mean."""

        def change(incident: Incident) -> Incident:
            if entry in incident.entries:
                return incident
            if entry.action == "notified" and incident.state is State.FOUND:
                incident = replace(incident, state=State.NOTIFIED)
            if entry.action == "contained" and not incident.contained_ms:
                incident = replace(incident, contained_ms=entry.at_ms)
            return lifecycle.noted(incident, entry)

        return self.docket.change(id, change)

    def acknowledge(self, id: str, by: str) -> Incident:
        """签收: somebody has it now; escalation stops."""

        def change(incident: Incident) -> Incident:
            if incident.acknowledged_ms and lifecycle.is_open(incident):
                return incident
            now = self._clock.now_ms()
            if incident.state is State.VERIFYING:
                taken = replace(incident, acknowledged_ms=now, acknowledged_by=by, assignee=incident.assignee or by)
                return lifecycle.noted(taken, Entry(now, by, "acknowledged"))
            return replace(lifecycle.moved(incident, State.ACKNOWLEDGED, now, by), assignee=incident.assignee or by)

        return self._done("incident-acknowledged", by, self.docket.change(id, change))

    def handle(self, id: str, by: str) -> Incident:
        """处置: somebody works on it."""

        def change(incident: Incident) -> Incident:
            if incident.state is State.HANDLING:
                return incident
            moved = lifecycle.moved(incident, State.HANDLING, self._clock.now_ms(), by)
            return replace(moved, assignee=incident.assignee or by)

        return self._done("incident-handled", by, self.docket.change(id, change))

    def note(self, id: str, by: str, text: str) -> Incident:
        said = _reason(text, "bad_note", "a note without text says nothing")
        return self._done("incident-noted", by, self._noted(id, Entry(self._clock.now_ms(), by, "note", said)))

    def hand_over(self, id: str, by: str, to: str) -> Incident:
        """Another person has it from now on. Raises Permanent ``unknown_person``."""
        if self.inventory().person(to) is None:
            raise Permanent("unknown_person", f"the inventory has no person {to[:64]!r}")

        def change(incident: Incident) -> Incident:
            _must_be_open(incident)
            entry = Entry(self._clock.now_ms(), by, "handed_over", "", {"from": incident.assignee, "to": to})
            return incident if incident.assignee == to else lifecycle.noted(replace(incident, assignee=to), entry)

        return self._done("incident-handed-over", by, self.docket.change(id, change), to)

    def grade(self, id: str, by: str, grade: Grade) -> Incident:
        """分级: a person confirms how grave it is, and the reporting clocks of that grade hold."""

        def change(incident: Incident) -> Incident:
            if incident.merged_into:
                raise Permanent("not_allowed", f"incident {incident.id} was merged into {incident.merged_into}")
            if incident.grade is grade:
                return incident
            now = self._clock.now_ms()
            entry = Entry(now, by, "graded", "", {"from": str(incident.grade or ""), "to": grade.value})
            return lifecycle.noted(replace(incident, grade=grade, grade_ms=incident.grade_ms or now), entry)

        return self._done("incident-graded", by, self.docket.change(id, change), grade.value)

    def reported(self, id: str, by: str, clock: str, note: str = "") -> Incident:
        """The report that a clock asks for was made."""
        entry = Entry(self._clock.now_ms(), by, "report", note, {"clock": clock})

        def change(incident: Incident) -> Incident:
            done = f"{clock}:done"
            if done in incident.clocks:
                return incident
            return lifecycle.noted(replace(incident, clocks={**incident.clocks, done: entry.at_ms}), entry)

        return self._done("incident-reported", by, self.docket.change(id, change), clock)

    def close(self, id: str, by: str, reason: str = "") -> Incident:
        """归档 by a person. What is not measured to be over is closed only with a reason, and that stays on record."""

        def change(incident: Incident) -> Incident:
            if incident.state is State.CLOSED:
                return incident
            over = incident.state is State.VERIFYING
            if not over and not reason.strip():
                why = (
                    "it still measures true, or nobody could see since: state the reason why it is closed all the same"
                )
                raise Permanent("not_allowed", why)
            closed = lifecycle.moved(incident, State.CLOSED, self._clock.now_ms(), by, reason.strip())
            last = replace(closed.entries[-1], data={**closed.entries[-1].data, "measured_over": over})
            return replace(closed, entries=(*closed.entries[:-1], last))

        return self._done("incident-closed", by, self.docket.change(id, change), reason)

    def false_positive(self, id: str, by: str, reason: str) -> Incident:
        said = _reason(reason, "not_allowed", "state why it is a false positive")

        def change(incident: Incident) -> Incident:
            if incident.state is State.FALSE_POSITIVE:
                return incident
            return lifecycle.moved(incident, State.FALSE_POSITIVE, self._clock.now_ms(), by, said)

        return self._done("incident-false-positive", by, self.docket.change(id, change), said)

    def reopen(self, id: str, by: str, reason: str) -> Incident:
        said = _reason(reason, "not_allowed", "state why it is opened again")

        def change(incident: Incident) -> Incident:
            return lifecycle.reopened(incident, self._clock.now_ms(), by, said)

        return self._done("incident-reopened", by, self.docket.change(id, change), said)

    def suppress(self, id: str, by: str, until_ms: int, reason: str) -> Incident:
        """Nobody is paged about it until then; until now ends that."""
        said = _reason(reason, "not_allowed", "state why nobody shall be told")
        now = self._clock.now_ms()
        if until_ms > now + LONGEST_MS:
            raise Permanent("not_allowed", "for a year at most")

        def change(incident: Incident) -> Incident:
            _must_be_open(incident)
            entry = Entry(now, by, "suppressed", said, {"until_ms": until_ms})
            return lifecycle.noted(replace(incident, suppressed_until_ms=until_ms), entry)

        return self._done("incident-suppressed", by, self.docket.change(id, change), said)

    def merge(self, id: str, into: str, by: str) -> Incident:
        """All of one incident belongs to another from now on; returns that other one."""
        if id == into:
            raise Permanent("not_allowed", "an incident can not be merged into itself")
        target = self.docket.find(into)
        if target is None:
            raise Permanent("unknown_incident", f"there is no incident {into[:64]!r}")
        _must_be_open(target)
        now = self._clock.now_ms()

        def leave(incident: Incident) -> Incident:
            if incident.merged_into == into:
                return incident
            _must_be_open(incident)
            gone = lifecycle.moved(incident, State.CLOSED, now, by, f"merged into {into}")
            return replace(gone, merged_into=into)

        source = self.docket.change(id, leave)
        merged = self.absorb(source, by)
        return self._done("incident-merged", by, merged, f"{id} into {into}")

    def absorb(self, source: Incident, by: str = SYSTEM) -> Incident:
        """The second half of a merge, done again where the program died in between."""
        now = self._clock.now_ms()

        def take(incident: Incident) -> Incident:
            if source.key in incident.keys:
                return incident
            keys = dict.fromkeys((*incident.keys, source.key, *source.keys))
            taken = replace(
                incident,
                keys=tuple(keys),
                rules=tuple(dict.fromkeys((*incident.rules, *source.rules))),
                agents=tuple(dict.fromkeys((*incident.agents, *source.agents)))[: grouping.MAX_AGENTS],
                count=incident.count + source.count,
                sample=(*incident.sample, *source.sample)[: grouping.MAX_SAMPLE],
                first_ms=min(incident.first_ms, source.first_ms),
                last_ms=max(incident.last_ms, source.last_ms),
                arrived_ms=max(incident.arrived_ms, source.arrived_ms),
                level=max(incident.level, source.level, key=lambda one: SEVERITY.get(one, 0)),
                cii=incident.cii or source.cii,
            )
            return lifecycle.noted(taken, Entry(now, by, "merged", source.title.zh, {"incident": source.id}))

        return self.docket.change(source.merged_into, take)

    def split(self, id: str, alert_ids: Sequence[str], by: str) -> Incident:
        """These alerts become an incident of their own; returns it. Later alerts of their key stay with the old one."""
        ids = tuple(dict.fromkeys(alert_ids))
        if not 0 < len(ids) <= grouping.MAX_RECENT:
            raise Permanent("not_allowed", f"name 1 to {grouping.MAX_RECENT} alerts")
        old = self.docket.find(id)
        if old is None:
            raise Permanent("unknown_incident", f"there is no incident {id[:64]!r}")
        _must_be_open(old)
        alerts = []
        for name in ids:
            found = self._store.get(Kind.ALERT, name)
            if found is None or grouping.key_of(found.doc) not in (old.key, *old.keys):
                raise Permanent("not_allowed", f"alert {name[:64]!r} is not of this incident")
            alerts.append(Record(Kind.ALERT, found.id, found.doc))
        if len(ids) >= old.count:
            raise Permanent("not_allowed", "the old incident would be left without an alert")
        now = self._clock.now_ms()
        new_id = incident_id("split", id, *sorted(ids))
        alerts.sort(key=lambda r: grouping.number(r.doc, "@timestamp"))
        made, _ = grouping.started(f"{old.key}#{new_id}", alerts, self.inventory(), self.raising, now, new_id)
        entry = Entry(now, by, "split", "", {"from": id, "alerts": list(ids)})
        made = lifecycle.noted(made, entry)
        self.docket.create(made, entry)

        def leave(incident: Incident) -> Incident:
            left = Entry(now, by, "split", "", {"to": new_id, "alerts": list(ids)})
            if any(e.action == "split" and e.data.get("to") == new_id for e in incident.entries):
                return incident
            rest = replace(incident, count=incident.count - len(ids), sample=_without(incident.sample, ids))
            return lifecycle.noted(rest, left)

        self.docket.change(id, leave)
        return self._done("incident-split", by, made, f"from {id}")

    def _noted(self, id: str, entry: Entry) -> Incident:
        return self.docket.change(id, lambda incident: lifecycle.noted(incident, entry))

    def _done(self, action: str, by: str, incident: Incident, message: str = "") -> Incident:
        if by != SYSTEM:
            told = f"{incident.id}: {message}" if message else incident.id
            self._trail.write(action, "success", user=by, unit=incident.unit, message=told)
        return incident


def _urgency(incident: Incident) -> tuple[int, int, str]:
    return SEVERITY.get(incident.level, 0), incident.found_ms, incident.id


def _must_be_open(incident: Incident) -> None:
    if not lifecycle.is_open(incident):
        why = f"was merged into {incident.merged_into}" if incident.merged_into else f"is {incident.state.value}"
        raise Permanent("not_allowed", f"incident {incident.id} {why}")


def _reason(text: str, reason: str, why: str) -> str:
    said = text.strip()
    if not said:
        raise Permanent(reason, why)
    return said


def _without(ids: tuple[str, ...], gone: Sequence[str]) -> tuple[str, ...]:
    left = set(gone)
    return tuple(one for one in ids if one not in left)
