from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.decoders import links
from agent.decoders.captures import records
from agent.decoders.header_end import headers
from agent.decoders.pcap import Record
from telemetry.errors import Permanent
from tests.agent.decoders import tshark

SECRET = b"what people say"
V4 = b"\x45\0\0\0\0\0\0\0\x40%c\0\0" + bytes(8)
V6 = b"\x60\0\0\0\0\0%c\x40" + bytes(32)
TCP = bytes(12) + b"\x80" + bytes(19)


def sample() -> list[Record]:
    found = []
    for name in ("headers.pcap", "ndp.pcap", "dns.pcap", "dhcp.pcap", "links/raw.pcap"):
        found += list(records([(tshark.CAPTURES / name).read_bytes()]))
    return found


@pytest.mark.parametrize(
    "head",
    [
        V4 % 6 + TCP,
        V4 % 17 + bytes(8),
        V4 % 1 + b"\x08" + bytes(7),
        V4 % 1 + b"\x03" + bytes(7) + V4 % 6 + bytes(4),
        V4 % 1 + b"\x03" + bytes(7) + V4 % 17 + bytes(8),
        V4 % 132 + bytes(12),
        V4 % 47,
        V6 % 6 + TCP,
        V6 % 17 + bytes(8),
        V6 % 58 + b"\x80" + bytes(7),
        V6 % 58 + b"\x01" + bytes(7) + V6 % 6 + bytes(4),
        V6 % 0 + b"\x2b" + bytes(7) + b"\x2c\x02" + bytes(22) + b"\x11" + bytes(7) + bytes(8),
        V6 % 44 + b"\x11\0\x05\x01" + bytes(4),
        V6 % 59,
    ],
)
@pytest.mark.parametrize("link", [b"", b"\x81\0\0\5", b"\x88\xa8\0\5\x81\0\0\6"])
def test_headers_are_kept_and_nothing_that_follows(head: bytes, link: bytes) -> None:
    frame = head + SECRET
    assert headers(101, frame) == len(head)
    ethernet = bytes(12) + link + (b"\x08\0" if head[0] >> 4 == 4 else b"\x86\xdd")
    assert headers(1, ethernet + frame) == len(ethernet + head)


def test_what_is_all_header_is_kept_whole_and_what_is_not_known_is_not() -> None:
    arp = bytes(12) + b"\x08\x06" + bytes(28)
    assert headers(1, arp + SECRET) == len(arp)
    assert headers(1, bytes(12) + b"\x88\xcc" + SECRET) == 14
    advertisement = V6 % 58 + b"\x86" + bytes(60)
    assert headers(101, advertisement) == len(advertisement)
    assert headers(127, SECRET) == headers(101, b"") == 0


def test_a_flow_is_the_same_by_the_headers_alone() -> None:
    compared = 0
    for record in sample():
        kept = record.frame[: headers(record.link, record.frame)]
        try:
            whole = links.decode(record.link, record.frame, record.length)
        except Permanent:
            continue
        assert links.decode(record.link, kept, record.length) == whole
        compared += whole is not None
    assert compared > 50


@settings(max_examples=400)
@given(st.sampled_from(sample()), st.data(), st.sampled_from([1, 101, 113]))
def test_any_frame_has_no_more_headers_than_bytes(record: Record, data: st.DataObject, link: int) -> None:
    frame = bytearray(record.frame[: data.draw(st.integers(0, len(record.frame)))])
    for _ in range(data.draw(st.integers(0, 4))):
        if frame:
            frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    assert 0 <= headers(link, bytes(frame)) <= len(frame)
