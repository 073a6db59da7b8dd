from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.decoders import arp, bpf, datagram, segment_filters
from telemetry.errors import Permanent
from tests.agent.decoders.kernel_filter import Passes, kernel
from tests.agent.decoders.tshark import frames

SNAP = 0xFFFF
NAMES = ("arp", "dhcp", "dns", "presence", "activity")
MACS = bytes.fromhex("020000000001020000000002")


@pytest.fixture(scope="module")
def filters() -> Iterator[dict[str, Passes]]:
    with (
        kernel(bpf.assemble(segment_filters.arp(SNAP))) as first,
        kernel(bpf.assemble(segment_filters.dhcp(SNAP))) as second,
        kernel(bpf.assemble(segment_filters.dns(SNAP))) as third,
        kernel(bpf.assemble(segment_filters.presence(SNAP))) as fourth,
        kernel(bpf.assemble(segment_filters.activity(SNAP))) as fifth,
    ):
        yield dict(zip(NAMES, (first, second, third, fourth, fifth), strict=True))


def taken(filters: dict[str, Passes], frame: bytes) -> set[str]:
    return {name for name, passes in filters.items() if passes(frame)}


def v4(protocol: int, payload: bytes, options: bytes = b"", fragment: int = 0) -> bytes:
    head = bytes([0x45 + len(options) // 4, 0]) + (20 + len(options) + len(payload)).to_bytes(2, "big") + b"\0\0"
    head += fragment.to_bytes(2, "big") + bytes([64, protocol]) + bytes(2) + b"\xc0\0\2\1\xc0\0\2\2"
    return MACS + b"\x08\x00" + head + options + payload


def v6(protocol: int, payload: bytes, behind: bytes = b"", tags: bytes = b"") -> bytes:
    first = 60 if behind else protocol
    body = bytes([protocol]) + behind[1:] + payload if behind else payload
    head = b"\x60\0\0\0" + len(body).to_bytes(2, "big") + bytes([first, 255]) + bytes(32)
    return MACS + tags + b"\x86\xdd" + head + body


def udp(source: int, destination: int) -> bytes:
    return source.to_bytes(2, "big") + destination.to_bytes(2, "big") + b"\0\x08\0\0"


def tcp(flags: int, port: int = 80) -> bytes:
    return b"\xc0\0" + port.to_bytes(2, "big") + bytes(8) + bytes([0x50, flags]) + bytes(6)


ICMP = {
    kind: bytes([kind, code]) + bytes(30) for kind, code in ((8, 0), (0, 0), (128, 0), (129, 0), (135, 0), (134, 0))
}
PORT_CLOSED_4, PORT_CLOSED_6, NO_ROUTE = b"\3\3" + bytes(30), b"\1\4" + bytes(30), b"\3\1" + bytes(30)
SYN, SYN_ACK, ACK, RST, FIN = 0x02, 0x12, 0x10, 0x14, 0x01
CASES = [
    (v4(17, udp(68, 67)), {"dhcp", "presence"}),
    (v4(17, udp(67, 68)), {"dhcp", "presence"}),
    (v6(17, udp(546, 547)), {"dhcp", "presence"}),
    (v6(17, udp(547, 546)), {"dhcp", "presence"}),
    (v4(17, udp(5000, 53)), {"dns"}),
    (v6(17, udp(53, 5000)), {"dns"}),
    (v4(17, udp(5000, 3544)), {"activity"}),
    (v4(17, udp(5000, 5353)), set()),
    (v4(6, tcp(SYN)), {"activity"}),
    (v6(6, tcp(SYN)), {"activity"}),
    (v6(6, tcp(RST)), {"activity"}),
    (v4(6, tcp(SYN_ACK)), set()),
    (v4(6, tcp(ACK)), set()),
    (v6(6, tcp(FIN)), set()),
    (v4(1, ICMP[8]), {"activity"}),
    (v4(1, ICMP[0]), set()),
    (v4(1, PORT_CLOSED_4), {"activity"}),
    (v4(1, NO_ROUTE), set()),
    (v6(58, ICMP[128]), {"activity"}),
    (v6(58, PORT_CLOSED_6), {"activity"}),
    (v6(58, ICMP[129]), set()),
    (v6(58, ICMP[135]), {"presence"}),
    (v6(58, ICMP[134]), {"presence"}),
    (v4(41, bytes(40)), {"activity"}),
    (v6(41, bytes(40)), set()),
    (v6(17, udp(546, 547), b"\0\0" + bytes(6)), {"dhcp", "presence"}),
    (v6(6, tcp(SYN), b"\0\1" + bytes(14)), {"activity"}),
    (v6(17, udp(5000, 53), tags=b"\x81\x00\0\7"), {"dns"}),
    (v4(6, tcp(SYN), options=b"\1" * 8), {"activity"}),
    (v4(17, udp(68, 67), fragment=0x2000), {"dhcp", "presence"}),
    (v4(17, udp(68, 67), fragment=1), set()),
    (b"\xff" * 6 + MACS[6:] + b"\x88\xcc" + bytes(40), {"presence"}),
    (b"\xff" * 5 + b"\xfe" + MACS[6:] + b"\x88\xcc" + bytes(40), set()),
    (MACS + b"\x08\x06" + bytes(28), {"arp", "presence"}),
    (MACS + b"\x81\x00\0\7\x08\x06" + bytes(28), {"arp", "presence"}),
    (bytes(3), set()),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "names"), CASES, ids=range(len(CASES)))
def test_each_filter_takes_what_it_is_for_and_nothing_else(
    filters: dict[str, Passes], frame: bytes, names: set[str]
) -> None:
    assert taken(filters, frame) == names


@pytest.mark.parametrize("name", ["arp", "dhcp", "dns"])
def test_no_frame_of_a_capture_is_left_in_the_kernel(filters: dict[str, Passes], name: str) -> None:
    assert all(filters[name](frame) for frame in frames(f"{name}.pcap"))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80), st.sampled_from([17, 60, 44]), st.sampled_from([b"\x08\x06", b"\x08\x00", b"\x86\xdd"]))
def test_what_a_decoder_reads_the_kernel_has_judged_by_its_ports(
    filters: dict[str, Passes], data: bytes, first: int, kind: bytes
) -> None:
    for frame in (MACS + kind + data, v6(first, data), v4(17, data)):
        try:
            made = datagram.locate(frame)
        except Permanent:
            continue
        ports = {made.source_port, made.destination_port}
        if made.version == 6 and frame[20] == 44:
            continue
        assert filters["dns"](frame) == (53 in ports)
    try:
        arp.decode(MACS + kind + data)
    except Permanent:
        return
    assert filters["arp"](MACS + kind + data)
