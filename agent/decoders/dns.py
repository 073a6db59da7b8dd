"""DNS messages (RFC 1035): a UDP payload to its question, its code and its address answers. Pure.

Written for every packet of port 53: what is not looked at is not decoded. A compression pointer may only point back to
before the name that it stands in, so no name goes round in circles. A message that is cut gives what there is.
"""

from __future__ import annotations

import struct

import msgspec

from agent.decoders import addresses
from telemetry.errors import Permanent

A, CNAME, AAAA = 1, 5, 28
INTERNET = 1
TYPES = {1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 10: "NULL", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV",
         35: "NAPTR", 43: "DS", 46: "RRSIG", 48: "DNSKEY", 52: "TLSA", 64: "SVCB", 65: "HTTPS", 255: "ANY"}  # fmt: skip
CODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED")
MAX_NAME, MAX_LABELS, MAX_ANSWERS, MAX_RECORDS = 255, 128, 16, 64
LETTERS = [chr(octet) if 0x21 <= octet <= 0x7E and octet not in b".\\" else f"\\{octet:03d}" for octet in range(256)]
_HEAD = struct.Struct(">HHHHHH")
_RECORD = struct.Struct(">HHIH")


class Message(msgspec.Struct, frozen=True, gc=False):
    """``name`` is lower case without the last dot; bytes that are no printable ASCII stand as ``\\ddd``."""

    id: int
    response: bool
    code: str
    name: str
    octets: bytes
    """The name as it was on the wire, its labels with dots between them, in lower case."""
    type: str
    answers: tuple[str, ...]
    """Addresses and aliases, in order, at most MAX_ANSWERS."""
    ttl: int
    """The smallest of those answers; -1 without one."""


def decode(payload: bytes) -> Message:
    """Raises Permanent where it is no message with one question, or malformed."""
    if len(payload) < 17:
        raise Permanent("short_dns", f"{len(payload)} bytes")
    number, flags, questions, records, _, _ = _HEAD.unpack_from(payload)
    if questions != 1 or flags & 0x7800:
        raise Permanent("other_dns", f"{questions} questions, operation {flags >> 11 & 15}")
    labels, at = read_labels(payload, 12)
    if at + 4 > len(payload):
        raise Permanent("short_dns", "it ends in the question")
    kind = payload[at] << 8 | payload[at + 1]
    answers: tuple[str, ...] = ()
    ttl = -1
    if flags & 0x8000 and records:
        answers, ttl = _answers(payload, at + 4, min(records, MAX_RECORDS))
    code = flags & 15
    return Message(
        number, bool(flags & 0x8000), CODES[code] if code < len(CODES) else f"RCODE{code}", _text(labels),
        b".".join(labels).lower(),
        TYPES.get(kind, f"TYPE{kind}"), answers, ttl,
    )  # fmt: skip


def read_labels(data: bytes, at: int) -> tuple[list[bytes], int]:
    """The labels of the name at ``at``, and where it ends. Raises Permanent where it is none."""
    labels: list[bytes] = []
    size, end, limit = 0, 0, at
    while True:
        if at >= len(data):
            raise Permanent("bad_name", "it ends in a name")
        length = data[at]
        if length >= 0xC0:
            if at + 1 >= len(data):
                raise Permanent("bad_name", "it ends in a pointer")
            end = end or at + 2
            at = (length & 0x3F) << 8 | data[at + 1]
            if at >= limit:
                raise Permanent("bad_name", "a pointer that does not point back")
            limit = at
            continue
        if length >= 0x40:
            raise Permanent("bad_name", f"label of type {length >> 6}")
        if not length:
            break
        size += length + 1
        if size > MAX_NAME or len(labels) >= MAX_LABELS or at + 1 + length > len(data):
            raise Permanent("bad_name", f"{size} bytes, {len(labels)} labels")
        labels.append(data[at + 1 : at + 1 + length])
        at += 1 + length
    return labels, end or at + 1


def _text(labels: list[bytes]) -> str:
    joined = b".".join(labels).lower()
    if (
        joined.isascii()
        and b"\\" not in joined
        and b" " not in joined
        and joined.count(b".") == max(len(labels) - 1, 0)
    ):
        text = joined.decode("ascii")
        if text.isprintable():
            return text
    return ".".join("".join(map(LETTERS.__getitem__, label.lower())) for label in labels)


def _answers(data: bytes, at: int, records: int) -> tuple[tuple[str, ...], int]:
    found: list[str] = []
    ttl = -1
    for _ in range(records):
        at = _after_name(data, at)
        if at + 10 > len(data):
            break
        kind, family, lifetime, length = _RECORD.unpack_from(data, at)
        at += 10
        if at + length > len(data):
            break
        if family != INTERNET:
            kind = 0
        if (kind, length) in ((A, 4), (AAAA, 16)):
            found.append(addresses.text(data[at : at + length]))
        elif kind == CNAME:
            found.append(_text(read_labels(data, at)[0]))
        else:
            at += length
            continue
        ttl = lifetime if ttl < 0 else min(ttl, lifetime)
        at += length
        if len(found) == MAX_ANSWERS:
            break
    return tuple(found), ttl


def _after_name(data: bytes, at: int) -> int:
    """Where the name at ``at`` ends, without reading it; the end of the data where it is cut."""
    while at < len(data):
        length = data[at]
        if length >= 0xC0:
            return at + 2
        if not length:
            return at + 1
        at += 1 + length
    return at
