"""Maintenance windows and suppressions: for a while nobody is paged about a unit, an asset, a rule or a key.

Documents ``suppression/<id>``. Alerts still become incidents, and both are shown with why nobody was told. Every
suppression has an end; it may be ended before, and is forgotten a while after.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

import msgspec

from collector.audit import Trail
from collector.incidents.model import Incident
from collector.inventory_index import Indexed
from collector.store import Conflict, Store
from telemetry.clock import Clock
from telemetry.errors import Permanent

PREFIX = "suppression/"
MAX = 500
LONGEST_MS = 366 * 86_400_000
KEPT_MS = 30 * 86_400_000


class Suppression(msgspec.Struct, frozen=True, kw_only=True):
    """What is given must all match; at least one is given. A unit means also those below it."""

    id: str
    by: str
    reason: str
    from_ms: int
    until_ms: int
    unit: str = ""
    asset: str = ""
    rule: str = ""
    key: str = ""
    ended_by: str = ""

    def matches(self, incident: Incident, inventory: Indexed) -> bool:
        subject = incident.subject
        return (
            (not self.unit or self.unit in (incident.unit, *inventory.path(incident.unit)))
            and (not self.asset or self.asset in (subject.asset, subject.device, subject.check_subject))
            and (not self.rule or self.rule in (incident.rule, *incident.rules))
            and (not self.key or self.key in (incident.key, *incident.keys))
        )


def holding(of: Iterable[Suppression], incident: Incident, inventory: Indexed, now_ms: int) -> Suppression | None:
    """The one that holds longest for this incident now."""
    found = [s for s in of if s.from_ms <= now_ms < s.until_ms and s.matches(incident, inventory)]
    return max(found, key=lambda s: s.until_ms, default=None)


class Suppressions:
    """Blocks on the store; may raise Transient."""

    def __init__(self, store: Store, clock: Clock, trail: Trail) -> None:
        self._store = store
        self._clock = clock
        self._trail = trail

    def all(self) -> list[Suppression]:
        """Newest first, also those that are over but not forgotten."""
        made = []
        for state in self._store.list_state(PREFIX):
            try:
                made.append(msgspec.json.decode(state.value, type=Suppression))
            except msgspec.DecodeError:
                continue
        return sorted(made, key=lambda s: (s.from_ms, s.id), reverse=True)

    def add(
        self,
        by: str,
        reason: str,
        until_ms: int,
        *,
        from_ms: int = 0,
        unit: str = "",
        asset: str = "",
        rule: str = "",
        key: str = "",
    ) -> Suppression:
        """Raises Permanent ``bad_suppression``."""
        now = self._clock.now_ms()
        made = Suppression(
            id=secrets.token_hex(6),
            by=by,
            reason=reason.strip()[:1000],
            from_ms=from_ms or now,
            until_ms=until_ms,
            unit=unit,
            asset=asset,
            rule=rule,
            key=key,
        )
        if not (unit or asset or rule or key):
            raise Permanent("bad_suppression", "say what it is for: a unit, an asset, a rule or a key")
        if not made.reason:
            raise Permanent("bad_suppression", "a reason is wanted")
        if not max(made.from_ms, now) < until_ms <= now + LONGEST_MS:
            raise Permanent("bad_suppression", "its end must be after its start, and within a year from now")
        if len(self.all()) >= MAX:
            raise Permanent("bad_suppression", f"there are {MAX} already; end some")
        self._store.write_state(PREFIX + made.id, msgspec.json.encode(made), 0)
        self._trail.write("suppression-added", "success", user=by, unit=unit, message=f"{made.id}: {made.reason}")
        return made

    def end(self, id: str, by: str) -> Suppression:
        """It ends now. Raises Permanent ``unknown_suppression``."""
        while True:
            state = self._store.read_state(PREFIX + id[:64])
            if not state.version:
                raise Permanent("unknown_suppression", f"there is no suppression {id[:64]!r}")
            before = msgspec.json.decode(state.value, type=Suppression)
            now = self._clock.now_ms()
            if before.until_ms <= now:
                return before
            after = msgspec.structs.replace(before, until_ms=now, ended_by=by)
            try:
                self._store.write_state(PREFIX + id, msgspec.json.encode(after), state.version)
            except Conflict:
                continue
            self._trail.write("suppression-ended", "success", user=by, unit=after.unit, message=id)
            return after

    def tidy(self, now_ms: int) -> None:
        for one in self.all():
            if one.until_ms < now_ms - KEPT_MS:
                self._store.delete_state(PREFIX + one.id)
