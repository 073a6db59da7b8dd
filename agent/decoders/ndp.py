"""Neighbour discovery (RFC 4861): bytes of a frame to an event. Pure.

The way to the ICMPv6 message is walked here, because the way itself is evidence: extension headers, fragmentation
(forbidden by RFC 6980) and a hop limit that is not 255 are how router advertisements get past a switch's RA-Guard
(RFC 7113). The message and its options are taken apart by scapy, an option at a time, so that a packet of many options
can not drive it into deep recursion.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from agent.decoders import addresses, dissection
from agent.decoders.packet import FRAGMENT, IPV6, OPTIONS, TAGS
from telemetry.errors import Permanent
from telemetry.event import Event, event

DATASET = "tengwang.ndp"
ICMPV6 = 58
SOLICIT_ROUTER, ADVERTISE_ROUTER, SOLICIT_NEIGHBOR, ADVERTISE_NEIGHBOR, REDIRECT = 133, 134, 135, 136, 137
NAMES = {
    SOLICIT_ROUTER: "router_solicitation",
    ADVERTISE_ROUTER: "router_advertisement",
    SOLICIT_NEIGHBOR: "neighbor_solicitation",
    ADVERTISE_NEIGHBOR: "neighbor_advertisement",
    REDIRECT: "redirect",
}
FIXED = {SOLICIT_ROUTER: 8, ADVERTISE_ROUTER: 16, SOLICIT_NEIGHBOR: 24, ADVERTISE_NEIGHBOR: 24, REDIRECT: 40}
HEADERS = {0: "hop-by-hop", 43: "routing", FRAGMENT: "fragment", 60: "destination", 135: "mobility", 139: "hip",
           140: "shim6"}  # fmt: skip
PREFERENCES = ("medium", "high", "reserved", "low")
MAX_HEADERS, MAX_OPTIONS = 16, 256


class Message(msgspec.Struct, frozen=True):
    """The ICMPv6 message of a frame and how it came. ``headers`` are next-header numbers, in order."""

    source_mac: bytes
    destination_mac: bytes
    source: bytes
    destination: bytes
    hop_limit: int
    vlan: int
    headers: tuple[int, ...]
    fragment: bytes
    """The 8 bytes of a fragment header; empty where there is none."""
    protocol: int
    body: bytes
    cut: bool = False
    """The end is missing: the other fragments did not come."""

    @property
    def part(self) -> bool:
        """A fragment that was not put together: ``protocol`` and ``body`` are those of the fragment."""
        return self.headers[-1:] == (FRAGMENT,) and bool(_offset_and_more(self.fragment) & 0xFFF9)

    @property
    def type(self) -> int:
        """The ICMPv6 type; 0 where there is none or it can not be seen yet."""
        return self.body[0] if self.protocol == ICMPV6 and self.body and not self.part else 0


def locate(frame: bytes, vlan: int = 0) -> Message:
    """Walk to the ICMPv6 message. Raises Permanent where the frame is no IPv6 or is malformed."""
    if len(frame) < 14:
        raise Permanent("short_frame", f"{len(frame)} bytes")
    kind, at = frame[12] << 8 | frame[13], 14
    while kind in TAGS:
        if len(frame) < at + 4:
            raise Permanent("short_tag", f"{len(frame)} bytes")
        vlan = vlan or (frame[at] << 8 | frame[at + 1]) & 0x0FFF
        kind, at = frame[at + 2] << 8 | frame[at + 3], at + 4
    if kind != IPV6 or len(frame) < at + 40 or frame[at] >> 4 != 6:
        raise Permanent("not_ipv6", f"ethertype {kind:#06x}, {len(frame) - at} bytes")
    payload = frame[at + 4] << 8 | frame[at + 5]
    end, cursor = at + 40 + payload, at + 40
    if end > len(frame):
        raise Permanent("short_ipv6", f"payload length {payload}, {len(frame) - at - 40} bytes there")
    headers, fragment, protocol = chain(frame, frame[at + 6], cursor, end)
    cursor = headers[-1][1] if headers else cursor
    return Message(
        frame[6:12], frame[:6], frame[at + 8 : at + 24], frame[at + 24 : at + 40], frame[at + 7], vlan,
        tuple(number for number, _ in headers), fragment, protocol, frame[cursor:end],
    )  # fmt: skip


def chain(data: bytes, protocol: int, at: int, end: int) -> tuple[list[tuple[int, int]], bytes, int]:
    """The extension headers from ``at``: (number, where the next begins) each; the fragment header; what follows.

    Ends after the header of a real fragment: what follows is only a part of the packet.
    """
    headers: list[tuple[int, int]] = []
    fragment = b""
    while protocol in OPTIONS or protocol == FRAGMENT:
        if len(headers) == MAX_HEADERS:
            raise Permanent("long_chain", f"more than {MAX_HEADERS} extension headers")
        if at + 8 > end:
            raise Permanent("bad_chain", f"extension header {protocol} past the end of the packet")
        step = 8 if protocol == FRAGMENT else (data[at + 1] + 1) * 8
        if at + step > end:
            raise Permanent("bad_chain", f"extension header {protocol} of {step} bytes past the end of the packet")
        headers.append((protocol, at + step))
        if protocol == FRAGMENT:
            fragment = data[at : at + 8]
        protocol, at = data[at], at + step
        if fragment and _offset_and_more(fragment) & 0xFFF9:
            break
    return headers, fragment, protocol


def _offset_and_more(fragment: bytes) -> int:
    """Offset in bytes (a multiple of 8) and the more-fragments bit."""
    return fragment[2] << 8 | fragment[3]


def resume(part: Message, data: bytes, cut: bool = False) -> Message:
    """Walk on in what the fragments of ``part`` hold together. Raises Permanent where that is malformed."""
    headers, _, protocol = chain(data, part.protocol, 0, len(data))
    at = headers[-1][1] if headers else 0
    numbers = part.headers + tuple(number for number, _ in headers)
    if numbers[-1:] == (FRAGMENT,) and headers:
        raise Permanent("bad_chain", "a fragment within a fragment")
    return msgspec.structs.replace(
        part, headers=numbers, fragment=part.fragment[:2] + bytes(2) + part.fragment[4:], protocol=protocol,
        body=data[at:], cut=cut,
    )  # fmt: skip


def decode(frame: bytes, time_ms: int, vlan: int = 0) -> Event:
    """The event of a whole ND frame. Raises Permanent where it is malformed or no ND."""
    return describe(locate(frame, vlan), time_ms)


def describe(message: Message, time_ms: int) -> Event:
    """The event of a located message. Raises Permanent where it is no ND or shorter than its type's fixed part."""
    kind = message.type
    if kind not in NAMES:
        raise Permanent("not_nd", f"ICMPv6 type {kind}")
    body = message.body
    if len(body) < FIXED[kind]:
        raise Permanent("short_nd", f"{NAMES[kind]} of {len(body)} bytes")
    made = event(time_ms, DATASET, NAMES[kind])
    made["network.type"] = "ipv6"
    made["network.transport"] = "ipv6-icmp"
    made["source.ip"] = addresses.text(message.source)
    made["destination.ip"] = addresses.text(message.destination)
    made["source.mac"] = addresses.mac(message.source_mac)
    made["destination.mac"] = addresses.mac(message.destination_mac)
    made["tengwang.ndp.type"] = NAMES[kind]
    made["tengwang.ndp.hop_limit"] = message.hop_limit
    made["tengwang.ndp.fragmented"] = bool(message.fragment)
    if message.headers:
        made["tengwang.ndp.extension_headers"] = [HEADERS[number] for number in message.headers]
    if message.vlan:
        made["network.vlan.id"] = str(message.vlan)
    layers = dissection.layers()
    if kind == ADVERTISE_ROUTER:
        _router(made, layers.ICMPv6ND_RA(body[:16]))
    elif kind == SOLICIT_NEIGHBOR:
        made["tengwang.ndp.target"] = addresses.text(body[8:24])
    elif kind == ADVERTISE_NEIGHBOR:
        _neighbor(made, layers.ICMPv6ND_NA(body[:24]), body)
    elif kind == REDIRECT:
        made["tengwang.ndp.target"] = addresses.text(body[8:24])
        made["tengwang.ndp.redirected"] = addresses.text(body[24:40])
    try:
        for number, option in options(body[FIXED[kind] :]):
            if take := TAKEN.get(number):
                take(made, layers, option)
    except Permanent:
        # hosts drop it, but a rogue router that sends it is to be seen: what is readable is told
        if not message.cut:
            made["tengwang.ndp.malformed"] = True
    return made


