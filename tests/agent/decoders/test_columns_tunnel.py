from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.layers.l2 import ARP, GRE, Dot1Q
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet
from scapy.utils import wrpcap

from agent.decoders.columns import DEEPEST, decode
from tests.agent.decoders.batches import batch, ether, inner, outer, row
from tests.agent.decoders.tshark import fields

A, B, C, D = "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"
FOUR, SIX = IP(src=A, dst=B), IPv6(src=C, dst=D)
DATA = UDP(sport=1000, dport=53) / (b"x" * 30)
SECURED = b"\0\1\x02\x03ab" + b"abc" + bytes(9)
ORIGIN = b"\0\0" + bytes(6)
IN_FOUR, IN_SIX = IP(src="198.51.100.1", dst="198.51.100.2"), IPv6(src="2001:db8:9::1", dst="2001:db8:9::2")
CASES: list[tuple[Packet, str, Packet, int, int]] = [
    (FOUR / IN_SIX / DATA, "6in4", IN_SIX, 0, 1),
    (SIX / IN_FOUR / DATA, "4in6", IN_FOUR, 0, 1),
    (SIX / IPv6ExtHdrDestOpt() / IN_FOUR / DATA, "4in6", IN_FOUR, 0, 1),
    (FOUR / IN_FOUR / DATA, "ipip", IN_FOUR, 0, 1),
    (SIX / IN_SIX / DATA, "ipip", IN_SIX, 0, 1),
    (FOUR / GRE() / IN_SIX / DATA, "gre", IN_SIX, 0, 1),
    (SIX / GRE(key_present=1, key=77) / IN_FOUR / DATA, "gre", IN_FOUR, 77, 1),
    (FOUR / GRE(chksum_present=1, key_present=1, key=78, seqnum_present=1) / IN_FOUR / DATA, "gre", IN_FOUR, 78, 1),
    (FOUR / GRE(proto=0x6558) / ether() / Dot1Q(vlan=8) / IN_FOUR / DATA, "gre", IN_FOUR, 0, 1),
    (FOUR / UDP(sport=9, dport=4789) / VXLAN(vni=5000) / ether() / IN_SIX / DATA, "vxlan", IN_SIX, 5000, 1),
    (SIX / UDP(dport=4789) / VXLAN(vni=5001) / ether() / Dot1Q(vlan=8) / IN_FOUR / DATA, "vxlan", IN_FOUR, 5001, 1),
    (FOUR / UDP(sport=9, dport=3544) / IN_SIX / DATA, "teredo", IN_SIX, 0, 1),
    (FOUR / UDP(sport=3544, dport=9) / (ORIGIN + bytes(IN_SIX / DATA)), "teredo", IN_SIX, 0, 1),
    (FOUR / UDP(sport=3544, dport=9) / (SECURED + ORIGIN + bytes(IN_SIX / DATA)), "teredo", IN_SIX, 0, 1),
    (FOUR / GRE(key_present=1, key=5) / SIX / IN_FOUR / DATA, "gre", IN_FOUR, 5, 2),
]  # fmt: skip


@pytest.mark.parametrize(("packet", "kind", "inside", "identifier", "depth"), CASES, ids=range(len(CASES)))
def test_inner_and_outer_are_kept(packet: Packet, kind: str, inside: Packet, identifier: int, depth: int) -> None:
    frame = bytes(ether() / Dot1Q(vlan=7) / packet)
    columns = decode(batch([bytes(ether() / FOUR / DATA), frame]))
    at = columns.rows.tolist().index(1)
    assert inner(columns, at) == (inside.src, inside.dst, 17, 1000, 53)
    assert outer(columns, at) == (kind, packet.src, packet.dst, identifier, depth)
    assert row(columns, at)[6:8] == (7, len(packet)), "VLAN and size are those of the wire"
    assert columns.wrapped.tolist() == [at]


@pytest.mark.parametrize(
    "packet",
    [
        FOUR / UDP(sport=9, dport=4789) / VXLAN(vni=1) / ether() / ARP(),
        FOUR / UDP(sport=9, dport=4789) / b"any",
        FOUR / UDP(sport=9, dport=3544) / (b"\x40" + bytes(60)),
        FOUR / GRE(proto=0x88BE) / bytes(60),
        FOUR / GRE(version=1, proto=0x880B) / bytes(60),
        IP(src=A, dst=B, flags="MF", proto=41) / IN_SIX / DATA,
    ],
)
def test_what_holds_no_packet_is_no_tunnel(packet: Packet) -> None:
    columns = decode(batch([bytes(ether() / packet)]))
    assert not len(columns.wrapped)
    assert inner(columns)[:2] == (A, B)


def test_a_malformed_packet_inside_leaves_the_outer_one() -> None:
    columns = decode(batch([bytes(ether() / IP(src=A, dst=B, proto=41) / bytes(40))]))
    assert inner(columns) == (A, B, 41, 0, 0)
    assert columns.odd == {"inner_malformed": 1}
    assert not columns.skipped


def test_nesting_ends() -> None:
    packet = IN_FOUR / DATA
    for _ in range(DEEPEST + 3):
        packet = FOUR / packet
    columns = decode(batch([bytes(ether() / packet)]))
    assert outer(columns)[4] == DEEPEST
    assert columns.odd == {"deep_tunnel": 1}


@settings(max_examples=300)
@given(st.sampled_from([bytes(ether() / packet) for packet, *_ in CASES]), st.data())
def test_any_change_of_a_tunnelled_packet_is_a_row_or_counted(sent: bytes, data: st.DataObject) -> None:
    frame = bytearray(sent)
    whole = len(frame)
    frame = frame[: data.draw(st.integers(0, whole))]
    for _ in range(data.draw(st.integers(0, 4))):
        if frame:
            frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    columns = decode(batch([bytes(frame)] * 2, [whole] * 2))
    assert len(columns.rows) + columns.skipped.total() == 2


@pytest.mark.needs("tshark")
def test_tshark_sees_the_same_inner_and_outer_headers(tmp_path: Path) -> None:
    packets = [ether() / packet for packet, *_ in CASES]
    wrpcap(str(tmp_path / "tunnels.pcap"), packets)
    names = ["ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "udp.srcport", "udp.dstport"]
    rows = fields(tmp_path / "tunnels.pcap", *names)
    for packet, row_of in zip(packets, rows, strict=True):
        source4, destination4, source6, destination6, source_port, destination_port = (v.split(",") for v in row_of)
        columns = decode(batch([bytes(packet)]))
        source, destination, _, *ports = inner(columns)
        six = ":" in source
        assert (source, destination) == ((source6[-1], destination6[-1]) if six else (source4[-1], destination4[-1]))
        assert [str(port) for port in ports] == [source_port[-1], destination_port[-1]]
        _, source, destination, *_ = outer(columns)
        six = ":" in source
        assert (source, destination) == ((source6[0], destination6[0]) if six else (source4[0], destination4[0]))
