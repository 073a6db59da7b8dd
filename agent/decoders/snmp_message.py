"""SNMP messages: bytes <-> PDU, for v1, v2c (RFC 3416) and the outer layers of v3 (RFC 3412, RFC 3414).

Pure: no keys, no sockets. ``agent/snmp_security.py`` signs and encrypts what stands here.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

import msgspec

from agent.decoders import ber
from agent.decoders.ber import Oid, Value, malformed

MAX_VARBINDS = 4096
USM = 3
MAX_MESSAGE = 65_507
"""What we say we can take: the largest UDP payload over IPv4."""


class Kind(enum.IntEnum):
    """PDU types by their tag."""

    GET = 0xA0
    GET_NEXT = 0xA1
    RESPONSE = 0xA2
    GET_BULK = 0xA5
    REPORT = 0xA8


class Pdu(msgspec.Struct, frozen=True):
    """One PDU. In a GET_BULK, ``error_status`` is non-repeaters and ``error_index`` max-repetitions (RFC 3416)."""

    kind: int
    request_id: int
    varbinds: tuple[tuple[Oid, Value], ...] = ()
    error_status: int = 0
    error_index: int = 0


class Flags(enum.IntFlag):
    """msgFlags of RFC 3412."""

    NONE = 0
    AUTH = 1
    PRIV = 2
    REPORTABLE = 4


class V3(msgspec.Struct, frozen=True):
    """A v3 message taken apart. ``digest_at`` is where the digest lies; ``scoped`` is a scoped PDU, maybe encrypted."""

    message_id: int
    flags: Flags
    engine_id: bytes
    boots: int
    time: int
    user: bytes
    digest: bytes
    digest_at: int
    salt: bytes
    scoped: bytes


def encode_pdu(pdu: Pdu) -> bytes:
    """A request: every value is NULL."""
    binds = b"".join(ber.element(ber.SEQUENCE, ber.encode_oid(name) + b"\x05\x00") for name, _ in pdu.varbinds)
    return ber.element(
        pdu.kind,
        ber.encode_integer(pdu.request_id)
        + ber.encode_integer(pdu.error_status)
        + ber.encode_integer(pdu.error_index)
        + ber.element(ber.SEQUENCE, binds),
    )


def decode_pdu(data: bytes, at: int = 0, end: int | None = None) -> Pdu:
    """Raises Permanent for anything but a response or a report."""
    end = len(data) if end is None else end
    kind, at, end = ber.header(data, at, end)
    if kind not in (Kind.RESPONSE, Kind.REPORT):
        raise malformed(f"PDU type 0x{kind:02x}")
    request_id, at = ber.integer(data, at, end)
    status, at = ber.integer(data, at, end)
    index, at = ber.integer(data, at, end)
    at, end = ber.expect(data, at, end, ber.SEQUENCE)
    binds: list[tuple[Oid, Value]] = []
    while at < end:
        start, stop = ber.expect(data, at, end, ber.SEQUENCE)
        name, name_end = ber.expect(data, start, stop, ber.OID)
        value, _ = ber.value(data, name_end, stop)
        binds.append((ber.oid(data, name, name_end), value))
        if len(binds) > MAX_VARBINDS:
            raise malformed("too many variable bindings")
        at = stop
    return Pdu(kind, request_id, tuple(binds), status, index)


def encode_community(version: int, community: bytes, pdu: Pdu) -> bytes:
    """A v1 (``version`` 0) or v2c (1) message."""
    body = ber.encode_integer(version) + ber.element(ber.OCTETS, community) + encode_pdu(pdu)
    return ber.element(ber.SEQUENCE, body)


def decode_community(data: bytes) -> Pdu:
    """The PDU of a v1 or v2c message. The community of an answer is not looked at: the request id is what matches."""
    at, end = ber.expect(data, 0, len(data), ber.SEQUENCE)
    version, at = ber.integer(data, at, end)
    if version not in (0, 1):
        raise malformed(f"version {version}")
    _, at = ber.octets(data, at, end)
    return decode_pdu(data, at, end)


def encode_v3(message: V3) -> tuple[bytes, int]:
    """The bytes and where the digest lies in them, so that it can be filled in after the whole is known."""
    header = ber.element(
        ber.SEQUENCE,
        ber.encode_integer(message.message_id)
        + ber.encode_integer(MAX_MESSAGE)
        + ber.element(ber.OCTETS, bytes((message.flags,)))
        + ber.encode_integer(USM),
    )
    before = (
        ber.element(ber.OCTETS, message.engine_id)
        + ber.encode_integer(message.boots)
        + ber.encode_integer(message.time)
        + ber.element(ber.OCTETS, message.user)
    )
    after = ber.element(ber.OCTETS, message.salt)
    security = ber.element(ber.SEQUENCE, before + ber.element(ber.OCTETS, message.digest) + after)
    parts: Sequence[bytes] = (ber.encode_integer(3), header, ber.element(ber.OCTETS, security), message.scoped)
    whole = ber.element(ber.SEQUENCE, b"".join(parts))
    digest_at = len(whole) - len(message.scoped) - len(after) - len(message.digest)
    return whole, digest_at


def decode_v3(data: bytes) -> V3:
    """Take a v3 message apart. Raises Permanent."""
    at, end = ber.expect(data, 0, len(data), ber.SEQUENCE)
    version, at = ber.integer(data, at, end)
    if version != 3:
        raise malformed(f"version {version}")
    start, stop = ber.expect(data, at, end, ber.SEQUENCE)
    message_id, start = ber.integer(data, start, stop)
    _, start = ber.integer(data, start, stop)
    flags, start = ber.octets(data, start, stop)
    model, _ = ber.integer(data, start, stop)
    if model != USM or len(flags) != 1:
        raise malformed(f"security model {model}")
    outer, outer_end = ber.expect(data, stop, end, ber.OCTETS)
    inner, inner_end = ber.expect(data, outer, outer_end, ber.SEQUENCE)
    engine_id, inner = ber.octets(data, inner, inner_end)
    boots, inner = ber.integer(data, inner, inner_end)
    time, inner = ber.integer(data, inner, inner_end)
    user, inner = ber.octets(data, inner, inner_end)
    digest, digest_end = ber.octets(data, inner, inner_end)
    salt, _ = ber.octets(data, digest_end, inner_end)
    return V3(
        message_id=message_id,
        flags=Flags(flags[0] & 7),
        engine_id=engine_id,
        boots=boots,
        time=time,
        user=user,
        digest=digest,
        digest_at=digest_end - len(digest),
        salt=salt,
        scoped=data[outer_end:end],
    )


def encode_scoped(engine_id: bytes, context: bytes, pdu: Pdu) -> bytes:
    body = ber.element(ber.OCTETS, engine_id) + ber.element(ber.OCTETS, context) + encode_pdu(pdu)
    return ber.element(ber.SEQUENCE, body)


def decode_scoped(data: bytes) -> Pdu:
    """The PDU within a plain scoped PDU; bytes after it (cipher padding) are ignored."""
    at, end = ber.expect(data, 0, len(data), ber.SEQUENCE)
    _, at = ber.octets(data, at, end)
    _, at = ber.octets(data, at, end)
    return decode_pdu(data, at, end)
