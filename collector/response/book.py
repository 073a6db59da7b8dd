"""The orders of all collectors on one store: read, made and changed by compare-and-set; and what each agent is to get.

Agents ask often, so what is meant for each is remembered for a second; whoever approves here forgets it at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import msgspec

from collector.response import model
from collector.response.model import PREFIX, Kept, State
from collector.store import Conflict, Store
from telemetry.clock import Clock
from telemetry.errors import Permanent, Transient
from telemetry.order import MAX_ORDERS, SignedOrders, bundle

FRESH_S = 1.0
TRIES = 20
MAX_OPEN = 2000
"""Orders of all incidents that are kept at once; beyond it nothing more is proposed."""
HANDED_OUT = frozenset(
    {State.APPROVED, State.ORDERED, State.APPLIED, State.EFFECTIVE, State.APPLIED_NOT_EFFECTIVE, State.UNKNOWN}
    | {State.UNDOING}
)


class Book:
    """Thread-safe. Blocks on the store; may raise Transient."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._kept: dict[str, Kept] = {}
        self._of_agent: dict[str, SignedOrders] = {}

    def every(self) -> list[Kept]:
        """All that are kept, oldest first; at most a second old."""
        with self._lock:
            self._look()
            return sorted(self._kept.values(), key=lambda k: (k.proposed_ms, k.id))

    def get(self, id: str) -> Kept:
        """As it is in the store now. Raises Permanent ``not_found``."""
        return self._read(id)[0]

    def add(self, kept: Kept) -> bool:
        """False where it is there already, or there are too many."""
        with self._lock:
            if kept.id in self._kept or len(self._kept) >= MAX_OPEN:
                return False
        try:
            self._store.write_state(PREFIX + kept.id, model.encode(kept), 0)
        except Conflict:
            return False
        finally:
            self.forget()
        return True

    def change(self, id: str, how: Callable[[Kept], Kept]) -> Kept:
        """``how`` may be asked several times; what it raises is passed on. Raises Permanent ``not_found``."""
        for _ in range(TRIES):
            before, version = self._read(id)
            after = how(before)
            if after == before:
                return before
            try:
                self._store.write_state(PREFIX + id, model.encode(after), version)
            except Conflict:
                continue
            self.forget()
            return after
        raise Transient(f"order {id} is being changed by too many at once")

    def remove(self, id: str) -> None:
        self._store.delete_state(PREFIX + id)
        self.forget()

    def for_agent(self, agent: str) -> SignedOrders:
        """What this agent is to do or to undo now."""
        with self._lock:
            self._look()
            if agent not in self._of_agent:
                mine = [
                    k for k in self._kept.values() if k.proposal.agent == agent and k.signed and k.state in HANDED_OUT
                ]
                mine.sort(key=lambda k: (k.decided_ms, k.id))
                self._of_agent[agent] = bundle(tuple(k.signed for k in mine[-MAX_ORDERS:] if k.signed))
            return self._of_agent[agent]

    def fetched(self, agent: str) -> None:
        """The agent was given what is meant for it."""
        for kept in self.every():
            if kept.proposal.agent == agent and kept.state is State.APPROVED and kept.signed:
                self.change(kept.id, lambda k: _ordered(k, self._clock.now_ms()))

    def forget(self) -> None:
        """Read anew before the next answer."""
        with self._lock:
            self._read_at = float("-inf")

    def _look(self) -> None:
        now = self._clock.monotonic()
        if now - self._read_at < FRESH_S:
            return
        found = [_decoded(state.value) for state in self._store.list_state(PREFIX)]
        self._kept = {kept.id: kept for kept in found if kept is not None}
        self._of_agent = {}
        self._read_at = now

    def _read(self, id: str) -> tuple[Kept, int]:
        state = self._store.read_state(PREFIX + id) if len(id) <= 64 else None
        kept = _decoded(state.value) if state is not None and state.version else None
        if state is None or kept is None:
            raise Permanent("not_found", f"there is no order {id[:64]!r}")
        return kept, state.version


def _ordered(kept: Kept, now_ms: int) -> Kept:
    if kept.state is not State.APPROVED:
        return kept
    return msgspec.structs.replace(kept, state=State.ORDERED, ordered_ms=now_ms)


def _decoded(value: bytes) -> Kept | None:
    """None for a document of a newer program: it is not ours to change."""
    try:
        return model.decode(value)
    except msgspec.DecodeError:
        return None
