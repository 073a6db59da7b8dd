"""The vectorised decoder is held against the one that takes packets one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.decoders import packet, pcap
from agent.decoders.columns import decode
from telemetry.errors import Permanent
from tests.agent.decoders.batches import batch, row
from tests.agent.decoders.tshark import CAPTURES

RECORDS = [
    record
    for name in ("headers.pcap", "ndp.pcap", "dns.pcap", "dhcp.pcap", "arp.pcap")
    for record in pcap.records((CAPTURES / name).read_bytes())
]
TELLING = [0, 1, 4, 6, 17, 41, 43, 44, 47, 50, 51, 58, 60, 132, 135, 255]
"""Bytes that mean something somewhere in a header."""


@st.composite
def changed(draw: st.DrawFn) -> tuple[bytes, int]:
    record = draw(st.sampled_from(RECORDS))
    frame = bytearray(record.frame)
    if draw(st.booleans()):
        frame = frame[: draw(st.integers(0, len(frame)))]
    for _ in range(draw(st.integers(0, 4))):
        if frame:
            place = draw(st.integers(0, min(len(frame) - 1, draw(st.sampled_from([20, 60, 200])))))
            frame[place] = draw(st.sampled_from(TELLING) | st.integers(0, 255))
    length = draw(st.sampled_from([record.length, record.length + 5, len(frame)]) | st.integers(0, 300))
    return bytes(frame), length


def compare(frames: Sequence[tuple[bytes, int]]) -> None:
    columns = decode(batch([frame for frame, _ in frames], [length for _, length in frames]))
    found = {int(number): at for at, number in enumerate(columns.rows)}
    wrapped = set(columns.wrapped.tolist())
    skipped: Counter[str] = Counter()
    for number, (frame, length) in enumerate(frames):
        try:
            header = packet.decode(frame, length)
        except Permanent as error:
            header = None
            skipped[error.reason] += 1
        else:
            skipped["not_ip"] += header is None
        if header is None:
            assert number not in found
        elif found[number] not in wrapped:
            assert row(columns, found[number]) == (
                header.version, header.source, header.destination, header.protocol, header.source_port,
                header.destination_port, header.vlan, header.size, header.tcp_flags,
            )  # fmt: skip
        else:
            assert columns.sizes[found[number]] == header.size
    columns.skipped["not_ip"] += columns.skipped.pop("arp", 0)
    assert columns.skipped == +skipped
    assert len(columns.rows) + columns.skipped.total() == len(frames)


def test_the_captures_are_read_as_one_by_one() -> None:
    compare([(record.frame, record.length) for record in RECORDS])


@settings(max_examples=400)
@given(st.lists(changed(), max_size=30))
def test_changed_packets_are_read_as_one_by_one(frames: list[tuple[bytes, int]]) -> None:
    compare(frames)


@settings(max_examples=300)
@given(
    st.lists(st.binary(max_size=120), max_size=20),
    st.sampled_from([0, 1, 12, 101, 108, 113, 228, 276, 9999]),
    st.integers(-20, 60),
)
def test_any_bytes_of_any_link_type_are_a_row_or_counted(frames: list[bytes], link: int, more: int) -> None:
    lengths = [max(len(frame) + more, 0) for frame in frames]
    columns = decode(batch(frames, lengths, link))
    assert len(columns.rows) + columns.skipped.total() == len(frames)
    assert len(np.unique(columns.rows)) == len(columns.rows)
    assert (columns.sizes > 0).all()


def test_a_chain_or_a_stack_of_tags_without_end_ends() -> None:
    ethernet = bytes(12)
    chain = b"\x86\xdd\x60\0\0\0\xff\xff\x3c\x40" + bytes(32) + b"\x3c\0\1\4\0\0\0\0" * 8192
    tags = b"\x81\x00\x00\x05" * 16_000
    labels = b"\x88\x47" + bytes(60_000)
    columns = decode(batch([ethernet + chain[: 56 + 65535], ethernet + tags, ethernet + labels]))
    assert columns.odd == {"long_chain": 1}
    assert columns.skipped == {"many_tags": 2}


def test_a_packet_at_the_very_end_of_the_buffer_is_read_like_any_other() -> None:
    frame = RECORDS[0].frame
    once, twice = decode(batch([frame])), decode(batch([frame, frame]))
    assert row(once, 0) == row(twice, 0) == row(twice, 1)
