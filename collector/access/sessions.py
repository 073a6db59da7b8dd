"""Who is logged in. A session is a random token in a cookie; the store keeps only its SHA-256, as ``session/<hash>``.

A session ends by logout, after ``idle_s`` without a request, after ``absolute_s`` in any case, and at once when the
user's password, role or state changes (the user's ``stamp``). A login always makes a new token, so a token planted
before it is worth nothing (session fixation).
"""

from __future__ import annotations

import collections
import hashlib
import secrets
import threading

import msgspec

from collector.access.users import User, Users
from collector.store import Conflict, Store
from telemetry.clock import Clock

PREFIX = "session/"
TOUCH_MS = 60_000
MEMORY_MS = 5_000
MEMORY_ENTRIES = 2_000
MAX_SESSIONS = 5_000


class Lifetimes(msgspec.Struct, frozen=True):
    """How long a session lasts, in seconds."""

    idle_s: int = 3600
    absolute_s: int = 12 * 3600


class Session(msgspec.Struct, frozen=True):
    """One login. ``csrf`` must come back with every change that this session asks for."""

    user: str
    stamp: str
    csrf: str
    created_ms: int
    seen_ms: int
    address: str = ""

    def __repr__(self) -> str:
        return f"Session(user={self.user!r}, secrets hidden)"


class Active(msgspec.Struct, frozen=True):
    """A session that is valid now, with its user as the store has it."""

    key: str
    session: Session
    user: User


def key_of(token: str) -> str:
    return PREFIX + hashlib.sha256(token.encode()).hexdigest()


class Sessions:
    """All methods block on the store; call them in a worker thread. A found session is remembered for 5 s."""

    def __init__(self, store: Store, users: Users, clock: Clock, lifetimes: Lifetimes) -> None:
        self._store = store
        self._users = users
        self._clock = clock
        self.lifetimes = lifetimes
        self._memory: collections.OrderedDict[str, tuple[int, Active]] = collections.OrderedDict()
        self._lock = threading.Lock()

    def start(self, user: User, address: str) -> tuple[str, Session]:
        """A new session; returns the token for the cookie."""
        self.sweep()
        now = self._clock.now_ms()
        token = secrets.token_urlsafe(32)
        session = Session(user.name, user.stamp, secrets.token_urlsafe(24), now, now, address)
        self._store.write_state(key_of(token), msgspec.json.encode(session), 0)
        return token, session

    def find(self, token: str) -> Active | None:
        """The session of a cookie, where it is still valid."""
        key = key_of(token)
        now = self._clock.now_ms()
        with self._lock:
            held = self._memory.get(key)
        if held is not None and 0 <= now - held[0] < MEMORY_MS and self._live(held[1].session, now):
            return held[1]
        state = self._store.read_state(key)
        if not state.version:
            return None
        session = msgspec.json.decode(state.value, type=Session)
        user = self._users.get(session.user)
        if user is None or user.disabled or user.stamp != session.stamp or not self._live(session, now):
            self._store.delete_state(key)
            return None
        if now - session.seen_ms >= TOUCH_MS:
            session = msgspec.structs.replace(session, seen_ms=now)
            try:
                self._store.write_state(key, msgspec.json.encode(session), state.version)
            except Conflict:
                if not self._store.read_state(key).version:  # logged out meanwhile
                    return None
        active = Active(key, session, user)
        with self._lock:
            self._memory[key] = (now, active)
            self._memory.move_to_end(key)
            if len(self._memory) > MEMORY_ENTRIES:
                self._memory.popitem(last=False)
        return active

    def end(self, key: str) -> None:
        """Log out."""
        with self._lock:
            self._memory.pop(key, None)
        self._store.delete_state(key)

    def forget(self, user: str) -> None:
        """Look at the store again for this user's sessions: the user was changed."""
        with self._lock:
            for key in [k for k, (_, a) in self._memory.items() if a.user.name == user]:
                del self._memory[key]

    def sweep(self) -> int:
        """Delete what has expired, and the oldest beyond the bound; returns how many."""
        now = self._clock.now_ms()
        kept: list[tuple[int, str]] = []
        gone = []
        for state in self._store.list_state(PREFIX):
            session = msgspec.json.decode(state.value, type=Session)
            if self._live(session, now):
                kept.append((session.seen_ms, state.key))
            else:
                gone.append(state.key)
        gone += [key for _, key in sorted(kept)[: max(0, len(kept) - MAX_SESSIONS + 1)]]
        for key in gone:
            self.end(key)
        return len(gone)

    def _live(self, session: Session, now: int) -> bool:
        idle = now - session.seen_ms < self.lifetimes.idle_s * 1000 + TOUCH_MS
        return idle and now - session.created_ms < self.lifetimes.absolute_s * 1000
