"""rtnetlink: bytes of a dump to links, addresses, routes and neighbours. Pure.

Structures after linux/netlink.h, rtnetlink.h, if_link.h, if_addr.h and neighbour.h, in the machine's byte order. Only
what the host input shows is decoded; an attribute that a newer kernel adds is passed over.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator, Mapping

import msgspec

from agent.decoders import addresses
from telemetry.errors import Permanent

ERROR, DONE = 2, 3
NEW_LINK, NEW_ADDRESS, NEW_ROUTE, NEW_NEIGHBOR = 16, 20, 24, 28
GET_LINK, GET_ADDRESS, GET_ROUTE, GET_NEIGHBOR = 18, 22, 26, 30
DUMP_INTERRUPTED = 0x10
TABLE_MAIN = 254

_HEAD, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=HH")
_LINK, _ADDRESS, _ROUTE = struct.Struct("=BxHiII"), struct.Struct("=BBBBI"), struct.Struct("=BBBBBBBBI")
_NEIGHBOR, _NEXT_HOP = struct.Struct("=BxxxiHBB"), struct.Struct("=HBBi")
_U32, _I32 = struct.Struct("=I"), struct.Struct("=i")
_STATS64 = struct.Struct("=8Q")
Attributes = Mapping[int, bytes]


class Counters(msgspec.Struct, frozen=True, gc=False):
    """The first eight of ``struct rtnl_link_stats64``."""

    in_packets: int = 0
    out_packets: int = 0
    in_octets: int = 0
    out_octets: int = 0
    in_errors: int = 0
    out_errors: int = 0
    in_discards: int = 0
    out_discards: int = 0


class Link(msgspec.Struct, frozen=True):
    """One interface. ``lower`` is the interface it stands on (VLAN, macvlan), 0 where that is none of this host's."""

    index: int
    name: str
    hardware: int
    kind: str
    mac: str
    mtu: int
    up: bool
    operational: int
    master: int
    lower: int
    alias: str
    counters: Counters


class Address(msgspec.Struct, frozen=True):
    """One address of an interface. Lifetimes in seconds, 0xFFFFFFFF is for ever; ``protocol`` is IFA_PROTO."""

    index: int
    ip: str
    prefix_length: int
    flags: int
    protocol: int
    valid: int


class Route(msgspec.Struct, frozen=True):
    """One next hop of one route; a multipath route is several."""

    prefix: str
    next_hop: str
    index: int
    protocol: int
    metric: int
    table: int
    type: int


class Neighbor(msgspec.Struct, frozen=True):
    """One entry of the ARP or ND cache. ``state`` is NUD_*, ``flags`` NTF_*."""

    index: int
    ip: str
    mac: str
    state: int
    flags: int


class Message(msgspec.Struct, frozen=True):
    """One netlink message, its body not yet looked at."""

    type: int
    flags: int
    sequence: int
    body: bytes


def messages(data: bytes) -> Iterator[Message]:
    """The messages of one datagram. Raises Permanent where the lengths do not add up."""
    at = 0
    while at < len(data):
        if len(data) - at < _HEAD.size:
            raise Permanent("short_netlink", f"{len(data) - at} bytes left")
        length, kind, flags, sequence, _ = _HEAD.unpack_from(data, at)
        if length < _HEAD.size or length > len(data) - at:
            raise Permanent("short_netlink", f"message of {length} bytes, {len(data) - at} left")
        yield Message(kind, flags, sequence, data[at + _HEAD.size : at + length])
        at += (length + 3) & ~3


def error(message: Message) -> int:
    """The errno (positive) of an NLMSG_ERROR; 0 is an acknowledgement."""
    if len(message.body) < 4:
        raise Permanent("short_netlink", "error without a number")
    return -int(_I32.unpack_from(message.body)[0])


def link(body: bytes) -> Link:
    _, hardware, index, flags, _ = _fixed(_LINK, body)
    found = _attributes(body, _LINK.size)
    info = _attributes(found.get(18, b""), 0)
    here = 37 not in found  # IFLA_LINK_NETNSID: the lower interface is in another namespace
    kind = _text(info, 1)
    return Link(
        index=index,
        name=_text(found, 3),
        hardware=hardware,
        kind=kind,
        mac=addresses.mac(found.get(1, b"")),
        mtu=_u32(found, 4),
        up=bool(flags & 1),
        operational=found[16][0] if found.get(16) else 0,
        master=_u32(found, 10),
        lower=_u32(found, 5) if here and kind != "veth" else 0,
        alias=_text(found, 20),
        counters=_counters(found.get(23, b"")),
    )


