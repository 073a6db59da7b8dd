"""Which work each agent has now; made again only when the inventory or the set of units with agents changes."""

from __future__ import annotations

import threading

from collector.inventory_index import Indexed
from collector.inventory_source import InventorySource
from collector.registry import AgentRecord, Registry
from collector.work import derive
from telemetry import work
from telemetry.clock import Clock
from telemetry.errors import Transient

UNITS_FRESH_S = 5.0


class Assignments:
    """Thread-safe; ``of`` may block on the store."""

    def __init__(self, inventory: InventorySource, registry: Registry, clock: Clock) -> None:
        self._inventory = inventory
        self._registry = registry
        self._clock = clock
        self._lock = threading.Lock()
        self._units: frozenset[str] = frozenset()
        self._units_at = float("-inf")
        self._index: Indexed | None = None
        self._made: dict[tuple[str, str], tuple[str, bytes]] = {}

    def of(self, agent: AgentRecord) -> tuple[str, bytes]:
        """Version and encoded work of one agent. It holds credentials: for that agent only."""
        with self._lock:
            index = self._look()
            key = (agent.id, agent.unit)
            if key not in self._made:
                made = derive(index, agent.id, agent.unit, self._units)
                self._made[key] = (made.version, work.encode(made))
            return self._made[key]

    def _look(self) -> Indexed:
        now = self._clock.monotonic()
        units = self._units
        if now - self._units_at >= UNITS_FRESH_S:
            try:
                units = frozenset(r.unit for r in self._registry.agents() if not r.revoked)
                self._units_at = now
            except Transient:
                if not units:
                    raise
        index = self._inventory.current()
        if index is not self._index or units != self._units:
            self._index, self._units, self._made = index, units, {}
        return index
