"""Which of several collectors leads: a state document that is held as long as it is renewed.

``lease/operations`` has its holder, a term that rises with every take-over, and a count that rises with every renewal.
Nobody's wall clock matters. Who wants to lead watches the document: has it not changed for ``TTL_S`` by the watcher's
*own* monotonic clock, it is taken over by compare-and-set. The leader counts from *before* it wrote its last renewal
and stops by itself after ``HOLD_S``, well before anybody can have seen the document stand still for ``TTL_S``. So two
lead at once only where a monotonic clock runs a third slower than another; and then what they write meets
compare-and-set and ids made of what they are about.

A take-over lasts ``TTL_S`` and one look at most: under 15 s. A collector that stops clears the document, and the next
look of another takes it. A collector that was killed and comes back knows its own name and takes it at once; its home
directory's lock says that the one before is gone.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Callable

import msgspec

from collector.store import Conflict, State, Store
from telemetry.clock import Clock
from telemetry.errors import Transient

KEY = "lease/operations"
TTL_S = 12.0
HOLD_S = 8.0
RENEW_S = 2.0
"""How often a leader renews, and how often the others look."""


class Held(msgspec.Struct, frozen=True):
    """The document. ``run`` tells two programs apart that have one home, where a disk was copied."""

    holder: str
    term: int
    renewed: int = 0
    run: str = ""


class Lease:
    """``beat`` from one thread, every ``RENEW_S``; what it says may be read by any thread."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        holder: str,
        key: str = KEY,
        run: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._store = store
        self._clock = clock
        self._holder = holder
        self._key = key
        self._run = run()
        self._lock = threading.Lock()
        self._until = float("-inf")
        """Monotonic: so long this collector leads without another renewal."""
        self._term = 0
        self._version = 0
        self._seen: tuple[int, float] | None = None
        """Version of the document as last seen, and since when it stands still."""

    @property
    def leading(self) -> bool:
        """May this collector decide now?"""
        return self._clock.monotonic() < self._until

    @property
    def term(self) -> int:
        """Of the present or last leadership of this collector; rises with every take-over by anybody."""
        return self._term

    @property
    def holder(self) -> str:
        return self._holder

    def beat(self) -> bool:
        """Renew, or look whether to take over. True while leading. Raises Transient, and then leads no longer than
        the last renewal holds."""
        with self._lock:
            return (self._until != float("-inf") and self._renew()) or self._look()

    def release(self) -> None:
        """Stop leading, and let another begin at once. Never raises."""
        with self._lock:
            if self._until == float("-inf"):
                return
            self._until = float("-inf")
            with contextlib.suppress(Conflict, Transient):
                cleared = Held("", self._term)
                self._version = self._store.write_state(self._key, msgspec.json.encode(cleared), self._version)
            self._seen = None

    def lost(self) -> None:
        """What this collector wrote met a newer leader: stop at once, and look again later."""
        with self._lock:
            self._until = float("-inf")
            self._seen = None

    def _renew(self) -> bool:
        started = self._clock.monotonic()
        if started >= self._until:  # too late: others may lead, so the document has to be looked at first
            self._until = float("-inf")
            return False
        state = self._store.read_state(self._key)
        held = _decode(state)
        if held is None or (held.holder, held.run, held.term) != (self._holder, self._run, self._term):
            self._until = float("-inf")
            return False
        return self._write(state.version, msgspec.structs.replace(held, renewed=held.renewed + 1), started)

    def _look(self) -> bool:
        started = self._clock.monotonic()
        state = self._store.read_state(self._key)
        held = _decode(state)
        first = self._seen is None
        if self._seen is None or self._seen[0] != state.version:
            self._seen = (state.version, started)
        free = held is None or not held.holder
        mine = held is not None and held.run == self._run
        before = held is not None and held.holder == self._holder and first and not self._term
        if not (free or mine or before) and started - self._seen[1] < TTL_S:
            return False
        return self._write(state.version, Held(self._holder, (held.term if held else 0) + 1, 0, self._run), started)

    def _write(self, version: int, held: Held, started: float) -> bool:
        try:
            self._version = self._store.write_state(self._key, msgspec.json.encode(held), version)
        except Conflict:
            self._until = float("-inf")
            return False
        self._term = held.term
        self._until = started + HOLD_S
        return self.leading


def _decode(state: State) -> Held | None:
    """None where there is no document, or one that nobody can read: then it is made anew."""
    if not state.version:
        return None
    try:
        return msgspec.json.decode(state.value, type=Held)
    except msgspec.DecodeError:
        return None