def address(body: bytes) -> Address:
    family, prefix_length, flags, _, index = _fixed(_ADDRESS, body)
    found = _attributes(body, _ADDRESS.size)
    # on a point-to-point link IFA_ADDRESS is the peer and IFA_LOCAL the own address
    own = found.get(2) or found.get(1, b"")
    return Address(
        index=index,
        ip=_ip(family, own),
        prefix_length=prefix_length,
        flags=_u32(found, 8, flags),
        protocol=found[11][0] if found.get(11) else 0,
        valid=_U32.unpack_from(found[6], 4)[0] if len(found.get(6, b"")) >= 8 else 0xFFFFFFFF,
    )


def routes(body: bytes) -> list[Route]:
    family, length, _, _, table, protocol, _, kind, _ = _fixed(_ROUTE, body)
    found = _attributes(body, _ROUTE.size)
    prefix = _prefix(family, found.get(1, b""), length)
    metric, table = _u32(found, 6), _u32(found, 15, table)

    def hop(index: int, attributes: Attributes) -> Route:
        return Route(prefix, _gateway(family, attributes), index, protocol, metric, table, kind)

    if not found.get(9):
        return [hop(_u32(found, 4), found)]
    several, rest = [], found[9]
    while rest:
        size, _, _, index = _fixed(_NEXT_HOP, rest)
        if size < _NEXT_HOP.size or size > len(rest):
            raise Permanent("short_netlink", f"next hop of {size} bytes")
        several.append(hop(index, _attributes(rest[:size], _NEXT_HOP.size)))
        rest = rest[(size + 3) & ~3 :]
    return several


def neighbor(body: bytes) -> Neighbor:
    family, index, state, flags, _ = _fixed(_NEIGHBOR, body)
    found = _attributes(body, _NEIGHBOR.size)
    mac = addresses.mac(found.get(2, b""))
    return Neighbor(index, _ip(family, found.get(1, b"")), mac, state, flags)


def _fixed(form: struct.Struct, body: bytes) -> tuple[int, ...]:
    if len(body) < form.size:
        raise Permanent("short_netlink", f"body of {len(body)} bytes")
    return form.unpack_from(body)


def _attributes(data: bytes, at: int) -> Attributes:
    found: dict[int, bytes] = {}
    at = (at + 3) & ~3
    while at + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < 4 or length > len(data) - at:
            raise Permanent("short_netlink", f"attribute of {length} bytes")
        found[kind & 0x3FFF] = data[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


def _u32(found: Attributes, kind: int, default: int = 0) -> int:
    data = found.get(kind, b"")
    return int(_U32.unpack_from(data)[0]) if len(data) >= 4 else default


def _text(found: Attributes, kind: int) -> str:
    return found.get(kind, b"").rstrip(b"\0").decode("utf-8", "replace")


def _ip(family: int, data: bytes) -> str:
    """RFC 5952 text; AF_INET is 2, AF_INET6 is 10."""
    if len(data) != {2: 4, 10: 16}.get(family):
        raise Permanent("bad_address", f"family {family}, {len(data)} bytes")
    return addresses.text(data)


def _prefix(family: int, data: bytes, length: int) -> str:
    if not data:
        return "::/0" if family == 10 else "0.0.0.0/0"
    if len(data) != {2: 4, 10: 16}.get(family):
        raise Permanent("bad_address", f"family {family}, {len(data)} bytes")
    return f"{ipaddress.ip_address(data)}/{length}"


def _gateway(family: int, found: Attributes) -> str:
    if found.get(5):
        return _ip(family, found[5])
    via = found.get(18, b"")  # RTA_VIA: a next hop of the other family (RFC 8950)
    return _ip(struct.unpack_from("=H", via)[0], via[2:]) if len(via) > 2 else ""


def _counters(data: bytes) -> Counters:
    if len(data) < _STATS64.size:
        return Counters()
    return Counters(*_STATS64.unpack_from(data))
