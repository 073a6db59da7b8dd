"""Bearer tokens for programs: ``twa.<id>.<secret>``. The text is shown once; the store has only the secret's SHA-256.

A plain hash is right here: the secret has 256 random bits, so there is nothing to guess, and the API must stay fast.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

import msgspec

from collector.access.roles import Role
from collector.store import Store
from telemetry.clock import Clock
from telemetry.errors import Permanent

PREFIX = "apitoken/"
FORM = re.compile(r"twa\.([0-9a-f]{12})\.([A-Za-z0-9_-]{43})")
MAX_TOKENS = 1000
MAX_TTL_S = 5 * 366 * 86400


class ApiToken(msgspec.Struct, frozen=True):
    """``expires_ms`` 0: never."""

    id: str
    name: str
    role: Role
    secret_sha256: str
    created_ms: int
    expires_ms: int = 0
    by: str = ""

    def __repr__(self) -> str:
        return f"ApiToken(id={self.id!r}, name={self.name!r}, role={self.role.value!r}, secret hidden)"


def create(store: Store, clock: Clock, role: Role, name: str, ttl_s: int = 0, by: str = "") -> str:
    """Make a token and return its text; it can not be shown again. Raises Permanent: bad_name, bad_ttl, too_many."""
    if not name.strip() or len(name) > 64 or not name.isprintable():
        raise Permanent("bad_name", "a token's name has 1 to 64 printable characters and says what uses it")
    if not 0 <= ttl_s <= MAX_TTL_S:
        raise Permanent("bad_ttl", "a token lives from 1 second to 5 years; 0 is without end")
    if len(store.list_state(PREFIX)) >= MAX_TOKENS:
        raise Permanent("too_many", f"at most {MAX_TOKENS} tokens; revoke old ones")
    name_of, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    now = clock.now_ms()
    token = ApiToken(name_of, name.strip(), role, _digest(secret), now, now + ttl_s * 1000 if ttl_s else 0, by)
    store.write_state(PREFIX + name_of, msgspec.json.encode(token), 0)
    return f"twa.{name_of}.{secret}"


def authenticate(store: Store, clock: Clock, text: str) -> ApiToken | None:
    """The token that this text is, where it exists and has not expired."""
    found = FORM.fullmatch(text)
    if not found:
        return None
    state = store.read_state(PREFIX + found[1])
    if not state.version:
        return None
    token = msgspec.json.decode(state.value, type=ApiToken)
    if not hmac.compare_digest(token.secret_sha256, _digest(found[2])):
        return None
    return None if token.expires_ms and token.expires_ms <= clock.now_ms() else token


def tokens(store: Store) -> list[ApiToken]:
    """All of them, newest first."""
    found = [msgspec.json.decode(state.value, type=ApiToken) for state in store.list_state(PREFIX)]
    return sorted(found, key=lambda t: -t.created_ms)


def revoke(store: Store, id: str) -> None:
    """Raises Permanent: no_such_token."""
    if not re.fullmatch(r"[0-9a-f]{12}", id) or not store.read_state(PREFIX + id).version:
        raise Permanent("no_such_token", f"there is no token {id!r}")
    store.delete_state(PREFIX + id)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
