"""Enrolment tokens: what lets a host become an agent of a unit. The store holds ``token/<id>``, never the secret.

The secret has 256 random bits, so its plain SHA-256 is enough: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

import msgspec

from collector.store import Conflict, Store
from telemetry.clock import Clock, iso
from telemetry.enrol import Token, parse_token
from telemetry.errors import Permanent, Transient

PREFIX = "token/"
MAX_TOKENS = 1000
MAX_USES = 10_000
MAX_TTL_S = 366 * 86_400


class EnrolToken(msgspec.Struct, frozen=True):
    """``used_by`` are the agents that it enrolled; a host that lost the answer may ask again within the lifetime."""

    id: str
    secret_sha256: str
    unit: str
    uses: int
    created_ms: int
    expires_ms: int
    by: str = ""
    used_by: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"EnrolToken(id={self.id!r}, unit={self.unit!r}, secret hidden)"

    @property
    def left(self) -> int:
        return max(self.uses - len(self.used_by), 0)


class EnrolTokens:
    """All methods block on the store and may raise Transient."""

    def __init__(self, store: Store, clock: Clock, pin: str) -> None:
        self._store = store
        self._clock = clock
        self._pin = pin

    def create(self, unit: str, ttl_s: int, uses: int, by: str) -> Token:
        """The token's text can not be had again. Raises Permanent: bad_ttl, bad_uses, too_many."""
        if not 1 <= ttl_s <= MAX_TTL_S:
            raise Permanent("bad_ttl", "an enrolment token lives from 1 second to 366 days")
        if not 1 <= uses <= MAX_USES:
            raise Permanent("bad_uses", f"an enrolment token enrols 1 to {MAX_USES} hosts")
        self.clear()
        if len(self._store.list_state(PREFIX)) >= MAX_TOKENS:
            raise Permanent("too_many", f"at most {MAX_TOKENS} tokens; revoke old ones")
        token = Token(secrets.token_hex(6), secrets.token_urlsafe(32), self._pin)
        now = self._clock.now_ms()
        kept = EnrolToken(token.id, _digest(token.secret), unit, uses, now, now + ttl_s * 1000, by)
        self._store.write_state(PREFIX + token.id, msgspec.json.encode(kept), 0)
        return token

    def all(self) -> list[EnrolToken]:
        """Newest first."""
        found = [_decode(state.value) for state in self._store.list_state(PREFIX)]
        return sorted(found, key=lambda t: -t.created_ms)

    def check(self, text: str) -> EnrolToken:
        """The token that this text is. Raises Permanent: bad_token, token_expired. Says nothing of uses left."""
        given = parse_token(text)
        state = self._store.read_state(PREFIX + given.id)
        kept = _decode(state.value) if state.version else None
        if kept is None or not hmac.compare_digest(kept.secret_sha256, _digest(given.secret)):
            raise Permanent("bad_token", "this enrolment token is not known here, or was revoked")
        if kept.expires_ms <= self._clock.now_ms():
            raise Permanent("token_expired", f"this enrolment token expired at {iso(kept.expires_ms)}; make a new one")
        return kept

    def consume(self, id: str, agent: str) -> None:
        """Take one use, by a single compare-and-set. Raises Permanent ``token_used``; an agent takes only one."""
        for _ in range(100):
            state = self._store.read_state(PREFIX + id)
            if not state.version:
                raise Permanent("bad_token", "this enrolment token was revoked")
            kept = _decode(state.value)
            if agent in kept.used_by:
                return
            if not kept.left:
                raise Permanent("token_used", f"this enrolment token was for {kept.uses} host(s) and is used up")
            new = msgspec.structs.replace(kept, used_by=(*kept.used_by, agent))
            try:
                self._store.write_state(state.key, msgspec.json.encode(new), state.version)
            except Conflict:
                continue
            return
        raise Transient("too many hosts enrol with this token at once")

    def revoke(self, id: str) -> None:
        """Raises Permanent ``no_such_token``."""
        if not id.isalnum() or not self._store.read_state(PREFIX + id).version:
            raise Permanent("no_such_token", f"there is no enrolment token {id!r}")
        self._store.delete_state(PREFIX + id)

    def clear(self) -> None:
        """Remove those that expired more than a week ago."""
        before = self._clock.now_ms() - 7 * 86_400_000
        for token in self.all():
            if token.expires_ms < before:
                self._store.delete_state(PREFIX + token.id)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _decode(value: bytes) -> EnrolToken:
    return msgspec.json.decode(value, type=EnrolToken)
