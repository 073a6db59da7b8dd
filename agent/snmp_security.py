"""SNMP message security: community strings (v1, v2c) and the user-based model of RFC 3414 (v3).

Keys are localised and data is encrypted by pysnmp's protocol classes: no cryptography is written here. The digest is
placed by its position in the message; searching for it, as pysnmp does, finds the wrong bytes where an engine id
holds twelve zeros. Nothing here shows a secret: not in ``repr``, not in an error.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
from typing import TYPE_CHECKING, Any, Protocol

from agent.decoders import ber
from agent.decoders.snmp_message import (
    V3,
    Flags,
    Kind,
    Pdu,
    decode_community,
    decode_scoped,
    decode_v3,
    encode_community,
    encode_scoped,
    encode_v3,
)
from telemetry.errors import Permanent, Transient
from telemetry.work import SnmpCredential, SnmpVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from telemetry.clock import Clock

AUTH = {"MD5": 12, "SHA": 12, "SHA224": 16, "SHA256": 24, "SHA384": 32, "SHA512": 48}
"""Length of the digest in a message: RFC 3414, RFC 7860."""
PRIV = ("DES", "3DES", "AES", "AES192", "AES256", "AES192C", "AES256C")
"""With C: the key extension of the 3DES draft (Cisco and many others); without: draft-blumenthal-aes-usm."""
ALIASES = {"SHA1": "SHA", "AES128": "AES", "3DESEDE": "3DES"}
MIN_PASSPHRASE = 8
TIME_WINDOW_S = 150
"""RFC 3414 section 2.2.3."""
_USM_STATS = (1, 3, 6, 1, 6, 3, 15, 1, 1)
_REPORTS = {
    1: ("security_level", "the device does not allow this security level for this user"),
    3: ("auth", "the device does not know this user"),
    5: ("auth", "wrong authentication key or protocol"),
    6: ("auth", "wrong privacy key or protocol"),
}


class SnmpFault(Transient):
    """A device could not be asked. ``reason`` is a short stable word: timeout, auth, too_big ..."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason = reason
        super().__init__(f"{reason}: {detail}" if detail else reason)


class Again(Exception):
    """The device told us what we need to know (its engine id, its time): send the request again at once."""


class Security(Protocol):
    """Puts one PDU into a message and takes one out."""

    def ready(self) -> bool:
        """False: send ``discovery`` first."""

    def discovery(self, message_id: int) -> bytes: ...

    def wrap(self, pdu: Pdu) -> bytes: ...

    def unwrap(self, data: bytes, ids: Collection[int]) -> Pdu:
        """The answer to one of the requests ``ids``. Raises Permanent (not a believable answer), Again, SnmpFault."""


class Community:
    """v1 and v2c."""

    def __init__(self, version: int, community: str) -> None:
        self._version = version
        self._community = community.encode()

    def ready(self) -> bool:
        return True

    def discovery(self, message_id: int) -> bytes:
        raise AssertionError(f"message {message_id}: a community needs no discovery")

    def wrap(self, pdu: Pdu) -> bytes:
        return encode_community(self._version, self._community, pdu)

    def unwrap(self, data: bytes, ids: Collection[int]) -> Pdu:
        pdu = decode_community(data)
        if pdu.kind != Kind.RESPONSE or pdu.request_id not in ids:
            raise Permanent("stray", "an answer to no request")
        return pdu


