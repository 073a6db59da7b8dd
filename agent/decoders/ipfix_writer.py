"""Flow records to IPFIX messages (RFC 7011), for any collector. Needs numpy (the extra ``fast``). Pure.

One template for each IP version, and two more for records of both directions (RFC 5103: the reverse elements are those
of enterprise 29305). How packets were sampled is told in an options record, by the elements of RFC 5477 that collectors
scale by; so the counts in the records are those that were seen. A rest record has unspecified addresses and no ports.
Of a tunnel the inner addresses are told: there is no element for the outer ones that collectors agree on.

Messages are made by the thousand: all of one size are rows of one array.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from agent.decoders.columns_network import KEY
from agent.decoders.flow_table import Records, Side

VERSION, TEMPLATES, OPTIONS = 10, 2, 3
REVERSE = 29305
MESSAGE, SET = 16, 4
ROOM = 1232
"""Bytes of a message: an IPv6 packet of the smallest MTU (1280) holds it."""
MILLISECOND = 1_000_000
SAMPLING = 300
INGRESS, EGRESS = 0, 1
Field = tuple[str, int, str]
"""Name here, number of the information element, form in the record."""
COUNTED: tuple[Field, ...] = (
    ("start", 152, ">u8"), ("end", 153, ">u8"), ("bytes", 1, ">u8"), ("packets", 2, ">u8"), ("flags", 6, "u1"),
)  # fmt: skip
ENDS: tuple[Field, ...] = (
    ("source_port", 7, ">u2"), ("destination_port", 11, ">u2"), ("protocol", 4, "u1"), ("class", 5, "u1"),
    ("vlan", 58, ">u2"), ("interface", 10, ">u4"), ("direction", 61, "u1"),
)  # fmt: skip
FOUR: tuple[Field, ...] = (("source", 8, "V4"), ("destination", 12, "V4"), *ENDS, ("icmp", 32, ">u2"))
SIX: tuple[Field, ...] = (
    ("source", 27, "V16"), ("destination", 28, "V16"), *ENDS, ("icmp", 139, ">u2"), ("label", 31, ">u4"),
)  # fmt: skip
FIELDS: dict[tuple[int, bool], tuple[Field, ...]] = {
    (4, False): FOUR + COUNTED, (6, False): SIX + COUNTED, (4, True): FOUR + COUNTED, (6, True): SIX + COUNTED,
}  # fmt: skip
IDENTIFIERS = {(4, False): 256, (6, False): 257, (4, True): 258, (6, True): 259}
BACK = tuple((f"back_{name}", number, form) for name, number, form in COUNTED)


class IpfixWriter:
    """Of one observation domain. ``egress`` is the code of the records' directions that means outward."""

    def __init__(self, domain: int = 0, sampling_rate: int = 1, egress: int = -1) -> None:
        self._domain, self._rate, self._egress = domain, sampling_rate, egress
        self._sequence = 0

    def templates(self, at_s: int) -> bytes:
        """To be sent before the first records, and over UDP again from time to time (RFC 7011, 8.1)."""
        described = b"".join(_template(kind) for kind in IDENTIFIERS)
        # scope: the observation domain; then random n out of N, as it is, as an interval, and in the deprecated way
        fields = ((149, 4), (304, 2), (309, 4), (310, 4), (305, 4), (306, 4), (34, 4), (35, 1))
        options = struct.pack("!HHH", SAMPLING, len(fields), 1) + b"".join(struct.pack("!HH", *f) for f in fields)
        values = struct.pack("!IHIIIIIB", self._domain, 3, 1, self._rate, 1, self._rate - 1, self._rate, 2)
        body = _set(TEMPLATES, described) + _set(OPTIONS, options) + _set(SAMPLING, values)
        head = struct.pack("!HHIII", VERSION, MESSAGE + len(body), at_s, self._sequence, self._domain)
        # an options record is a data record, and is counted
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        return head + body

    def messages(self, records: Records, at_s: int) -> Iterator[memoryview]:
        """The records in messages of at most ``ROOM`` bytes."""
        versions = records.keys.view(np.uint8)[:, 37]
        for version in (4, 6):
            which = np.flatnonzero(versions == version)
            if len(which):
                kind = (version, records.back is not None)
                yield from self._pack(IDENTIFIERS[kind], self._rows(records, which, kind), at_s)

    def _rows(self, records: Records, which: NDArray[np.int64], kind: tuple[int, bool]) -> NDArray[np.uint8]:
        form = _form(kind)
        made = np.zeros(len(which), form)
        keys = records.keys[which].view(KEY)[:, 0]
        address = form["source"]
        made["source"], made["destination"] = _start(keys["source"], address), _start(keys["destination"], address)
        for name in ("source_port", "destination_port", "protocol", "vlan"):
            made[name] = keys[name]
        is_icmp = (keys["protocol"] == 1) | (keys["protocol"] == 58)
        made["icmp"] = np.where(is_icmp, keys["destination_port"], 0)
        words = records.words[which].view(">u4").astype(np.uint32)
        if kind[0] == 6:
            made["class"], made["label"] = words >> 20 & 0xFF, words & 0xFFFFF
        else:
            made["class"] = words >> 16 & 0xFF
        made["interface"] = records.interfaces[which]
        made["direction"] = np.where(records.directions[which] == self._egress, EGRESS, INGRESS)
        _count(made, "", records.side, which)
        if records.back is not None:
            _count(made, "back_", records.back, which)
        return made.view(np.uint8).reshape(len(which), form.itemsize)

    def _pack(self, identifier: int, rows: NDArray[np.uint8], at_s: int) -> Iterator[memoryview]:
        each = (ROOM - MESSAGE - SET) // rows.shape[1]
        whole = len(rows) // each
        for first, last, count in ((0, whole * each, each), (whole * each, len(rows), len(rows) - whole * each)):
            if last > first:
                yield from self._alike(identifier, rows[first:last].reshape(-1, count * rows.shape[1]), count, at_s)

    def _alike(self, identifier: int, bodies: NDArray[np.uint8], count: int, at_s: int) -> Iterator[memoryview]:
        """Messages that differ only in their records and sequence numbers."""
        size = bodies.shape[1]
        made = np.empty((len(bodies), MESSAGE + SET + size), np.uint8)
        head = struct.pack("!HHIIIHH", VERSION, made.shape[1], at_s, 0, self._domain, identifier, SET + size)
        made[:, : MESSAGE + SET] = np.frombuffer(head, np.uint8)
        numbers = (self._sequence + count * np.arange(len(bodies), dtype=np.uint64)).astype(">u4")
        made[:, 8:12] = numbers.view(np.uint8).reshape(-1, 4)
        made[:, MESSAGE + SET :] = bodies
        self._sequence = (self._sequence + count * len(bodies)) & 0xFFFFFFFF
        return iter(memoryview(row) for row in made)


