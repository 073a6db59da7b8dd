from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.decoders import links, pcap
from agent.decoders.captures import records
from agent.decoders.packet import Header
from telemetry.errors import Permanent
from tests.agent.decoders import tshark

RECORDED = ["headers.pcap", "dns.pcap", "links/sll.pcap", "links/sll2.pcap", "links/raw.pcap", "links/several.pcapng"]
HEADERS: dict[int, tuple[bytes, bytes]] = {
    1: (bytes(12) + b"\x08\x00", bytes(12) + b"\x86\xdd"),
    101: (b"", b""),
    12: (b"", b""),
    14: (b"", b""),
    228: (b"", b""),
    229: (b"", b""),
    108: (struct.pack(">I", 2), struct.pack(">I", 30)),
    0: (struct.pack("<I", 2), struct.pack("<I", 24)),
    113: (bytes(14) + b"\x08\x00", bytes(14) + b"\x86\xdd"),
    276: (b"\x08\x00" + bytes(18), b"\x86\xdd" + bytes(18)),
}
"""What stands before an IPv4 and an IPv6 header on each link."""


def said(header: Header) -> tuple[str, str, str]:
    family = socket.AF_INET6 if header.version == 6 else socket.AF_INET
    return socket.inet_ntop(family, header.source), socket.inet_ntop(family, header.destination), str(header.size)


def ours(data: bytes) -> list[tuple[str, str, str]]:
    found = []
    for record in records([data]):
        header = None
        with contextlib.suppress(Permanent):
            header = links.decode(record.link, record.frame, record.length)
        found.append(said(header) if header else ("", "", ""))
    return found


def theirs(capture: Path) -> list[tuple[str, str, str]]:
    """Outermost addresses, and the size from the IP header on."""
    rows = tshark.fields(capture, "ip.src", "ip.dst", "ip.len", "ipv6.src", "ipv6.dst", "ipv6.plen", "frame.protocols")
    found = []
    for row in rows:
        v4, v6 = ([column.split(",")[0] for column in row[start : start + 3]] for start in (0, 3))
        names = row[6].split(":")
        six = "ipv6" in names and ("ip" not in names or names.index("ipv6") < names.index("ip"))
        if six:
            v6[2] = str(int(v6[2]) + 40)
        elif v4[0] and "ip" not in names[:6]:
            v4 = ["", "", ""]
        source, destination, size = v6 if six else v4
        found.append((source, destination, size))
    return found


@pytest.mark.needs("tshark")
@pytest.mark.parametrize("name", ["dns.pcap", *(name for name in RECORDED if name.startswith("links/"))])
def test_a_recording_of_each_link_is_what_tshark_reads(name: str) -> None:
    capture = tshark.CAPTURES / name
    found = ours(capture.read_bytes())
    assert found == theirs(capture)
    assert {len(ipaddress.ip_address(source).packed) for source, _, _ in found if source} == {4, 16}


def rewritten(link: int, order: str, unit: int, version: int) -> bytes:
    """The packets of a raw recording as another link has them."""
    magic = {form: magic for magic, form in pcap.MAGIC.items()}[order, unit]
    out = magic + struct.pack(order + "HHiIII", 2, 4, 0, 0, 65535, link)
    for record in records([(tshark.CAPTURES / "links" / "raw.pcap").read_bytes()]):
        kind = record.frame[0] >> 4
        if version in (0, kind):
            frame = HEADERS[link][kind == 6] + record.frame
            when, size = divmod(record.time_ns, 10**9), len(HEADERS[link][kind == 6]) + record.length
            out += struct.pack(order + "IIII", when[0], when[1] // unit, len(frame), size) + frame
    return out


@pytest.mark.needs("tshark")
@pytest.mark.parametrize("link", sorted(HEADERS))
@pytest.mark.parametrize(("order", "unit"), sorted(pcap.MAGIC.values()))
def test_each_link_in_each_form_is_what_tshark_reads(link: int, order: str, unit: int, tmp_path: Path) -> None:
    capture = tmp_path / "made.pcap"
    capture.write_bytes(rewritten(link, order, unit, {228: 4, 229: 6}.get(link, 0)))
    found = ours(capture.read_bytes())
    assert found == theirs(capture)
    assert len(found) >= 4
    assert all(source for source, _, _ in found)


@pytest.mark.parametrize("link", [1, 113, 276])
def test_vlan_tags_are_read_on_each_link_that_can_have_them(link: int) -> None:
    six = next(r for r in records([(tshark.CAPTURES / "links" / "raw.pcap").read_bytes()]) if r.frame[0] >> 4 == 6)
    head = HEADERS[link][1]
    place = head.rindex(b"\x86\xdd")
    tag = b"\x88\xa8"
    tagged = head[:place] + tag + head[place + 2 :] + b"\x00\x07\x81\x00\x00\x09\x86\xdd" + six.frame
    header = links.decode(link, tagged, len(tagged))
    assert header is not None
    assert header.vlan == 7
    assert said(header) == said(links.decode(101, six.frame, six.length) or header)
    with pytest.raises(Permanent, match="short_tag"):
        links.decode(link, tagged[: len(head) + 2], len(tagged))


@pytest.mark.parametrize("family", [10, 23, 24, 28, 30])
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_loopback_of_every_system(family: int, order: str) -> None:
    six = next(r for r in records([(tshark.CAPTURES / "links" / "raw.pcap").read_bytes()]) if r.frame[0] >> 4 == 6)
    frame = struct.pack(order + "I", family) + six.frame
    assert links.decode(0, frame, len(frame)) == links.decode(101, six.frame, six.length)


def test_a_netlink_message_in_a_cooked_capture_is_no_packet() -> None:
    assert links.decode(113, b"\0\0\x03\x38" + bytes(10) + b"\x08\x00" + bytes(40), 56) is None


@settings(max_examples=300)
@given(st.sampled_from([*sorted(HEADERS), 7, 127]), st.binary(max_size=120), st.booleans(), st.integers(0, 50))
def test_any_bytes_on_any_link_give_a_header_or_nothing_or_permanent(
    link: int, data: bytes, six: bool, more: int
) -> None:
    for frame in (data, HEADERS.get(link, (b"", b""))[six] + data):
        with contextlib.suppress(Permanent):
            header = links.decode(link, frame, len(frame) + more)
            assert header is None or 0 < header.size <= len(frame) + more
