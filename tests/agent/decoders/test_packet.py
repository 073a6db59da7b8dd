from __future__ import annotations

import contextlib
import ipaddress
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.decoders import packet, pcap
from telemetry.errors import Permanent
from tests.agent.inputs.pair import ROOT, program

CAPTURE = ROOT / "tests" / "captures" / "headers.pcap"
ETHERNET = bytes(12)
SIX = ETHERNET + b"\x86\xdd" + b"\x60\x00\x00\x00" + b"\x00\x14\x06\x40" + bytes(31) + b"\x01"
TCP = b"\x9c\x40\x01\xbb" + bytes(8) + b"\x50\x02" + bytes(6)


def records() -> list[pcap.Record]:
    return list(pcap.records(CAPTURE.read_bytes()))


@settings(max_examples=300)
@given(st.binary(max_size=200), st.integers(0, 100))
def test_any_bytes_give_a_header_or_nothing_or_permanent(data: bytes, more: int) -> None:
    for frame in (data, ETHERNET + b"\x86\xdd" + data, ETHERNET + b"\x08\x00" + data):
        with contextlib.suppress(Permanent):
            header = packet.decode(frame, len(frame) + more)
            assert header is None or 0 < header.size <= len(frame) + more


@settings(max_examples=200)
@given(st.sampled_from(records()), st.data())
def test_a_cut_or_changed_packet_gives_a_header_or_nothing_or_permanent(
    record: pcap.Record, data: st.DataObject
) -> None:
    frame = bytearray(record.frame[: data.draw(st.integers(0, len(record.frame)))])
    for _ in range(data.draw(st.integers(0, 3))):
        if frame:
            frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Permanent):
        packet.decode(bytes(frame), record.length)


@pytest.mark.parametrize("record", records(), ids=str)
def test_a_shorter_capture_never_tells_something_else(record: pcap.Record) -> None:
    """With fewer bytes captured a value is the same or 0, and a good packet never becomes a malformed one."""
    try:
        whole = packet.decode(record.frame, record.length)
    except Permanent:
        return
    if whole is None:
        return
    for size in range(54 + 8, len(record.frame)):
        part = packet.decode(record.frame[:size], record.length)
        assert part is not None
        assert (part.source, part.destination, part.size, part.vlan) == (
            whole.source, whole.destination, whole.size, whole.vlan,
        )  # fmt: skip
        for name in ("source_port", "destination_port", "tcp_flags"):
            assert getattr(part, name) in (0, getattr(whole, name))


@pytest.mark.needs("tshark")
def test_tshark_reads_the_same_from_the_capture() -> None:
    fields = ["ip.src", "ipv6.src", "ip.dst", "ipv6.dst", "tcp.srcport", "udp.srcport", "sctp.srcport", "tcp.dstport",
              "udp.dstport", "sctp.dstport", "ip.len", "ipv6.plen", "frame.protocols"]  # fmt: skip
    options = [word for field in fields for word in ("-e", field)]
    command = [program("tshark"), "-r", str(CAPTURE), "-T", "fields", "-E", "occurrence=f", *options]
    command += ["-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    compared = 0
    for record, line in zip(records(), lines, strict=True):
        try:
            header = packet.decode(record.frame, record.length)
        except Permanent:
            continue
        if header is None:
            continue
        row = dict(zip(fields, line.split("\t"), strict=True))
        outer = "ipv6" if header.version == 6 else "ip"
        assert str(ipaddress.ip_address(header.source)) == row[f"{outer}.src"]
        assert str(ipaddress.ip_address(header.destination)) == row[f"{outer}.dst"]
        size = int(row["ipv6.plen"]) + 40 if header.version == 6 else int(row["ip.len"])
        assert header.size == size
        transport = {6: "tcp", 17: "udp", 132: "sctp"}.get(header.protocol)
        if transport and row[f"{transport}.srcport"]:
            assert str(header.source_port) == row[f"{transport}.srcport"]
            assert str(header.destination_port) == row[f"{transport}.dstport"]
            assert transport in row["frame.protocols"]
            compared += 1
        else:
            assert not header.source_port
    assert compared >= 12


def test_the_outermost_tag_is_the_one_the_kernel_took_off() -> None:
    tagged = ETHERNET + b"\x81\x00\x00\x1e" + SIX[12:] + TCP
    inner, both = packet.decode(tagged, len(tagged)), packet.decode(tagged, len(tagged), vlan=300)
    assert inner
    assert both
    assert (inner.vlan, both.vlan) == (30, 300)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "short_frame"),
        (ETHERNET + b"\x81\x00\x00", "short_tag"),
        (SIX[:40], "short_ipv6"),
        (ETHERNET + b"\x86\xdd" + b"\x40" + bytes(39), "bad_ipv6"),
        (SIX + TCP[:-4], "bad_ipv6"),
        (SIX[:18] + b"\x00\x04\x06" + SIX[21:] + TCP[:4], "short_transport"),
        (SIX[:18] + b"\x00\x04\x00" + SIX[21:] + TCP[:4], "bad_chain"),
        (ETHERNET + b"\x08\x00" + b"\x44" + bytes(19), "bad_ipv4"),
        (ETHERNET + b"\x08\x00" + b"\x45\x00\xff\xff" + bytes(16), "bad_ipv4"),
    ],
)
def test_what_is_malformed_is_refused_with_the_reason(frame: bytes, reason: str) -> None:
    with pytest.raises(Permanent) as refused:
        packet.decode(frame, len(frame))
    assert refused.value.reason == reason


def test_a_large_packet_stands_for_those_on_the_wire() -> None:
    """1428 bytes of payload in each of 3, 72 bytes of headers, of which one packet shows its own."""
    frame = SIX + b"\x9c\x40\x01\xbb" + bytes(8) + b"\x80\x10" + bytes(18)
    length = len(frame) + 2 * 1428 + 10
    header = packet.Header(6, b"", b"", packet.TCP, 1, 2, 0, length - 14, 0, 0, 0)
    assert packet.joined(frame, length, header, 1428, 54) == (3, 2 * 72)
    assert packet.joined(frame[:60], length, header, 1428, 54) == (1, 0)