class Usm:
    """v3. Learns the device's engine id, boots and time, and keeps them from poll to poll."""

    def __init__(self, credential: SnmpCredential, clock: Clock) -> None:
        self._user = credential.user.encode()
        self._context = credential.context.encode()
        self._auth = normal(credential.auth_protocol) if credential.auth_key else ""
        self._priv = normal(credential.priv_protocol) if credential.priv_key else ""
        self._secrets = (credential.auth_key, credential.priv_key)
        self._clock = clock
        self._flags = (Flags.AUTH if self._auth else Flags.NONE) | (Flags.PRIV if self._priv else Flags.NONE)
        self._engine = b""
        self._boots = 0
        self._time = 0
        self._seen_at = 0.0
        self._auth_key = b""
        self._cipher: Any = None
        self._priv_key: Any = None

    def ready(self) -> bool:
        return bool(self._engine)

    def discovery(self, message_id: int) -> bytes:
        """RFC 3414 section 4: an empty request whose report carries the engine id, boots and time."""
        scoped = encode_scoped(b"", b"", Pdu(Kind.GET, message_id))
        empty = V3(message_id, Flags.REPORTABLE, b"", 0, 0, b"", b"", 0, b"", scoped)
        return encode_v3(empty)[0]

    def wrap(self, pdu: Pdu) -> bytes:
        boots, time = self._boots, self._time + int(self._clock.monotonic() - self._seen_at)
        scoped = encode_scoped(self._engine, self._context, pdu)
        salt = b""
        if self._priv:
            encrypted, salt_value = self._cipher.encrypt_data(self._priv_key, (boots, time, None), scoped)
            scoped, salt = ber.element(ber.OCTETS, bytes(encrypted)), bytes(salt_value)
        size = AUTH[self._auth] if self._auth else 0
        flags = self._flags | Flags.REPORTABLE
        message = V3(pdu.request_id, flags, self._engine, boots, time, self._user, bytes(size), 0, salt, scoped)
        whole, at = encode_v3(message)
        if size:
            whole = whole[:at] + self._digest(whole) + whole[at + size :]
        return whole

    def unwrap(self, data: bytes, ids: Collection[int]) -> Pdu:
        message = decode_v3(data)
        if message.message_id not in ids:
            raise Permanent("stray", "an answer to no request")
        authentic = bool(message.flags & Flags.AUTH)
        if authentic:
            self._verify(message, data)
        scoped = message.scoped
        if message.flags & Flags.PRIV:
            scoped = self._decrypt(message)
        pdu = decode_scoped(scoped)
        if pdu.kind == Kind.REPORT:
            raise self._report(message, pdu, authentic)
        if message.flags & self._flags != self._flags:
            raise Permanent("security_level", "an answer below the level that was asked for")
        if pdu.request_id not in ids or message.engine_id != self._engine or message.user != self._user:
            raise Permanent("wrong_engine", "an answer of another engine or user")
        if authentic:
            self._check_time(message)
        return pdu

    def _verify(self, message: V3, data: bytes) -> None:
        size = AUTH.get(self._auth, 0)
        if not self._auth_key or len(message.digest) != size or message.engine_id != self._engine:
            raise Permanent("wrong_digest", "not signed with our key")
        plain = data[: message.digest_at] + bytes(size) + data[message.digest_at + size :]
        if not hmac.compare_digest(self._digest(plain), message.digest):
            raise Permanent("wrong_digest", "not signed with our key")

    def _decrypt(self, message: V3) -> bytes:
        if not self._priv or not message.flags & Flags.AUTH or len(message.salt) != 8:
            raise Permanent("security_level", "encrypted without authentication")
        start, stop = ber.expect(message.scoped, 0, len(message.scoped), ber.OCTETS)
        octets = _octets()
        parameters = (message.boots, message.time, octets(message.salt))
        try:
            return bytes(self._cipher.decrypt_data(self._priv_key, parameters, octets(message.scoped[start:stop])))
        except Exception as error:  # noqa: BLE001 - pysnmp raises several kinds for a bad block length
            raise Permanent("decryption", type(error).__name__) from None

    def _report(self, message: V3, pdu: Pdu, authentic: bool) -> Exception:
        """What a report means (RFC 3414 section 3.2). Only an authentic one may move our idea of its time."""
        name = pdu.varbinds[0][0] if pdu.varbinds else ()
        counter = name[len(_USM_STATS)] if name[: len(_USM_STATS)] == _USM_STATS and len(name) > len(_USM_STATS) else 0
        if counter == 4 or (counter == 2 and not self._engine):
            if not 5 <= len(message.engine_id) <= 32:
                return Permanent("malformed", "engine id")
            self._learn(message.engine_id, message.boots, message.time)
            return Again()
        if counter == 2:
            if not authentic and self._auth:
                return Permanent("not_authentic", "a time report that is not signed")
            self._synchronise(message.boots, message.time)
            return Again()
        reason, detail = _REPORTS.get(counter, ("report", f"report {'.'.join(map(str, name))}"))
        return SnmpFault(reason, detail)

    def _check_time(self, message: V3) -> None:
        now = self._time + int(self._clock.monotonic() - self._seen_at)
        old = message.boots < self._boots or (message.boots == self._boots and message.time < now - TIME_WINDOW_S)
        if old:
            raise Permanent("replayed", "an answer from before the time window")
        if (message.boots, message.time) > (self._boots, self._time):
            self._synchronise(message.boots, message.time)

    def _synchronise(self, boots: int, time: int) -> None:
        self._boots, self._time, self._seen_at = boots, time, self._clock.monotonic()

    def _learn(self, engine_id: bytes, boots: int, time: int) -> None:
        self._synchronise(boots, time)
        if engine_id == self._engine:
            return
        self._engine = engine_id
        if self._auth:
            self._auth_key = localised(self._auth, self._secrets[0], engine_id)
        if self._priv:
            self._cipher, self._priv_key = _privacy(self._auth, self._priv, self._secrets[1], engine_id)

    def _digest(self, whole: bytes) -> bytes:
        return hmac.new(self._auth_key, whole, _hash(self._auth)).digest()[: AUTH[self._auth]]


