"""NetFlow v5 (Cisco), v9 (RFC 3954) and IPFIX (RFC 7011): a datagram to records, by the templates known so far. Pure.

A set that can not be read is counted in ``malformed``, and the rest of the datagram still is read: its length says
where the next one begins. A set whose template has not come is given back as it is, to be read when it has.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from agent.decoders.flow_templates import Field, Record, Template, Templates
from telemetry.errors import Permanent

HEADER5 = struct.Struct(">HHIIIIBBH")
HEADER9 = struct.Struct(">HHIIII")
HEADER10 = struct.Struct(">HHIII")
RECORD5 = struct.Struct(">4s4s4sHHIIIIHHxBBBHHBBxx")
NAMES5 = (
    "source4", "destination4", "next_hop", "ingress", "egress", "packets", "bytes", "start_uptime", "end_uptime",
    "source_port", "destination_port", "flags", "protocol", "tos", "source_as", "destination_as", "source_mask",
    "destination_mask",
)  # fmt: skip
MOST_RECORDS = 16_384
"""In one set: 65,535 bytes of records of four bytes; no exporter makes shorter ones."""


class Head(msgspec.Struct, frozen=True, gc=False):
    """Of one datagram: ``domain`` is the engine, source id or observation domain; ``uptime_ms`` is -1 in IPFIX."""

    version: int
    domain: int
    sequence: int
    export_ms: int
    uptime_ms: int
    sampling: int = 0
    """NetFlow v5 alone has it here; 0: not said."""


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """A set whose template is not known."""

    number: int
    data: bytes


class Datagram(msgspec.Struct, frozen=True):
    """``units``: by how many the next sequence number is higher; -1 where a set that waits keeps it unknown."""

    head: Head
    records: list[Record]
    options: list[Record]
    waiting: list[Waiting]
    malformed: list[str]
    units: int


def peek(data: bytes) -> Head:
    """The header. Raises Permanent where it is none of the three versions."""
    size = len(data)
    version = data[0] << 8 | data[1] if size >= 2 else 0
    if version == 5 and size >= 24:
        _, _, uptime, seconds, nanos, sequence, kind, engine, sampling = HEADER5.unpack_from(data)
        return Head(5, kind << 8 | engine, sequence, seconds * 1000 + nanos // 1_000_000, uptime, sampling & 0x3FFF)
    if version == 9 and size >= 20:
        _, _, uptime, seconds, sequence, source = HEADER9.unpack_from(data)
        return Head(9, source, sequence, seconds * 1000, uptime)
    if version == 10 and size >= 16:
        _, _, seconds, sequence, domain = HEADER10.unpack_from(data)
        return Head(10, domain, sequence, seconds * 1000, -1)
    if version in (5, 9, 10):
        raise Permanent("short_header", f"{size} bytes")
    raise Permanent("bad_version", str(version))


def decode(data: bytes, templates: Templates, withdrawable: bool = False) -> Datagram:
    """``withdrawable``: over TCP a template is withdrawn; over UDP anybody could, so it is refused (RFC 7011 8.4).

    Raises Permanent where nothing of it can be read.
    """
    head = peek(data)
    if head.version == 5:
        return _version5(data, head)
    made = Datagram(head, [], [], [], [], 0)
    ipfix = head.version == 10
    end = min(len(data), data[2] << 8 | data[3]) if ipfix else len(data)
    if ipfix and end < len(data):
        made.malformed.append("bad_length")
    elif ipfix and data[2] << 8 | data[3] > len(data):
        made.malformed.append("short_message")
    at, unknown = 16 if ipfix else 20, False
    while end - at >= 4:
        number, length = data[at] << 8 | data[at + 1], data[at + 2] << 8 | data[at + 3]
        if length < 4 or at + length > end:
            made.malformed.append("bad_set_length")
            unknown = True
            break
        body, at = data[at + 4 : at + length], at + length
        try:
            if number in (0, 2) if not ipfix else number == 2:
                _templates(body, templates, ipfix, withdrawable)
            elif number == (3 if ipfix else 1):
                _options_templates(body, templates, ipfix, withdrawable)
            elif number >= 256:
                template = templates.get(number)
                if template is None:
                    made.waiting.append(Waiting(number, body))
                    unknown = True
                else:
                    read_set(body, template, made)
            else:
                made.malformed.append("reserved_set")
        except Permanent as error:
            made.malformed.append(error.reason)
            unknown = number >= 256 or unknown
    units = 1 if not ipfix else -1 if unknown else len(made.records) + len(made.options)
    return msgspec.structs.replace(made, units=units)


def read_set(body: bytes, template: Template, made: Datagram) -> None:
    """The records of a set, into ``made``. Raises Permanent where they end in the middle of one."""
    into = made.options if template.scope else made.records
    for number, record in enumerate(template.records(body)):
        if number >= MOST_RECORDS:
            raise Permanent("too_many_records", f"{len(body)} bytes")
        into.append(record)


def _version5(data: bytes, head: Head) -> Datagram:
    count = data[2] << 8 | data[3]
    there = min(count, (len(data) - 24) // RECORD5.size)
    records = [dict(zip(NAMES5, row, strict=True)) for row in RECORD5.iter_unpack(data[24 : 24 + there * 48])]
    return Datagram(head, records, [], [], ["short_message"] if there < count else [], count)


def _templates(body: bytes, templates: Templates, ipfix: bool, withdrawable: bool) -> None:
    at = 0
    while len(body) - at >= 4:
        number, count = body[at] << 8 | body[at + 1], body[at + 2] << 8 | body[at + 3]
        at += 4
        if not count and ipfix:
            _withdraw(templates, number, withdrawable, options=False)
            continue
        if number < 256:
            if not number:
                return  # padding
            raise Permanent("bad_template", f"number {number}")
        fields, at = _fields(body, at, count, ipfix)
        templates.define(number, fields)


def _options_templates(body: bytes, templates: Templates, ipfix: bool, withdrawable: bool) -> None:
    at = 0
    while len(body) - at >= (4 if ipfix else 6):
        number, count = body[at] << 8 | body[at + 1], body[at + 2] << 8 | body[at + 3]
        if ipfix and not count:
            at += 4
            _withdraw(templates, number, withdrawable, options=True)
            continue
        if number < 256:
            if not number:
                return  # padding
            raise Permanent("bad_template", f"number {number}")
        if len(body) - at < 6:
            raise Permanent("bad_template", "ends in its header")
        second = body[at + 4] << 8 | body[at + 5]
        if ipfix:
            scope = second
        else:
            # lengths in bytes: of the scope's fields, and of the others (RFC 3954 6.1)
            scope, count = count // 4, count // 4 + second // 4
        if not 1 <= scope <= count:
            raise Permanent("bad_template", f"{scope} scope fields of {count}")
        fields, at = _fields(body, at + 6, count, ipfix)
        templates.define(number, fields, scope)


def _withdraw(templates: Templates, number: int, allowed: bool, options: bool) -> None:
    if not allowed:
        raise Permanent("withdrawal_over_udp", str(number))
    if number in (2, 3):
        templates.withdraw_all(options)
    else:
        templates.withdraw(number)


def _fields(body: bytes, at: int, count: int, ipfix: bool) -> tuple[tuple[Field, ...], int]:
    if not count or len(body) - at < count * 4:
        raise Permanent("bad_template", f"{count} fields in {len(body) - at} bytes")
    made = []
    for _ in range(count):
        if len(body) - at < 4:
            raise Permanent("bad_template", "ends in a field")
        element, length, enterprise = body[at] << 8 | body[at + 1], body[at + 2] << 8 | body[at + 3], 0
        at += 4
        if ipfix and element & 0x8000:
            if len(body) - at < 4:
                raise Permanent("bad_template", "ends in an enterprise number")
            element, enterprise, at = element & 0x7FFF, int.from_bytes(body[at : at + 4], "big"), at + 4
        elif not ipfix and length == 0xFFFF:
            raise Permanent("bad_template", "variable length in NetFlow v9")
        made.append(Field(element, length, enterprise))
    return tuple(made), at


def messages(buffer: bytearray) -> Iterator[bytes]:
    """Take the whole IPFIX messages out of the bytes of a TCP connection. Raises Permanent where they are none."""
    while len(buffer) >= 4:
        length = buffer[2] << 8 | buffer[3]
        if buffer[:2] != b"\x00\x0a" or length < 16:
            raise Permanent("bad_stream", bytes(buffer[:4]).hex())
        if len(buffer) < length:
            return
        made = bytes(buffer[:length])
        del buffer[:length]
        yield made
