"""One-time login links: the way in before anyone has a password. Printed by ``tengwang up``.

Whoever can read the program's terminal owns the collector, so the link logs in as an administrator. It works once,
for fifteen minutes; the store keeps its SHA-256 as ``loginlink/<hash>``.
"""

from __future__ import annotations

import hashlib
import re
import secrets

import msgspec

from collector.access.roles import Role
from collector.access.users import User, Users
from collector.services import Services
from collector.store import Conflict, Store
from telemetry.clock import Clock
from telemetry.errors import Permanent

PREFIX = "loginlink/"
PATH = "/login/link/"
LIFETIME_S = 900
FIRST_ADMIN = "admin"
FORM = re.compile(r"[A-Za-z0-9_-]{43}")


class Link(msgspec.Struct, frozen=True):
    user: str
    expires_ms: int


def login_link(services: Services, base_url: str) -> str:
    """A new link, e.g. ``http://[::1]:8700/login/link/...``."""
    return base_url.rstrip("/") + PATH + create(services.store, services.clock)


def create(store: Store, clock: Clock, user: str = FIRST_ADMIN, lifetime_s: int = LIFETIME_S) -> str:
    """A new link's token; those that have expired are cleared away."""
    now = clock.now_ms()
    for state in store.list_state(PREFIX):
        if msgspec.json.decode(state.value, type=Link).expires_ms <= now:
            store.delete_state(state.key)
    token = secrets.token_urlsafe(32)
    store.write_state(_key(token), msgspec.json.encode(Link(user, now + lifetime_s * 1000)), 0)
    return token


def redeem(store: Store, users: Users, clock: Clock, token: str) -> User:
    """Use up a link. Makes its user, an administrator without a password, where there is none.

    Raises Permanent: bad_link (never was, used, or expired), disabled.
    """
    refused = Permanent(
        "bad_link", "this login link was used already or has expired; restart the program for a new one"
    )
    if not FORM.fullmatch(token):
        raise refused
    state = store.read_state(_key(token))
    if not state.version:
        raise refused
    link = msgspec.json.decode(state.value, type=Link)
    try:  # of two that come at once, compare-and-set lets one through
        store.write_state(state.key, msgspec.json.encode(Link(link.user, 0)), state.version)
    except Conflict as error:
        raise refused from error
    store.delete_state(state.key)
    if link.expires_ms <= clock.now_ms():
        raise refused
    user = users.get(link.user) or users.create(link.user, Role.ADMIN, by="login-link")
    if user.disabled:
        raise Permanent("disabled", f"the account {user.name!r} is disabled")
    return user


def _key(token: str) -> str:
    return PREFIX + hashlib.sha256(token.encode()).hexdigest()
