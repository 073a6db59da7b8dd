from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decoders import pcap
from telemetry.errors import Permanent

MAGIC = {(order, unit): magic for magic, (order, unit) in pcap.MAGIC.items()}


def file_of(order: str, unit: int, frames: list[bytes], link: int = 1) -> bytes:
    out = MAGIC[order, unit] + struct.pack(order + "HHiIII", 2, 4, 0, 0, 65535, link)
    for number, frame in enumerate(frames):
        out += struct.pack(order + "IIII", 1_790_000_000, number * 5, len(frame), len(frame) + 100) + frame
    return out


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("unit", [1000, 1])
def test_both_byte_orders_and_both_units_are_read(order: str, unit: int) -> None:
    start = 1_790_000_000_000_000_000
    assert list(pcap.records(file_of(order, unit, [b"one", b"", b"three"]))) == [
        pcap.Record(start, 103, b"one"),
        pcap.Record(start + 5 * unit, 100, b""),
        pcap.Record(start + 10 * unit, 105, b"three"),
    ]


@given(st.binary(max_size=300), st.sampled_from(sorted(MAGIC)))
def test_any_bytes_give_records_or_permanent(data: bytes, form: tuple[str, int]) -> None:
    for candidate in (data, file_of(*form, []) + data, MAGIC[form] + data):
        with contextlib.suppress(Permanent):
            list(pcap.records(candidate))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not_pcap"),
        (b"\x0a\x0d\x0d\x0a" + bytes(40), "not_pcap"),
        (file_of("<", 1000, [], link=101), "not_ethernet"),
        (file_of("<", 1000, [b"frame"])[:-1], "short_file"),
        (file_of("<", 1000, []) + bytes(7), "short_file"),
        (file_of("<", 1000, []) + struct.pack("<IIII", 0, 0, 1 << 31, 0) + bytes(99), "bad_packet"),
    ],
)
def test_what_is_no_capture_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Permanent) as refused:
        list(pcap.records(data))
    assert refused.value.reason == reason


def test_what_came_before_the_fault_is_given() -> None:
    found = pcap.records(file_of("<", 1000, [b"good", b"cut off"])[:-2])
    assert next(found).frame == b"good"
    with pytest.raises(Permanent):
        next(found)
