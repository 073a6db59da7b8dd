"""ARP (RFC 826) for IPv4 over Ethernet: bytes of a frame to who says what. Pure."""

from __future__ import annotations

import msgspec

from agent.decoders.packet import TAGS
from telemetry.errors import Permanent

ETHERTYPE, IPV4 = 0x0806, 0x0800
REQUEST, REPLY = 1, 2
NOBODY = bytes(4)


class Packet(msgspec.Struct, frozen=True, gc=False):
    """``source_mac`` is the frame's, ``sender_mac`` the message's; they may differ where one speaks for another."""

    code: int
    source_mac: bytes
    destination_mac: bytes
    sender_mac: bytes
    sender: bytes
    target: bytes
    vlan: int

    @property
    def operation(self) -> str:
        """The names of RFC 5227: a probe asks before an address is used, an announcement says that it is used now."""
        if self.sender == NOBODY:
            return "probe"
        if self.sender == self.target:
            return "announcement"
        return "request" if self.code == REQUEST else "reply"


def decode(frame: bytes, vlan: int = 0) -> Packet:
    """Raises Permanent where it is no ARP for IPv4, or malformed."""
    if len(frame) < 14:
        raise Permanent("short_frame", f"{len(frame)} bytes")
    kind, at = frame[12] << 8 | frame[13], 14
    while kind in TAGS:
        if len(frame) < at + 4:
            raise Permanent("short_tag", f"{len(frame)} bytes")
        vlan = vlan or (frame[at] << 8 | frame[at + 1]) & 0x0FFF
        kind, at = frame[at + 2] << 8 | frame[at + 3], at + 4
    if kind != ETHERTYPE:
        raise Permanent("not_arp", f"ethertype {kind:#06x}")
    if len(frame) < at + 28:
        raise Permanent("short_arp", f"{len(frame) - at} bytes")
    if frame[at : at + 6] != b"\0\1\x08\0\6\4":
        raise Permanent("other_arp", f"hardware, protocol and lengths {frame[at : at + 6].hex()}")
    code = frame[at + 6] << 8 | frame[at + 7]
    if code not in (REQUEST, REPLY):
        raise Permanent("other_arp", f"operation {code}")
    return Packet(
        code, frame[6:12], frame[:6], frame[at + 8 : at + 14], frame[at + 14 : at + 18], frame[at + 24 : at + 28], vlan
    )
