from __future__ import annotations

import pytest
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Loopback
from scapy.layers.ppp import PPP, PPPoE
from scapy.packet import Packet

from agent.decoders.columns import decode
from tests.agent.decoders.batches import batch, ether, inner, row

FOUR = IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=1000, dport=53) / (b"x" * 20)
SIX = IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(sport=1000, dport=53) / (b"x" * 20)


@pytest.mark.parametrize(
    ("link", "before", "vlan"),
    [
        (1, ether(), 0),
        (1, ether() / Dot1Q(vlan=30), 30),
        (1, ether() / Dot1AD(vlan=40) / Dot1Q(vlan=30), 40),
        (1, ether(type=0x9100) / Dot1Q(vlan=50) / Dot1Q(vlan=30), 50),
        (1, ether() / Dot1Q(vlan=0, prio=5) / Dot1Q(vlan=31), 31),
        (1, ether(type=0x8847) / MPLS(label=5, s=0) / MPLS(label=6, s=1), 0),
        (1, ether() / Dot1Q(vlan=30, type=0x8847) / MPLS(label=6, s=1), 30),
        (1, ether() / PPPoE(sessionid=7) / PPP(), 0),
        (1, ether() / Dot1Q(vlan=30) / PPPoE(sessionid=7) / PPP(), 30),
        (113, CookedLinux(), 0),
        (276, CookedLinuxV2(), 0),
        (0, Loopback(type=2), 0),
        (101, None, 0),
        (12, None, 0),
    ],
)
@pytest.mark.parametrize("packet", [FOUR, SIX], ids=["v4", "v6"])
def test_the_packet_is_found_behind_any_link_layer(link: int, before: Packet | None, vlan: int, packet: Packet) -> None:
    frame = bytes(before / packet) if before is not None else bytes(packet)
    if frame[12:14] == b"\0\0" and link == 1:
        frame = frame[:12] + (b"\x08\0" if packet is FOUR else b"\x86\xdd") + frame[14:]
    columns = decode(batch([frame], link=link))
    assert not columns.skipped
    assert inner(columns) == (packet.src, packet.dst, 17, 1000, 53)
    assert row(columns, 0)[6:8] == (vlan, len(packet))


def test_what_is_no_ip_is_counted_by_what_it_is() -> None:
    frames = [
        bytes(ether() / ARP()),
        bytes(ether() / Dot1Q(vlan=3) / ARP()),
        bytes(ether(type=0x88CC)) + bytes(40),
        bytes(ether(type=0)) + bytes(40),
        bytes(ether(type=0x8847) / MPLS(s=1)) + bytes(40),
        bytes(ether(type=0x8864)) + b"\x11\0\0\1\0\2\xc0\x21" + bytes(40),
        bytes(ether(type=0x8100)) + b"\0\3\0\0" + bytes(40),
        bytes(ether(type=0x8100)) + b"\0\3",
        bytes(ether(type=0x8847)) + b"\0\3",
        bytes(ether(type=0x8864)) + b"\x11\0",
        bytes(13),
        b"",
    ]
    assert decode(batch(frames)).skipped == {
        "arp": 2, "not_ip": 5, "short_tag": 1, "short_label": 1, "short_pppoe": 1, "short_frame": 2,
    }  # fmt: skip
    assert decode(batch(frames, link=147)).skipped == {"link_type": len(frames)}


def test_a_tag_that_the_kernel_took_off_counts_before_those_in_the_frame() -> None:
    import numpy as np

    frame = bytes(ether() / Dot1Q(vlan=30) / FOUR)
    assert row(decode(batch([frame, frame]), np.array([9, 0], np.uint16)), 0)[6] == 9
    assert row(decode(batch([frame, frame]), np.array([9, 0], np.uint16)), 1)[6] == 30
