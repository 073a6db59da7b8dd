"""sFlow version 5 (sflow.org, 2004): datagrams to flow samples and interface counters. Pure.

Raw headers go through ``agent/decoders/packet.py``, as captured packets do. A sample or record of a kind that is not
read is stepped over by its length; one that is malformed is counted, and the rest of the datagram still is read.
"""

from __future__ import annotations

import struct

import msgspec

from agent.decoders import packet
from agent.decoders.packet import Header
from telemetry.errors import Permanent

FLOW, COUNTERS, EXPANDED_FLOW, EXPANDED_COUNTERS = 1, 2, 3, 4
RAW, ETHERNET, IPV4, IPV6, SWITCH, ROUTER = 1, 2, 3, 4, 1001, 1002
KINDS = {11: packet.IPV4, 12: packet.IPV6}
"""header_protocol of a raw header that begins with IP; 1 is Ethernet."""
MOST_RECORDS = 256
UNKNOWN_32, UNKNOWN_64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF
INTERFACE = struct.Struct(">IIQIIQIIIIIIQIIIIII")


class FlowSample(msgspec.Struct, frozen=True, gc=False):
    """One packet of ``rate``. ``next_hop`` is empty where no router said one; an interface of -1 is not known."""

    source: int
    rate: int
    pool: int
    drops: int
    sequence: int
    ingress: int
    egress: int
    header: Header
    next_hop: bytes = b""


class InterfaceCounters(msgspec.Struct, frozen=True, gc=False):
    """Generic interface counters; -1 is what the agent does not count."""

    index: int
    type: int
    speed: int
    admin_up: bool
    oper_up: bool
    in_octets: int
    in_discards: int
    in_errors: int
    out_octets: int
    out_discards: int
    out_errors: int


class Datagram(msgspec.Struct, frozen=True):
    """``other``: samples that are no IP, or of a kind that is not read, by what they are."""

    agent: bytes
    sub_agent: int
    sequence: int
    uptime_ms: int
    flows: list[FlowSample]
    counters: list[InterfaceCounters]
    malformed: list[str]
    other: list[str]


