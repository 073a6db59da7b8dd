"""Links in pages: for one person and one incident, with an end, short enough for a short message, good without login.

A link is 18 bytes in 24 characters: 8 that name it, and 10 of an HMAC-SHA256 over what it is good for. What it is good
for stands in the store as ``link/<name>``; that document alone opens nothing, for the key is made of the authority's
key, which never leaves the collectors' directories. Collectors that share an authority accept each other's links.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

import msgspec

from collector.store import Conflict, Store
from telemetry.clock import Clock
from telemetry.errors import Permanent

PREFIX = "link/"
PATH = "/h/"
NAME_BYTES, MAC_BYTES = 8, 10
LENGTH = 24


class Link(msgspec.Struct, frozen=True):
    incident: str
    person: str
    expires_ms: int
    revoked: str = ""
    """Why it is good no longer, e.g. handed_over."""


class Links:
    """Thread-safe; blocks on the store."""

    def __init__(self, store: Store, clock: Clock, key: bytes, lifetime_ms: int) -> None:
        self._store = store
        self._clock = clock
        self._key = key
        self._lifetime_ms = lifetime_ms

    def token(self, about: str, incident: str, person: str) -> str:
        """The link's token; the same for the same ``about`` (a page's id), so that a repeat of a page is equal."""
        name = hashlib.blake2b(about.encode(), digest_size=NAME_BYTES).digest()
        made = Link(incident, person, self._clock.now_ms() + self._lifetime_ms)
        try:
            self._store.write_state(PREFIX + name.hex(), msgspec.json.encode(made), 0)
        except Conflict:
            made = self._read(name)[0] or made
        return base64.urlsafe_b64encode(name + self._mac(name, made)).decode()

    def open(self, token: str) -> Link:
        """What a token is good for now. Raises Permanent: bad_link, revoked_link, expired_link."""
        raw = _raw(token)
        link = self._read(raw[:NAME_BYTES])[0] if raw else None
        if link is None or not hmac.compare_digest(self._mac(raw[:NAME_BYTES], link), raw[NAME_BYTES:]):
            raise Permanent("bad_link", "this link is not known")
        if link.revoked:
            raise Permanent("revoked_link", f"{link.person}, incident {link.incident}: {link.revoked}")
        if link.expires_ms <= self._clock.now_ms():
            raise Permanent("expired_link", f"{link.person}, incident {link.incident}")
        return link

    def revoke(self, incident: str, person: str, why: str) -> int:
        """All links of this person to this incident are good no longer. Returns how many."""
        done = 0
        for state in self._store.list_state(PREFIX):
            link = _decode(state.value)
            if link is not None and (link.incident, link.person, link.revoked) == (incident, person, ""):
                changed = msgspec.structs.replace(link, revoked=why)
                try:
                    self._store.write_state(state.key, msgspec.json.encode(changed), state.version)
                except Conflict:
                    continue  # whoever wrote first revoked it too: nothing else changes a link
                done += 1
        return done

    def clear(self) -> None:
        """Forget links that ended a day ago."""
        before = self._clock.now_ms() - 86_400_000
        for state in self._store.list_state(PREFIX):
            link = _decode(state.value)
            if link is None or link.expires_ms < before:
                self._store.delete_state(state.key)

    def _read(self, name: bytes) -> tuple[Link | None, int]:
        state = self._store.read_state(PREFIX + name.hex())
        return (_decode(state.value) if state.version else None), state.version

    def _mac(self, name: bytes, link: Link) -> bytes:
        """Over everything but ``revoked``: to take a link away needs no key."""
        about = msgspec.json.encode([name.hex(), link.incident, link.person, link.expires_ms])
        return hmac.new(self._key, about, hashlib.sha256).digest()[:MAC_BYTES]


def _raw(token: str) -> bytes:
    if len(token) != LENGTH:
        return b""
    try:
        return base64.b64decode(token.encode("ascii"), b"-_", validate=True)
    except (ValueError, binascii.Error):
        return b""


def _decode(value: bytes) -> Link | None:
    try:
        return msgspec.json.decode(value, type=Link)
    except msgspec.DecodeError:
        return None
