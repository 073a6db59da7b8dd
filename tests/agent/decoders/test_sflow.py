from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decoders import sflow
from telemetry.errors import Permanent
from tests.agent.decoders.tshark import frames

FRAMES = frames("headers.pcap")[:40]


def words(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def opaque(data: bytes) -> bytes:
    return words(len(data)) + data + bytes(-len(data) % 4)


def datagram(*samples: tuple[int, bytes], sequence: int = 5, address: bytes = bytes(15) + b"\x09") -> bytes:
    head = words(5, 2 if len(address) == 16 else 1) + address + words(3, sequence, 60_000, len(samples))
    return head + b"".join(words(kind) + opaque(body) for kind, body in samples)


def raw(frame: bytes, protocol: int = 1) -> bytes:
    return words(1) + opaque(words(protocol, len(frame) + 4, 4) + opaque(frame[:128]))


def flow(*records: bytes, rate: int = 512) -> tuple[int, bytes]:
    return 1, words(9, 3, rate, 5120, 0, 3, 4, len(records)) + b"".join(records)


def expanded(*records: bytes) -> tuple[int, bytes]:
    return 3, words(9, 0, 3, 512, 5120, 0, 0, 3, 0, 4, len(records)) + b"".join(records)


COUNTERS = sflow.INTERFACE.pack(
    4, 6, 10**9, 1, 3, 2**40, 1, 2, 3, 5, 6, 0xFFFFFFFF, 2**41, 1, 2, 3, 8, 9, 0
)  # fmt: skip
IPV6 = bytes.fromhex("600abcde0014067f" + "20010db8" + "00" * 11 + "01" + "20010db8" + "00" * 11 + "02")
SYN = IPV6 + struct.pack(">HHIIBBHHH", 5000, 443, 0, 0, 0x50, 2, 0, 0, 0)
WHOLE = datagram(flow(raw(bytes(12) + b"\x86\xdd" + SYN)), (2, words(1, 4, 1) + words(1) + opaque(COUNTERS)))


@given(st.binary(max_size=300))
def test_any_bytes_give_a_datagram_or_permanent(data: bytes) -> None:
    for candidate in (
        data,
        words(5) + data,
        datagram((1, data), (2, data), (3, data), (4, data)),
        datagram(flow(data)),
    ):
        with contextlib.suppress(Permanent):
            sflow.decode(candidate)


@given(st.data())
def test_a_changed_datagram_gives_a_datagram_or_permanent(data: st.DataObject) -> None:
    changed = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 6))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Permanent):
        sflow.decode(bytes(changed[: data.draw(st.integers(0, len(changed)))]))


@pytest.mark.parametrize("sample", [flow, expanded])
def test_a_raw_header_goes_through_the_decoder_of_packets(sample: object) -> None:
    made = sflow.decode(datagram(sample(raw(bytes(12) + b"\x86\xdd" + SYN))))  # type: ignore[operator]
    (found,) = made.flows
    assert (found.rate, found.ingress, found.egress, found.source) == (512, 3, 4, 3)
    header = found.header
    assert (header.version, header.source_port, header.destination_port) == (6, 5000, 443)
    assert (header.size, header.tcp_flags, header.label) == (60, 2, 0xABCDE)
    assert made.malformed == made.other == []
    assert (made.sub_agent, made.sequence, made.uptime_ms, made.agent) == (3, 5, 60_000, bytes(15) + b"\x09")


def test_a_header_that_begins_with_ip_and_sampled_records_give_the_same() -> None:
    (bare,) = sflow.decode(datagram(flow(raw(SYN, 12)))).flows
    sampled = words(4) + opaque(words(60, 6) + SYN[8:40] + words(5000, 443, 2, 0))
    (short,) = sflow.decode(datagram(flow(sampled))).flows
    four = words(3) + opaque(words(60, 6) + b"\xc0\0\2\1\xc0\0\2\2" + words(5000, 443, 2, 0xB8))
    (old,) = sflow.decode(datagram(flow(four))).flows
    assert (bare.header.source, bare.header.size) == (short.header.source, short.header.size)
    assert (old.header.version, old.header.destination, old.header.dscp) == (4, b"\xc0\0\2\2", 46)


def test_vlan_of_the_switch_and_next_hop_of_the_router() -> None:
    switch = words(1001) + opaque(words(12, 0, 13, 0))
    router = words(1002) + opaque(words(2) + bytes(15) + b"\x07" + words(64, 64))
    (found,) = sflow.decode(datagram(flow(raw(SYN, 12), switch, router))).flows
    assert found.header.vlan == 12
    assert found.next_hop == bytes(15) + b"\x07"


@pytest.mark.parametrize("sample", [(2, words(1, 4, 1)), (4, words(1, 0, 4, 1))])
def test_counters_of_an_interface(sample: tuple[int, bytes]) -> None:
    made = sflow.decode(datagram((sample[0], sample[1] + words(1) + opaque(COUNTERS))))
    assert made.counters == [sflow.InterfaceCounters(4, 6, 10**9, True, True, 2**40, 5, 6, 2**41, 8, 9)]


def test_several_or_unknown_interfaces_have_no_index() -> None:
    body = words(9, 3, 1, 0, 0, 0x80000003, 0x40000001, 1) + raw(SYN, 12)
    (found,) = sflow.decode(datagram((1, body))).flows
    assert (found.ingress, found.egress) == (-1, -1)


def test_one_bad_sample_does_not_cost_the_others() -> None:
    made = sflow.decode(datagram((1, b"\0\0"), flow(raw(SYN, 12)), (99, b"abcd"), flow(raw(bytes(60), 1))))
    assert len(made.flows) == 1
    assert made.malformed == ["short_sample"]
    assert made.other == ["sample_kind", "not_ip"]


def test_samples_that_claim_to_be_millions_end_with_the_datagram() -> None:
    made = sflow.decode(words(5, 1) + bytes(4) + words(0, 1, 1, 0xFFFFFFFF))
    assert made.malformed == ["short_sample"]


@pytest.mark.parametrize("frame", range(len(FRAMES)))
def test_a_frame_of_the_captures_is_read_as_it_is(frame: int) -> None:
    sflow.decode(datagram(flow(raw(FRAMES[frame]))))
