"""Where the headers of a frame end and what people say to each other begins. Pure.

Kept as headers: the link, any VLAN tags, IP with its extension headers, TCP with its options, UDP, SCTP's common
header; ARP and neighbour discovery whole, for they carry nothing else; of an ICMP error the headers of the packet that
it is about. Of what is not understood only the link is kept: when in doubt, it is payload.
"""

from __future__ import annotations

from agent.decoders import links
from agent.decoders.packet import (
    AUTHENTICATION,
    EXTENSIONS,
    FRAGMENT,
    ICMP,
    ICMPV6,
    IPV4,
    IPV6,
    TAGS,
    TCP,
)

ARP = 0x0806
ARP_SIZE = 28
TRANSPORT = {17: 8, 136: 8, 132: 12, 33: 12}
"""UDP, UDP-Lite, SCTP, DCCP."""
NDP = range(133, 138)
ERRORS = {ICMP: frozenset({3, 4, 5, 11, 12}), ICMPV6: frozenset({1, 2, 3, 4})}
ECHO = 8
PORTS = 4
"""Of the transport header in an ICMP error: more than the ports may already be payload."""


def headers(link: int, frame: bytes) -> int:
    """How many bytes of the frame are headers; never more than it has. Any bytes may come."""
    if link == links.ETHERNET:
        at, kind = 14, int.from_bytes(frame[12:14], "big")
    elif link in links.RAW:
        at, kind = 0, {4: IPV4, 6: IPV6}.get(frame[0] >> 4, 0) if frame else 0
    else:
        return 0
    while kind in TAGS:
        kind, at = int.from_bytes(frame[at + 2 : at + 4], "big"), at + 4
    return min(_network(kind, frame, at, False), len(frame))


def _network(kind: int, frame: bytes, at: int, quoted: bool) -> int:
    if kind == ARP:
        return at + ARP_SIZE
    if kind == IPV4 and len(frame) >= at + 20:
        protocol, end = frame[at + 9], at + max((frame[at] & 15) * 4, 20)
        later = (frame[at + 6] << 8 | frame[at + 7]) & 0x1FFF
        return end if later else _chain(protocol, frame, end, quoted)
    if kind == IPV6 and len(frame) >= at + 40:
        return _chain(frame[at + 6], frame, at + 40, quoted)
    return at


def _chain(protocol: int, frame: bytes, end: int, quoted: bool) -> int:
    while protocol in EXTENSIONS and len(frame) >= end + 8:
        following, later = frame[end], False
        if protocol == FRAGMENT:
            later, step = bool((frame[end + 2] << 8 | frame[end + 3]) & 0xFFF8), 8
        elif protocol == AUTHENTICATION:
            step = (frame[end + 1] + 2) * 4
        else:
            step = (frame[end + 1] + 1) * 8
        protocol, end = following, end + step
        if later:
            return end
    return end if protocol in EXTENSIONS else _transport(protocol, frame, end, quoted)


def _transport(protocol: int, frame: bytes, at: int, quoted: bool) -> int:
    if protocol == TCP:
        if quoted:
            return at + PORTS
        return at + max(frame[at + 12] >> 4, 5) * 4 if len(frame) > at + 12 else at + 20
    if protocol in TRANSPORT:
        return at + TRANSPORT[protocol]
    if protocol in ERRORS and len(frame) > at:
        if protocol == ICMPV6 and frame[at] in NDP:
            return len(frame)
        if frame[at] in ERRORS[protocol] and not quoted:
            return _network(IPV6 if protocol == ICMPV6 else IPV4, frame, at + ECHO, True)
        return at + ECHO
    return at
