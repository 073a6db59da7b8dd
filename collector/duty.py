"""Who is on call now and next, from the inventory and the overrides in the store; and how an override is made."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable

import msgspec

from collector.incidents.oncall import PREFIX, Change, OnCall, Override, Planned, at, changes, plan
from collector.inventory import Rotation
from collector.inventory_index import Indexed
from collector.store import Store
from telemetry.clock import Clock
from telemetry.errors import Permanent
from telemetry.report import Report

FRESH_S = 3.0
MAX_OVERRIDES = 500
LONGEST_MS = 92 * 86_400_000
KEPT_MS = 7 * 86_400_000


class Turn(msgspec.Struct, frozen=True):
    """One rotation as it is now; ``next`` is None where nobody else will be on call within a year."""

    rotation: Rotation
    now: OnCall
    next: Change | None
    overrides: tuple[Override, ...]


class Duty:
    """Thread-safe; blocks on the store and may raise Transient."""

    def __init__(self, store: Store, inventory: Callable[[], Indexed], clock: Clock, report: Report) -> None:
        self._store = store
        self._inventory = inventory
        self._clock = clock
        self._report = report
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._overrides: tuple[Override, ...] = ()
        self._plans: tuple[Indexed, tuple[Override, ...], dict[str, Planned]] | None = None

    def on_call(self, at_ms: int) -> dict[str, str]:
        """The person of each rotation at this time."""
        return {name: at(planned, at_ms).person for name, planned in self._planned().items()}

    def turns(self) -> list[Turn]:
        now = self._clock.now_ms()
        return [
            Turn(
                planned.rotation,
                at(planned, now),
                next(changes(planned, now), None),
                tuple(sorted(planned.overrides, key=lambda one: one.from_ms)),
            )
            for planned in self._planned().values()
        ]

    def overrides(self, fresh_s: float = FRESH_S) -> tuple[Override, ...]:
        """Those that have not ended a week ago. What another collector wrote is seen ``fresh_s`` later at most."""
        with self._lock:
            if self._clock.monotonic() - self._read_at < fresh_s:
                return self._overrides
        made: list[Override] = []
        for state in self._store.list_state(PREFIX):
            try:
                found = msgspec.json.decode(state.value, type=Override)
            except msgspec.DecodeError:
                self._report.error("duty", f"{state.key} can not be read")
                continue
            if found.until_ms < self._clock.now_ms() - KEPT_MS:
                self._store.delete_state(state.key)
            else:
                made.append(found)
        with self._lock:
            ordered = tuple(sorted(made, key=lambda one: (one.made_ms, one.id)))
            self._overrides = self._overrides if ordered == self._overrides else ordered
            self._read_at = self._clock.monotonic()
            return self._overrides

    def add(self, rotation: str, person: str, from_ms: int, until_ms: int, by: str, note: str = "") -> Override:
        """Somebody else for a while. Raises Permanent ``bad_override``."""
        index, now = self._inventory(), self._clock.now_ms()
        if all(known.id != rotation for known in index.inventory.rotations):
            raise Permanent("bad_override", f"the inventory has no rotation {rotation[:64]!r}")
        if index.person(person) is None:
            raise Permanent("bad_override", f"the inventory has no person {person[:64]!r}")
        if not max(from_ms, now) < until_ms <= now + LONGEST_MS or from_ms < now - KEPT_MS:
            raise Permanent("bad_override", "its end must be after its start, and within 92 days from now")
        if len(self.overrides(0)) >= MAX_OVERRIDES:
            raise Permanent("bad_override", f"there are {MAX_OVERRIDES} already")
        made = Override(
            id=secrets.token_hex(8),
            rotation=rotation,
            person=person,
            from_ms=from_ms,
            until_ms=until_ms,
            made_ms=now,
            by=by,
            note=note.strip()[:500],
        )
        self._store.write_state(PREFIX + made.id, msgspec.json.encode(made), 0)
        self._forget()
        return made

    def remove(self, id: str) -> Override:
        """Raises Permanent ``not_found``."""
        found = next((one for one in self.overrides(0) if one.id == id), None)
        if found is None:
            raise Permanent("not_found", f"there is no override {id[:64]!r}")
        self._store.delete_state(PREFIX + found.id)
        self._forget()
        return found

    def _planned(self) -> dict[str, Planned]:
        index, overrides = self._inventory(), self.overrides()
        with self._lock:
            known = self._plans
        if known is not None and known[0] is index and known[1] is overrides:
            return known[2]
        inventory = index.inventory
        made = {one.id: plan(one, overrides, inventory.holidays) for one in inventory.rotations}
        with self._lock:
            self._plans = (index, overrides, made)
        return made

    def _forget(self) -> None:
        with self._lock:
            self._read_at = float("-inf")