class _Reader:
    """XDR (RFC 4506): everything in multiples of four bytes. Raises Permanent at the end."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data, self.at, self.end = data, at, end

    def word(self) -> int:
        at = self.at
        if at + 4 > self.end:
            raise Permanent("short_sample", f"at {at} of {self.end}")
        self.at = at + 4
        return int.from_bytes(self.data[at : at + 4], "big")

    def take(self, size: int) -> bytes:
        at = self.at
        if at + size > self.end:
            raise Permanent("short_sample", f"{size} bytes at {at} of {self.end}")
        self.at = at + (size + 3 & ~3)
        return self.data[at : at + size]

    def part(self) -> _Reader:
        """What has its length before it."""
        size = self.word()
        if self.at + size > self.end:
            raise Permanent("bad_length", f"{size} bytes at {self.at} of {self.end}")
        made = _Reader(self.data, self.at, self.at + size)
        self.at += size + 3 & ~3
        return made

    def address(self) -> bytes:
        kind = self.word()
        if kind not in (0, 1, 2):
            raise Permanent("bad_address", f"type {kind}")
        return self.take((0, 4, 16)[kind])


def decode(data: bytes) -> Datagram:
    """Raises Permanent where nothing of it can be read."""
    reader = _Reader(data, 0, len(data))
    version = reader.word()
    if version != 5:
        raise Permanent("bad_version", str(version))
    made = Datagram(reader.address(), reader.word(), reader.word(), reader.word(), [], [], [], [])
    for _ in range(min(reader.word(), MOST_RECORDS)):
        try:
            kind, sample = reader.word(), reader.part()
        except Permanent as error:
            made.malformed.append(error.reason)
            break
        try:
            if kind in (FLOW, EXPANDED_FLOW):
                _flow(sample, kind == EXPANDED_FLOW, made)
            elif kind in (COUNTERS, EXPANDED_COUNTERS):
                _counters(sample, kind == EXPANDED_COUNTERS, made)
            else:
                made.other.append("sample_kind")
        except Permanent as error:
            made.malformed.append(error.reason)
    return made


def _flow(sample: _Reader, expanded: bool, made: Datagram) -> None:
    sequence, source = sample.word(), _source(sample, expanded)
    rate, pool, drops = sample.word(), sample.word(), sample.word()
    ingress, egress = _interface(sample, expanded), _interface(sample, expanded)
    header: Header | None = None
    next_hop, vlan = b"", 0
    rough: Header | None = None
    for _ in range(min(sample.word(), MOST_RECORDS)):
        kind, record = sample.word(), sample.part()
        if kind == RAW:
            header = _raw(record)
        elif kind == IPV4:
            rough = _sampled(record, 4)
        elif kind == IPV6:
            rough = _sampled(record, 6)
        elif kind == SWITCH:
            vlan = record.word() & 0xFFF
        elif kind == ROUTER:
            next_hop = record.address()
    found = header or rough
    if found is None:
        made.other.append("not_ip")
        return
    if vlan and not found.vlan:
        found = msgspec.structs.replace(found, vlan=vlan)
    made.flows.append(
        FlowSample(source, max(rate, 1), pool, drops, sequence, ingress, egress, found, next_hop)
    )  # fmt: skip


def _source(sample: _Reader, expanded: bool) -> int:
    """The index alone: what it is of (an interface, a VLAN, an entity) makes no difference here."""
    if expanded:
        sample.word()
        return sample.word()
    return sample.word() & 0xFFFFFF


def _interface(sample: _Reader, expanded: bool) -> int:
    """Format 0 is one interface; 1 a packet that was dropped, 2 several interfaces: none to be named."""
    if expanded:
        kind, value = sample.word(), sample.word()
    else:
        value = sample.word()
        kind, value = value >> 30, value & 0x3FFFFFFF
        if value == 0x3FFFFFFF and kind == 0:
            return 0  # this device itself
    return value if kind == 0 and value != UNKNOWN_32 else -1


def _raw(record: _Reader) -> Header | None:
    protocol, length = record.word(), record.word()
    record.word()  # bytes taken off the end, the frame check sequence for one: they are part of ``length``
    frame = record.take(record.word())
    if protocol == 1:
        return packet.decode(frame, length)
    if protocol in KINDS:
        return packet.decode_network(KINDS[protocol], frame, 0, length)
    return None


def _sampled(record: _Reader, version: int) -> Header:
    length, protocol = record.word(), record.word() & 0xFF
    size = 4 if version == 4 else 16
    source, destination = record.take(size), record.take(size)
    source_port, destination_port, flags, tos = (record.word() for _ in range(4))
    return Header(
        version, source, destination, protocol, source_port & 0xFFFF, destination_port & 0xFFFF, 0, length,
        flags & 0xFF, (tos & 0xFF) >> 2, 0,
    )  # fmt: skip


def _counters(sample: _Reader, expanded: bool, made: Datagram) -> None:
    sample.word()
    _source(sample, expanded)
    for _ in range(min(sample.word(), MOST_RECORDS)):
        kind, record = sample.word(), sample.part()
        if kind != 1:
            made.other.append("counter_kind")
            continue
        (
            index, type_, speed, _, status, in_octets, _, _, _, in_discards, in_errors, _, out_octets, _, _, _,
            out_discards, out_errors, _,
        ) = INTERFACE.unpack(record.take(INTERFACE.size))  # fmt: skip
        made.counters.append(
            InterfaceCounters(
                index, type_, speed, bool(status & 1), bool(status & 2), _known(in_octets), _known(in_discards),
                _known(in_errors), _known(out_octets), _known(out_discards), _known(out_errors),
            )
        )  # fmt: skip


def _known(value: int) -> int:
    return -1 if value in (UNKNOWN_32, UNKNOWN_64) else value
