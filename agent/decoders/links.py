"""Link layers of capture files: where the IP header of a frame is. Pure.

Numbers and layouts: https://www.tcpdump.org/linktypes.html.
"""

from __future__ import annotations

from agent.decoders import packet
from telemetry.errors import Permanent

LOOPBACK, ETHERNET, LOOP, SLL, IPV4, IPV6, SLL2 = 0, 1, 108, 113, 228, 229, 276
RAW_IP = 101
RAW = frozenset({12, 14, RAW_IP})
"""101 in files; 12 and 14 are what some systems write for it."""
COOKED = {SLL: (16, 14, 2), SLL2: (20, 0, 8)}
"""Length of a Linux cooked header, and where its protocol and its hardware type are."""
NOT_AN_ETHERTYPE = frozenset({803, 824})
"""Hardware types (radiotap, netlink) under which the protocol of a cooked header means something else."""
FAMILIES = {2: packet.IPV4, 10: packet.IPV6, 23: packet.IPV6, 24: packet.IPV6, 28: packet.IPV6, 30: packet.IPV6}
"""AF_INET is the same everywhere; AF_INET6 is 10 on Linux, 23 on Windows, 24, 28 and 30 on the BSDs and macOS."""


def decode(link: int, frame: bytes, length: int) -> packet.Header | None:
    """One frame of a capture; None where it holds no IP. Raises Permanent where it is malformed or of another link."""
    if link == ETHERNET:
        return packet.decode(frame, length)
    if link in RAW:
        if not frame:
            raise Permanent("short_frame", "0 bytes")
        kind = {4: packet.IPV4, 6: packet.IPV6}.get(frame[0] >> 4, 0)
        return packet.decode_network(kind, frame, 0, length)
    if link in COOKED:
        size, protocol, hardware = COOKED[link]
        if len(frame) < size:
            raise Permanent("short_frame", f"{len(frame)} bytes")
        if int.from_bytes(frame[hardware : hardware + 2], "big") in NOT_AN_ETHERTYPE:
            return None
        return packet.decode_tagged(frame[protocol] << 8 | frame[protocol + 1], frame, size, length)
    if link in (LOOPBACK, LOOP):
        if len(frame) < 4:
            raise Permanent("short_frame", f"{len(frame)} bytes")
        # the first is in the byte order of whoever captured; families are small numbers, so that can be told
        family = int.from_bytes(frame[:4], "big" if link == LOOP or not any(frame[:2]) else "little")
        return packet.decode_network(FAMILIES.get(family, 0), frame, 4, length)
    if link in (IPV4, IPV6):
        return packet.decode_network(packet.IPV4 if link == IPV4 else packet.IPV6, frame, 0, length)
    raise Permanent("unknown_link", f"link type {link}")