def build(credential: SnmpCredential, clock: Clock) -> Security:
    """The security of one device. Raises SnmpFault naming everything that is wrong with the credential."""
    if wrong := problems(credential):
        raise SnmpFault("credential", "; ".join(wrong))
    if credential.version is SnmpVersion.V3:
        return Usm(credential, clock)
    return Community(0 if credential.version is SnmpVersion.V1 else 1, credential.community)


def problems(credential: SnmpCredential) -> list[str]:
    """What is wrong with a credential, without showing any of it."""
    if credential.version is not SnmpVersion.V3:
        return [] if credential.community else ["community: is needed for versions 1 and 2c"]
    found = []
    auth, priv = normal(credential.auth_protocol), normal(credential.priv_protocol)
    if not credential.user or len(credential.user.encode()) > 32:
        found.append("user: a name of 1 to 32 bytes is needed")
    if auth and auth not in AUTH:
        found.append(f"auth_protocol: none of {', '.join(AUTH)}")
    if priv and priv not in PRIV:
        found.append(f"priv_protocol: none of {', '.join(PRIV)}")
    if bool(credential.auth_key) != bool(auth):
        found.append("auth_protocol and auth_key go together")
    if bool(credential.priv_key) != bool(priv):
        found.append("priv_protocol and priv_key go together")
    if credential.priv_key and not credential.auth_key:
        found.append("priv_key: privacy needs authentication (RFC 3414)")
    for name, key in (("auth_key", credential.auth_key), ("priv_key", credential.priv_key)):
        if key and len(key.encode()) < MIN_PASSPHRASE:
            found.append(f"{name}: at least {MIN_PASSPHRASE} bytes (RFC 3414 section 11.2)")
    return found


def normal(protocol: str) -> str:
    """``sha-256`` as ``SHA256``, ``AES-128`` as ``AES``."""
    name = protocol.upper().replace("-", "").replace("_", "")
    return "" if name in ("", "NONE") else ALIASES.get(name, name)


def _hash(auth: str) -> Callable[..., Any]:
    return {"SHA": hashlib.sha1, "MD5": hashlib.md5}.get(auth) or getattr(hashlib, auth.lower())


@functools.lru_cache(maxsize=64)
def _hashed(auth: str, passphrase: str) -> Any:
    """RFC 3414 A.2: a megabyte of passphrase through the hash, 10 ms; one credential serves many devices."""
    from pysnmp.proto.secmod.rfc3414 import localkey

    return localkey.hash_passphrase(passphrase.encode(), _hash(auth))


def localised(auth: str, passphrase: str, engine_id: bytes) -> bytes:
    """The key of this passphrase at this engine."""
    from pysnmp.proto.secmod.rfc3414 import localkey

    return bytes(localkey.localize_key(_hashed(auth, passphrase), _octets()(engine_id), _hash(auth)))


def _privacy(auth: str, priv: str, passphrase: str, engine_id: bytes) -> tuple[Any, Any]:
    from pysnmp.proto.secmod.eso.priv import aes192, aes256, des3
    from pysnmp.proto.secmod.rfc3414.auth import hmacmd5, hmacsha
    from pysnmp.proto.secmod.rfc3414.priv import des
    from pysnmp.proto.secmod.rfc3826.priv import aes
    from pysnmp.proto.secmod.rfc7860.auth.hmacsha2 import HmacSha2

    ids = {
        "MD5": hmacmd5.HmacMd5.SERVICE_ID,
        "SHA": hmacsha.HmacSha.SERVICE_ID,
        "SHA224": HmacSha2.SHA224_SERVICE_ID,
        "SHA256": HmacSha2.SHA256_SERVICE_ID,
        "SHA384": HmacSha2.SAH384_SERVICE_ID,
        "SHA512": HmacSha2.SHA512_SERVICE_ID,
    }
    ciphers = {
        "DES": des.Des,
        "3DES": des3.Des3,
        "AES": aes.Aes,
        "AES192": aes192.AesBlumenthal192,
        "AES256": aes256.AesBlumenthal256,
        "AES192C": aes192.Aes192,
        "AES256C": aes256.Aes256,
    }
    cipher = ciphers[priv]()
    return cipher, cipher.localize_key(ids[auth], _hashed(auth, passphrase), _octets()(engine_id))


def _octets() -> Callable[[bytes], Any]:
    from pyasn1.type.univ import OctetString

    return OctetString  # type: ignore[no-any-return]