def _template(kind: tuple[int, bool]) -> bytes:
    fields = [(number, np.dtype(form).itemsize) for _, number, form in FIELDS[kind]]
    body = b"".join(struct.pack("!HH", *field) for field in fields)
    if kind[1]:
        sizes = [(number | 0x8000, np.dtype(form).itemsize) for _, number, form in BACK]
        body += b"".join(struct.pack("!HHI", *field, REVERSE) for field in sizes)
        fields += sizes
    return struct.pack("!HH", IDENTIFIERS[kind], len(fields)) + body


def _form(kind: tuple[int, bool]) -> np.dtype[np.void]:
    fields = FIELDS[kind] + (BACK if kind[1] else ())
    return np.dtype([(name, form) for name, _, form in fields])


def _set(identifier: int, body: bytes) -> bytes:
    return struct.pack("!HH", identifier, SET + len(body)) + body


def _start(addresses: NDArray[np.void], form: np.dtype[np.void]) -> NDArray[np.void]:
    """Addresses as long as ``form`` says."""
    parts = np.ascontiguousarray(addresses).view(np.uint8).reshape(-1, 16)[:, : form.itemsize]
    return np.ascontiguousarray(parts).view(form)[:, 0]


def _count(made: NDArray[np.void], before: str, side: Side, which: NDArray[np.int64]) -> None:
    packets = side.packets[which]
    made[f"{before}bytes"], made[f"{before}packets"] = side.bytes[which], packets
    made[f"{before}flags"] = side.flags[which]
    # a direction without a packet has no time
    some = packets != 0
    made[f"{before}start"] = np.where(some, side.first_ns[which], 0) // MILLISECOND
    made[f"{before}end"] = np.where(some, side.last_ns[which], 0) // MILLISECOND
