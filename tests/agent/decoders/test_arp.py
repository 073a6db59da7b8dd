from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decoders import addresses, arp
from telemetry.errors import Permanent
from tests.agent.decoders.tshark import CAPTURES, fields, frames

HERE, THERE, ALL = bytes.fromhex("020000000001"), bytes.fromhex("020000000002"), b"\xff" * 6
US, THEM, NOBODY = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]), bytes(4)


def frame(code: int, sender: bytes, target: bytes, tags: bytes = b"", mac: bytes = HERE) -> bytes:
    body = b"\0\1\x08\0\6\4" + code.to_bytes(2, "big") + mac + sender + bytes(6) + target
    return ALL + HERE + tags + b"\x08\x06" + body + bytes(18)


@given(st.binary(max_size=80), st.booleans())
def test_any_bytes_give_a_packet_or_permanent(data: bytes, headed: bool) -> None:
    with contextlib.suppress(Permanent):
        arp.decode(frame(1, US, THEM)[:14] + data if headed else data)


@pytest.mark.parametrize(
    ("code", "sender", "target", "operation"),
    [
        (1, US, THEM, "request"),
        (2, US, THEM, "reply"),
        (1, NOBODY, THEM, "probe"),
        (1, US, US, "announcement"),
        (2, US, US, "announcement"),
    ],
)
def test_operations_have_the_names_of_rfc_5227(code: int, sender: bytes, target: bytes, operation: str) -> None:
    made = arp.decode(frame(code, sender, target))
    assert (made.operation, made.sender, made.target, made.sender_mac) == (operation, sender, target, HERE)


def test_behind_a_tag_it_is_the_same_and_the_outer_tag_counts() -> None:
    assert arp.decode(frame(1, US, THEM, b"\x81\x00\x00\x07")).vlan == 7
    assert arp.decode(frame(1, US, THEM, b"\x81\x00\x00\x07"), vlan=9).vlan == 9


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "short_frame"),
        (ALL + HERE + b"\x81\x00\0", "short_tag"),
        (ALL + HERE + b"\x08\x00" + bytes(40), "not_arp"),
        (frame(1, US, THEM)[:40], "short_arp"),
        (frame(3, US, THEM), "other_arp"),
        (ALL + HERE + b"\x08\x06\0\6" + bytes(40), "other_arp"),
    ],
)
def test_what_is_no_arp_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Permanent, match=reason):
        arp.decode(data)


@pytest.mark.needs("tshark")
def test_tshark_reads_the_same() -> None:
    theirs = fields(
        CAPTURES / "arp.pcap", "eth.src", "arp.opcode", "arp.src.hw_mac", "arp.src.proto_ipv4", "arp.dst.proto_ipv4"
    )
    ours = []
    for data in frames("arp.pcap"):
        made = arp.decode(data)
        ours.append((addresses.mac(made.source_mac), str(made.code), addresses.mac(made.sender_mac),
                     addresses.text(made.sender), addresses.text(made.target)))  # fmt: skip
    assert ours == theirs
    assert len(ours) == 40
