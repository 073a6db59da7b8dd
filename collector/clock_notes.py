"""Where a collector's clock was set back: noted durably *before* anything with the earlier time is stored.

What has arrived is known by ``event.ingested``, the clock of the collector that stored it, and whoever leads keeps a
cursor in that clock (collector/catch_up.py). A collector that starts, or whose clock was set back, therefore notes the
time as ``operations/clock/<id>``; cursors go back to it. The last few are kept: one that ran for a moment with a wrong
clock has noted two before anybody heeds one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import msgspec

from collector.store import Conflict, State, Store

CLOCKS = "operations/clock/"
MAX_NOTED = 16
JUMP_MS = 1000
"""Deliveries overtake each other; by less than this nothing is lost, for every question reaches back by an overlap."""


class Noted(msgspec.Struct, frozen=True):
    """The times that a collector noted: how many in all, and the newest few, oldest first."""

    count: int = 0
    times: tuple[int, ...] = ()

    def after(self, heeded: int) -> tuple[int, ...]:
        """Those that were noted after so many."""
        return self.times[-(self.count - heeded) :] if self.count > heeded else ()


class ClockNotes:
    """Of one collector; from any thread."""

    def __init__(self, store: Store, collector_id: str) -> None:
        self._store = store
        self._key = CLOCKS + collector_id
        self._newest: int | None = None
        self._lock = threading.Lock()

    def saw(self, at_ms: int) -> None:
        """Something is about to be stored as arrived at this time. Raises Transient: then it may not be stored yet."""
        with self._lock:
            if self._newest is None or at_ms < self._newest - JUMP_MS:
                self._note(at_ms)
                self._newest = at_ms
            self._newest = max(self._newest, at_ms)

    def _note(self, at_ms: int) -> None:
        while True:
            state = self._store.read_state(self._key)
            noted = _decoded(state)
            made = Noted(noted.count + 1, (*noted.times, at_ms)[-MAX_NOTED:])
            try:
                self._store.write_state(self._key, msgspec.json.encode(made), state.version)
            except Conflict:  # of a collector that was started twice
                continue
            return


def noted(store: Store) -> Iterator[tuple[str, Noted]]:
    """Of every collector: its id and what it noted."""
    for state in store.list_state(CLOCKS):
        yield state.key.removeprefix(CLOCKS), _decoded(state)


def _decoded(state: State) -> Noted:
    try:
        return msgspec.json.decode(state.value, type=Noted) if state.version else Noted()
    except msgspec.DecodeError:
        return Noted()
