"""UDP in IPv4 or IPv6 in an Ethernet frame: where it comes from, where it goes, what it holds. Pure.

What the capture has cut off is missing at the end of the payload. Later fragments hold no UDP header and are refused;
a first fragment gives what it has.
"""

from __future__ import annotations

import msgspec

from agent.decoders.packet import FRAGMENT, IPV4, IPV6, OPTIONS, TAGS, UDP
from telemetry.errors import Permanent

MAX_HEADERS = 16


class Datagram(msgspec.Struct, frozen=True, gc=False):
    version: int
    source_mac: bytes
    destination_mac: bytes
    source: bytes
    destination: bytes
    source_port: int
    destination_port: int
    vlan: int
    payload: bytes
    size: int
    """Payload bytes by the UDP header, also where less was captured."""


def locate(frame: bytes, vlan: int = 0) -> Datagram:
    """Raises Permanent where it is no UDP, or malformed."""
    if len(frame) < 14:
        raise Permanent("short_frame", f"{len(frame)} bytes")
    kind, at = frame[12] << 8 | frame[13], 14
    while kind in TAGS:
        if len(frame) < at + 4:
            raise Permanent("short_tag", f"{len(frame)} bytes")
        vlan = vlan or (frame[at] << 8 | frame[at + 1]) & 0x0FFF
        kind, at = frame[at + 2] << 8 | frame[at + 3], at + 4
    if kind == IPV4:
        version, source, destination, cursor = 4, frame[at + 12 : at + 16], frame[at + 16 : at + 20], _ipv4(frame, at)
    elif kind == IPV6:
        version, source, destination, cursor = 6, frame[at + 8 : at + 24], frame[at + 24 : at + 40], _ipv6(frame, at)
    else:
        raise Permanent("not_ip", f"ethertype {kind:#06x}")
    if len(frame) < cursor + 8:
        raise Permanent("short_udp", f"{len(frame) - cursor} bytes")
    length = frame[cursor + 4] << 8 | frame[cursor + 5]
    if length < 8:
        raise Permanent("short_udp", f"UDP length {length}")
    return Datagram(
        version, frame[6:12], frame[:6], source, destination, frame[cursor] << 8 | frame[cursor + 1],
        frame[cursor + 2] << 8 | frame[cursor + 3], vlan, frame[cursor + 8 : cursor + length], length - 8,
    )  # fmt: skip


def _ipv4(frame: bytes, at: int) -> int:
    if len(frame) < at + 20 or frame[at] >> 4 != 4 or frame[at] & 0x0F < 5:
        raise Permanent("bad_ipv4", f"{len(frame) - at} bytes")
    if frame[at + 9] != UDP or (frame[at + 6] << 8 | frame[at + 7]) & 0x1FFF:
        raise Permanent("not_udp", f"protocol {frame[at + 9]}, or a later fragment")
    return at + (frame[at] & 0x0F) * 4


def _ipv6(frame: bytes, at: int) -> int:
    if len(frame) < at + 40 or frame[at] >> 4 != 6:
        raise Permanent("bad_ipv6", f"{len(frame) - at} bytes")
    protocol, cursor = frame[at + 6], at + 40
    for _ in range(MAX_HEADERS):
        if protocol == UDP:
            return cursor
        if (protocol not in OPTIONS and protocol != FRAGMENT) or len(frame) < cursor + 8:
            break
        if protocol == FRAGMENT and (frame[cursor + 2] << 8 | frame[cursor + 3]) & 0xFFF8:
            break
        step = 8 if protocol == FRAGMENT else (frame[cursor + 1] + 1) * 8
        protocol, cursor = frame[cursor], cursor + step
    raise Permanent("not_udp", f"protocol {protocol}, a later fragment or a long chain")
