from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decoders import pcapng, pcapng_writer
from agent.decoders.captures import records
from agent.decoders.pcap import Record
from tests.agent.decoders import tshark

START = 1_790_000_000_123_456_789


@given(
    st.lists(
        st.builds(
            Record, st.integers(0, pcapng.LATEST), st.integers(0, 2**32 - 1), st.binary(max_size=200),
            st.integers(0, 0xFFFF), st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
        ),
        max_size=20,
    ),
    st.text(max_size=200),
)  # fmt: skip
def test_what_is_written_is_read_again(packets: list[Record], comment: str) -> None:
    numbers: dict[tuple[int, str], int] = {}
    data = pcapng_writer.section("writer", comment)
    for packet in packets:
        key = packet.link, packet.interface
        if key not in numbers:
            numbers[key] = len(numbers)
            data += pcapng_writer.interface(*key)
        made = pcapng_writer.packet(numbers[key], packet.time_ns, packet.frame, packet.length)
        assert len(made) == len(packet.frame) + -len(packet.frame) % 4 + pcapng_writer.OVERHEAD
        data += made
    assert list(records([data])) == packets


@pytest.mark.needs("tshark")
def test_other_programs_read_it(tmp_path: Path) -> None:
    out = tmp_path / "made.pcapng"
    frames = list(records([(tshark.CAPTURES / "headers.pcap").read_bytes()]))[:50]
    raw = list(records([(tshark.CAPTURES / "links" / "raw.pcap").read_bytes()]))
    data = pcapng_writer.section("tengwang-agent 1", "asked by 张伟") + pcapng_writer.interface(1, "eth0")
    data += pcapng_writer.interface(101, "tun0")
    for number, packets in enumerate((frames, raw)):
        for at, record in enumerate(packets):
            data += pcapng_writer.packet(number, START + at, record.frame, record.length, f"number {at}")
    out.write_bytes(data)
    names = "frame.time_epoch", "frame.interface_name", "frame.len", "frame.cap_len", "frame.comment"
    assert tshark.fields(out, *names) == [
        (f"1790000000.{123456789 + at:09}", name, str(r.length), str(len(r.frame)), f"number {at}")
        for name, packets in (("eth0", frames), ("tun0", raw))
        for at, r in enumerate(packets)
    ]
    about = tshark.run("capinfos", str(out))
    assert "asked by 张伟" in about
    assert "tengwang-agent 1" in about
    assert f"Number of packets = {len(raw)}" in about
    again = tmp_path / "again.pcap"
    tshark.run("editcap", "-F", "pcapng", str(out), str(again))
    assert list(records([again.read_bytes()])) == list(records([data]))
