from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    IPv6ExtHdrSegmentRouting,
)
from scapy.layers.ipsec import AH
from scapy.layers.sctp import SCTP
from scapy.packet import Packet

from agent.decoders.columns import decode
from agent.decoders.columns_network import EXTENSION_BITS
from tests.agent.decoders.batches import batch, ether, row

SIX = IPv6(src="2001:db8::1", dst="2001:db8::2", tc=46 << 2, fl=0x12345)
MOBILITY = b"\x06\x00\x00\x00\x00\x00\x00\x00"


def read(packet: Packet) -> tuple[int, int, int, int]:
    """Protocol, ports, flags."""
    frame = bytes(ether() / packet)
    found = row(decode(batch([frame, frame + bytes(90)])), 0)
    return found[3], found[4], found[5], found[8]


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (IP() / TCP(sport=1, dport=2, flags="SF"), (6, 1, 2, 3)),
        (IP(options=b"\x94\x04\0\0") / TCP(sport=1, dport=2, flags="S"), (6, 1, 2, 2)),
        (IP() / UDP(sport=1, dport=2), (17, 1, 2, 0)),
        (IP() / ICMP(type=3, code=1), (1, 0, 0x301, 0)),
        (IP() / SCTP(sport=1, dport=2), (132, 1, 2, 0)),
        (IP() / AH(nh=6, payloadlen=1) / TCP(sport=1, dport=2, flags="A"), (6, 1, 2, 16)),
        (IP(frag=100) / UDP(sport=1, dport=2), (17, 0, 0, 0)),
        (IP(flags="MF") / UDP(sport=1, dport=2), (17, 1, 2, 0)),
        (SIX / TCP(sport=1, dport=2, flags="R"), (6, 1, 2, 4)),
        (SIX / ICMPv6EchoRequest(), (58, 0, 0x8000, 0)),
        (SIX / SCTP(sport=1, dport=2), (132, 1, 2, 0)),
        (SIX / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / UDP(sport=1, dport=2), (17, 1, 2, 0)),
        (SIX / IPv6ExtHdrRouting(type=2, addresses=["2001:db8::9"]) / UDP(sport=1, dport=2), (17, 1, 2, 0)),
        (SIX / IPv6ExtHdrSegmentRouting(addresses=["2001:db8::9", "2001:db8::2"]) / UDP(sport=1, dport=2), (17, 1, 2, 0)),  # noqa: E501
        (SIX / IPv6ExtHdrFragment(m=1, offset=0) / UDP(sport=1, dport=2), (17, 1, 2, 0)),
        (SIX / IPv6ExtHdrFragment(m=0, offset=9) / UDP(sport=1, dport=2), (17, 0, 0, 0)),
        (SIX / AH(nh=6, payloadlen=1) / TCP(sport=1, dport=2, flags="A"), (6, 1, 2, 16)),
        (IPv6(nh=135) / (MOBILITY + bytes(TCP(sport=1, dport=2, flags="A"))), (6, 1, 2, 16)),
        (IPv6(nh=59), (59, 0, 0, 0)),
    ],
    ids=lambda value: "-".join(layer.__name__ for layer in value.layers()) if isinstance(value, Packet) else "",
)  # fmt: skip
def test_protocol_ports_and_flags(packet: Packet, expected: tuple[int, int, int, int]) -> None:
    assert read(packet) == expected


def test_what_is_odd_is_counted_and_kept() -> None:
    packets = [
        SIX / IPv6ExtHdrRouting(type=0, addresses=["2001:db8::9"]) / UDP(),
        SIX / IPv6ExtHdrFragment(m=0, offset=0) / UDP(),
        SIX / IPv6ExtHdrFragment(m=1, offset=0, nh=6) / b"\0\1\0\2\0\0\0\0",
    ]
    columns = decode(batch([bytes(ether() / packet) for packet in packets]))
    assert len(columns.rows) == 3
    assert columns.odd == {"routing_type_0": 1, "atomic_fragment": 1, "chain_beyond_fragment": 1}


def test_a_chain_that_ends_in_a_later_fragment_is_malformed_and_counted_as_such() -> None:
    chain = SIX / IPv6ExtHdrFragment(m=1, offset=0, nh=60) / b"\x06\x01\0\0"
    columns = decode(batch([bytes(ether() / chain)]))
    assert columns.skipped == {"bad_chain": 1}
    assert columns.odd == {"chain_beyond_fragment": 1}


def test_which_extension_headers_there_were() -> None:
    packet = SIX / IPv6ExtHdrHopByHop() / IPv6ExtHdrFragment(m=1) / UDP()
    columns = decode(batch([bytes(ether() / packet), bytes(ether() / SIX / UDP())]))
    assert columns.extensions.tolist() == [EXTENSION_BITS[0] | EXTENSION_BITS[44], 0]


def test_bad_lengths_are_counted_by_kind() -> None:
    four, six = bytes(ether() / IP() / UDP()), bytes(ether() / SIX / UDP())
    frames = [
        four[:16] + b"\x0f\xff" + four[18:],
        four[:14] + b"\x44" + four[15:],
        four[:30],
        six[:18] + b"\xff\xff" + six[20:],
        six[:50],
        six[:18] + b"\0\3" + six[20:],
    ]
    columns = decode(batch(frames))
    assert columns.skipped == {"bad_ipv4": 2, "short_ipv4": 1, "bad_ipv6": 1, "short_ipv6": 1, "short_transport": 1}
