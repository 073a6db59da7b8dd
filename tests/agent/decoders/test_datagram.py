from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decoders import addresses, datagram
from telemetry.errors import Permanent
from tests.agent.decoders.tshark import CAPTURES, fields, frames

MACS = bytes.fromhex("020000000001020000000002")
UDP = b"\x02\x23\x02\x22\x00\x0c\0\0body"


def v4(payload: bytes = UDP, protocol: int = 17, fragment: int = 0, options: bytes = b"") -> bytes:
    words = 5 + len(options) // 4
    head = bytes([0x40 | words, 0]) + (words * 4 + len(payload)).to_bytes(2, "big") + b"\0\0"
    head += fragment.to_bytes(2, "big") + bytes([64, protocol]) + b"\0\0\xc0\0\2\1\xc0\0\2\2"
    return MACS + b"\x08\x00" + head + options + payload


def v6(payload: bytes = UDP, first: int = 17, tags: bytes = b"") -> bytes:
    head = b"\x60\0\0\0" + len(payload).to_bytes(2, "big") + bytes([first, 64])
    return MACS + tags + b"\x86\xdd" + head + bytes(15) + b"\1" + bytes(15) + b"\2" + payload


@given(st.binary(max_size=120), st.sampled_from([0, 17, 43, 44, 60]))
def test_any_bytes_give_a_datagram_or_permanent(data: bytes, first: int) -> None:
    for candidate in (data, MACS + b"\x08\x00" + data, v6(data, first), v4(data)):
        with contextlib.suppress(Permanent):
            datagram.locate(candidate)


@pytest.mark.parametrize(
    "frame",
    [
        v4(),
        v4(options=b"\x94\x04\0\0"),
        v6(),
        v6(tags=b"\x81\x00\x00\x07"),
        v6(b"\x11\x00" + bytes(6) + UDP, 60),
        v6(b"\x11\x00\0\1" + bytes(4) + UDP, 44),
    ],
)
def test_it_is_found_behind_options_tags_and_extension_headers(frame: bytes) -> None:
    made = datagram.locate(frame)
    assert (made.source_port, made.destination_port, made.payload, made.size) == (547, 546, b"body", 4)
    assert made.source_mac == MACS[6:]
    assert made.vlan == (7 if b"\x81\x00" in frame[:14] else 0)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (v4(fragment=1), "not_udp"),
        (v4(protocol=6), "not_udp"),
        (v6(b"\x11\x00\0\x09" + bytes(4) + UDP, 44), "not_udp"),
        (v6(b"\x3c\x00" + bytes(6), 60), "not_udp"),
        (v6((b"\x3c\x00" + bytes(6)) * 20, 60), "not_udp"),
        (v6(UDP[:7]), "short_udp"),
        (v6(b"\0\1\0\1\0\7\0\0"), "short_udp"),
        (MACS + b"\x08\x06" + bytes(28), "not_ip"),
        (MACS + b"\x86\xdd" + bytes(28), "bad_ipv6"),
        (MACS + b"\x08\x00\x44" + bytes(28), "bad_ipv4"),
    ],
)
def test_what_is_no_datagram_is_refused_with_the_reason(frame: bytes, reason: str) -> None:
    with pytest.raises(Permanent, match=reason):
        datagram.locate(frame)


def test_what_the_capture_cut_off_is_missing_and_its_size_is_known() -> None:
    made = datagram.locate(v4()[:-2])
    assert (made.payload, made.size) == (b"bo", 4)


@pytest.mark.needs("tshark")
@pytest.mark.parametrize("name", ["dhcp.pcap", "dns.pcap"])
def test_tshark_reads_the_same(name: str) -> None:
    theirs = fields(CAPTURES / name, "eth.src", "ip.src", "ipv6.src", "ip.dst", "ipv6.dst", "udp.srcport",
                    "udp.dstport", "udp.length")  # fmt: skip
    ours = []
    for data in frames(name):
        made = datagram.locate(data)
        source, destination = addresses.text(made.source), addresses.text(made.destination)
        pair = (source, "", destination, "") if made.version == 4 else ("", source, "", destination)
        ours.append((addresses.mac(made.source_mac), *pair, str(made.source_port), str(made.destination_port),
                     str(made.size + 8)))  # fmt: skip
    assert ours == theirs
