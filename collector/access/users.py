"""The people who may log in. Kept in the store as ``user/<name>``; passwords as argon2id only.

Hashing costs 64 MiB and tens of milliseconds by intent (RFC 9106, second recommended option), so it runs in a worker
thread and at most two at once. A login with an unknown name costs the same as one with a wrong password.
"""

from __future__ import annotations

import asyncio
import re
import secrets

import argon2
import msgspec

from collector.access.roles import Role
from collector.store import Conflict, Store
from telemetry.clock import Clock
from telemetry.errors import Permanent, Transient

PREFIX = "user/"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
MIN_PASSWORD = 10
MAX_PASSWORD = 256
MAX_USERS = 1000


class User(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """``stamp`` changes when the password, role or state does; sessions made before that are no longer valid."""

    name: str
    role: Role
    password_hash: str = ""
    created_ms: int = 0
    changed_ms: int = 0
    stamp: str = ""
    disabled: bool = False
    by: str = ""

    def __repr__(self) -> str:
        return f"User(name={self.name!r}, role={self.role.value!r}, password hidden)"


class Users:
    """All methods but ``check`` block on the store; call them in a worker thread."""

    def __init__(self, store: Store, clock: Clock, hasher: argon2.PasswordHasher | None = None) -> None:
        self._store = store
        self._clock = clock
        self._hasher = hasher or argon2.PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_urlsafe(16))
        self._gate = asyncio.Semaphore(2)

    def get(self, name: str) -> User | None:
        return self._read(name)[0]

    def all(self) -> list[User]:
        found = [msgspec.json.decode(s.value, type=User) for s in self._store.list_state(PREFIX)]
        return sorted(found, key=lambda u: u.name)

    def create(self, name: str, role: Role, password: str = "", by: str = "") -> User:
        """Raises Permanent: bad_name, weak_password, exists, too_many."""
        if not NAME.fullmatch(name):
            raise Permanent("bad_name", "a name has 1 to 32 of a-z, 0-9, '.', '_', '-'")
        if len(self._store.list_state(PREFIX)) >= MAX_USERS:
            raise Permanent("too_many", f"at most {MAX_USERS} users")
        now = self._clock.now_ms()
        hashed = self._hash(password) if password else ""
        user = User(name, role, hashed, now, now, secrets.token_hex(8), by=by)
        try:
            self._store.write_state(PREFIX + name, msgspec.json.encode(user), 0)
        except Conflict as error:
            raise Permanent("exists", f"there is a user {name!r} already") from error
        return user

    def set_password(self, name: str, password: str) -> User:
        """Raises Permanent: weak_password, no_such_user."""
        hashed = self._hash(password)
        return self._change(name, password_hash=hashed)

    def set_role(self, name: str, role: Role) -> User:
        """Raises Permanent: no_such_user, last_admin."""
        if not role.allows(Role.ADMIN):
            self._keep_an_admin(name)
        return self._change(name, role=role)

    def set_disabled(self, name: str, disabled: bool) -> User:
        """Raises Permanent: no_such_user, last_admin."""
        if disabled:
            self._keep_an_admin(name)
        return self._change(name, disabled=disabled)

    async def check(self, name: str, password: str) -> User | None:
        """The user, where name and password are right and the account is enabled; a wrong name takes as long."""
        user = await asyncio.to_thread(self.get, name) if NAME.fullmatch(name) else None
        stored = user.password_hash if user is not None and user.password_hash else self._nobody
        async with self._gate:
            right = await asyncio.to_thread(self._verify, stored, password[:MAX_PASSWORD])
        if not right or user is None or not user.password_hash or user.disabled:
            return None
        return user

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    def _hash(self, password: str) -> str:
        if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
            raise Permanent("weak_password", f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
        if len(set(password)) < 4:
            raise Permanent("weak_password", "a password has at least four different characters")
        return self._hasher.hash(password)

    def _keep_an_admin(self, name: str) -> None:
        others = [u for u in self.all() if u.name != name and u.role.allows(Role.ADMIN) and not u.disabled]
        if not others:
            raise Permanent("last_admin", "this is the last administrator; make another one first")

    def _change(self, name: str, **changes: object) -> User:
        for _ in range(3):
            user, version = self._read(name)
            if user is None:
                raise Permanent("no_such_user", f"there is no user {name!r}")
            new = msgspec.structs.replace(user, changed_ms=self._clock.now_ms(), stamp=secrets.token_hex(8), **changes)
            try:
                self._store.write_state(PREFIX + name, msgspec.json.encode(new), version)
            except Conflict:
                continue
            return new
        raise Transient(f"the record of user {name!r} is being changed by someone else")

    def _read(self, name: str) -> tuple[User | None, int]:
        state = self._store.read_state(PREFIX + name)
        return (msgspec.json.decode(state.value, type=User) if state.version else None), state.version
