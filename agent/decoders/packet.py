"""Packet headers: bytes of a frame to what a flow record needs. Pure, and the hot path of the packets input.

Ethernet II with any VLAN tags (802.1Q, 802.1ad), IPv4 (RFC 791), IPv6 (RFC 8200) with its whole chain of extension
headers, and the ports of TCP, UDP, SCTP, DCCP and UDP-Lite. An ICMP type and code stand where a destination port would
(``type * 256 + code``), as NetFlow and IPFIX exporters do. A frame that the capture cut short is no fault: what is
known is given, the rest is 0. Plain indexing beats ``struct`` for the few bytes that are read here.
"""

from __future__ import annotations

import msgspec

from telemetry.errors import Permanent

IPV4, IPV6 = 0x0800, 0x86DD
TAGS = frozenset({0x8100, 0x88A8, 0x9100, 0x9200})
TCP, UDP, ICMP, ICMPV6, FRAGMENT, AUTHENTICATION = 6, 17, 1, 58, 44, 51
PORTS = frozenset({TCP, UDP, 33, 132, 136})
OPTIONS = frozenset({0, 43, 60, 135, 139, 140})
"""Extension headers of the common form (next header, length in 8 octets): RFC 8200, 6275, 7401, 5533."""
EXTENSIONS = OPTIONS | {FRAGMENT, AUTHENTICATION}


class Header(msgspec.Struct, frozen=True, gc=False):
    """One IP packet. ``size`` counts from the IP header on; ports, flags, label are 0 where there are none."""

    version: int
    source: bytes
    destination: bytes
    protocol: int
    source_port: int
    destination_port: int
    vlan: int
    size: int
    tcp_flags: int
    dscp: int
    label: int


def decode(frame: bytes, length: int, vlan: int = 0) -> Header | None:
    """One Ethernet frame; None where it holds no IP. Raises Permanent where it is malformed.

    ``length`` is the frame's length on the wire, ``frame`` what was captured of it; ``vlan`` is the outermost tag where
    the kernel has already taken it off.
    """
    if len(frame) < 14:
        raise Permanent("short_frame", f"{len(frame)} bytes")
    return decode_tagged(frame[12] << 8 | frame[13], frame, 14, length, vlan)


def decode_tagged(kind: int, frame: bytes, at: int, length: int, vlan: int = 0) -> Header | None:
    """What an ethertype says is at ``at``, behind any VLAN tags. Raises Permanent where it is malformed."""
    while kind in TAGS:
        if len(frame) < at + 4:
            raise Permanent("short_tag", f"{len(frame)} bytes")
        vlan = vlan or (frame[at] << 8 | frame[at + 1]) & 0x0FFF
        kind, at = frame[at + 2] << 8 | frame[at + 3], at + 4
    return decode_network(kind, frame, at, length, vlan)


def decode_network(kind: int, frame: bytes, at: int, length: int, vlan: int = 0) -> Header | None:
    """What an ethertype says is at ``at``; None where that is not IP. Raises Permanent where it is malformed."""
    if kind == IPV6:
        return _ipv6(frame, at, length, vlan)
    if kind == IPV4:
        return _ipv4(frame, at, length, vlan)
    return None


def _ipv4(frame: bytes, at: int, length: int, vlan: int) -> Header:
    if len(frame) < at + 20:
        raise Permanent("short_ipv4", f"{len(frame) - at} bytes")
    words = frame[at] & 0x0F
    if frame[at] >> 4 != 4 or words < 5:
        raise Permanent("bad_ipv4", f"version and header length {frame[at]:#04x}")
    total = frame[at + 2] << 8 | frame[at + 3]
    # 0 is a segment that the network card will cut (TSO); more than there is was never on this wire
    if total and (total < words * 4 or total > length - at):
        raise Permanent("bad_ipv4", f"total length {total}, {length - at} bytes there")
    total = total or length - at
    protocol, fragment = frame[at + 9], (frame[at + 6] << 8 | frame[at + 7]) & 0x3FFF
    source_port = destination_port = flags = 0
    if not fragment & 0x1FFF:
        cursor = at + words * 4
        if protocol == AUTHENTICATION and cursor + 2 <= min(len(frame), at + total):
            protocol, cursor = frame[cursor], cursor + (frame[cursor + 1] + 2) * 4
        source_port, destination_port, flags = _transport(frame, cursor, protocol, at + total, bool(fragment))
    return Header(
        4, frame[at + 12 : at + 16], frame[at + 16 : at + 20], protocol, source_port, destination_port,
        vlan, total, flags, frame[at + 1] >> 2, 0,
    )  # fmt: skip