def options(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, whole option) in order. A length of zero makes the packet invalid (RFC 4861 4.6): Permanent."""
    at = count = 0
    while at < len(data):
        size = data[at + 1] * 8 if at + 1 < len(data) else 0
        if not size or at + size > len(data):
            raise Permanent("bad_option", f"option of {size} bytes, {len(data) - at} left")
        count += 1
        if count > MAX_OPTIONS:
            raise Permanent("bad_option", f"more than {MAX_OPTIONS} options")
        yield data[at], data[at : at + size]
        at += size


def _router(made: Event, layer: Any) -> None:
    made["tengwang.ndp.managed"] = bool(layer.M)
    made["tengwang.ndp.other"] = bool(layer.O)
    made["tengwang.ndp.preference"] = PREFERENCES[int(layer.prf)]
    made["tengwang.ndp.router_lifetime"] = int(layer.routerlifetime)


def _neighbor(made: Event, layer: Any, body: bytes) -> None:
    made["tengwang.ndp.target"] = addresses.text(body[8:24])
    made["tengwang.ndp.router"] = bool(layer.R)
    made["tengwang.ndp.solicited"] = bool(layer.S)
    made["tengwang.ndp.override"] = bool(layer.O)


def _source_lladdr(made: Event, layers: Any, option: bytes) -> None:
    made["tengwang.ndp.source_lladdr"] = str(layers.ICMPv6NDOptSrcLLAddr(option).lladdr)


def _target_lladdr(made: Event, layers: Any, option: bytes) -> None:
    made["tengwang.ndp.target_lladdr"] = str(layers.ICMPv6NDOptDstLLAddr(option).lladdr)


def _prefix(made: Event, layers: Any, option: bytes) -> None:
    if len(option) != 32:
        raise Permanent("bad_option", f"prefix information of {len(option)} bytes")
    layer = layers.ICMPv6NDOptPrefixInfo(option)
    _append(made, "tengwang.ndp.prefixes", _network(option[16:32], int(layer.prefixlen)))
    longest = made.get("tengwang.ndp.prefix_valid_lifetime", 0)
    made["tengwang.ndp.prefix_valid_lifetime"] = max(int(layer.validlifetime), int(str(longest)))


def _mtu(made: Event, layers: Any, option: bytes) -> None:
    if len(option) != 8:
        raise Permanent("bad_option", f"MTU of {len(option)} bytes")
    made["tengwang.ndp.mtu"] = int(layers.ICMPv6NDOptMTU(option).mtu)


def _route(made: Event, layers: Any, option: bytes) -> None:
    layer = layers.ICMPv6NDOptRouteInfo(option)
    _append(made, "tengwang.ndp.routes", _network(option[8:24].ljust(16, b"\0"), int(layer.plen)))


def _resolvers(made: Event, layers: Any, option: bytes) -> None:
    if len(option) < 24 or len(option) % 16 != 8:
        raise Permanent("bad_option", f"RDNSS of {len(option)} bytes")
    for resolver in layers.ICMPv6NDOptRDNSS(option).dns:
        _append(made, "tengwang.ndp.rdnss", addresses.text(ipaddress.IPv6Address(str(resolver)).packed))


TAKEN: dict[int, Callable[[Event, Any, bytes], None]] = {
    1: _source_lladdr, 2: _target_lladdr, 3: _prefix, 5: _mtu, 24: _route, 25: _resolvers,
}  # fmt: skip


def _append(made: Event, name: str, value: str) -> None:
    held = made.setdefault(name, [])
    if isinstance(held, list):
        held.append(value)  # type: ignore[arg-type]


def _network(packed: bytes, length: int) -> str:
    if length > 128:
        raise Permanent("bad_option", f"prefix length {length}")
    return str(ipaddress.ip_network((packed, length), strict=False))