def _ipv6(frame: bytes, at: int, length: int, vlan: int) -> Header:
    if len(frame) < at + 40:
        raise Permanent("short_ipv6", f"{len(frame) - at} bytes")
    if frame[at] >> 4 != 6:
        raise Permanent("bad_ipv6", f"version {frame[at] >> 4}")
    payload = frame[at + 4] << 8 | frame[at + 5]
    if payload > length - at - 40:
        raise Permanent("bad_ipv6", f"payload length {payload}, {length - at - 40} bytes there")
    # 0 is a jumbogram or a segment that the network card will cut
    total = payload + 40 if payload else length - at
    protocol, fragment, cursor, end = frame[at + 6], 0, at + 40, at + total
    while protocol in EXTENSIONS and not fragment & 0xFFF8:
        if cursor + 8 > end:
            raise Permanent("bad_chain", f"extension header {protocol} past the end of the packet")
        if cursor + 8 > len(frame):
            break
        following = frame[cursor]
        if protocol == FRAGMENT:
            fragment, step = frame[cursor + 2] << 8 | frame[cursor + 3], 8
        elif protocol == AUTHENTICATION:
            step = (frame[cursor + 1] + 2) * 4
        else:
            step = (frame[cursor + 1] + 1) * 8
        protocol, cursor = following, cursor + step
    source_port = destination_port = flags = 0
    if protocol not in EXTENSIONS and not fragment & 0xFFF8:
        source_port, destination_port, flags = _transport(frame, cursor, protocol, end, bool(fragment & 1))
    return Header(
        6, frame[at + 8 : at + 24], frame[at + 24 : at + 40], protocol, source_port, destination_port,
        vlan, total, flags, (frame[at] & 0x0F) << 2 | frame[at + 1] >> 6,
        (frame[at + 1] & 0x0F) << 16 | frame[at + 2] << 8 | frame[at + 3],
    )  # fmt: skip


def _transport(frame: bytes, at: int, protocol: int, end: int, fragment: bool) -> tuple[int, int, int]:
    """Source port, destination port, TCP flags; zeros where the capture, or a tiny first fragment, ends before them."""
    if protocol in PORTS:
        if at + (14 if protocol == TCP else 4) <= end:
            if at + 4 > len(frame):
                return 0, 0, 0
            flags = frame[at + 13] if protocol == TCP and at + 14 <= len(frame) else 0
            return frame[at] << 8 | frame[at + 1], frame[at + 2] << 8 | frame[at + 3], flags
    elif protocol in (ICMP, ICMPV6):
        if at + 2 <= end:
            return 0, frame[at] << 8 | frame[at + 1] if at + 2 <= len(frame) else 0, 0
    else:
        return 0, 0, 0
    if fragment:
        return 0, 0, 0
    raise Permanent("short_transport", f"protocol {protocol}, {end - at} bytes")


def joined(frame: bytes, length: int, header: Header, segment: int, transport: int) -> tuple[int, int]:
    """Packets on the wire, and bytes of IP and transport headers that are not in the one large packet seen.

    ``segment`` is the payload of each; ``transport`` is where the transport header is in ``frame`` (GSO, GRO).
    """
    if header.protocol == TCP and transport + 13 <= len(frame):
        payload = transport + (frame[transport + 12] >> 4) * 4
    elif header.protocol == UDP:
        payload = transport + 8
    else:
        return 1, 0
    packets = max(-(-(length - payload) // segment), 1)
    return packets, (packets - 1) * max(payload - (length - header.size), 0)
