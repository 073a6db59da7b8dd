from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decoders import pcapng
from agent.decoders.captures import records
from agent.decoders.pcap import Record
from telemetry.errors import Permanent
from tests.agent.decoders import blocks, tshark

START = 1_790_000_000
EACH = pytest.mark.parametrize("order", ["<", ">"])


def read(data: bytes) -> list[Record]:
    return list(records([data]))


def outcome(data: bytes, piece: int = 0) -> tuple[list[Record], str]:
    given_: list[Record] = []
    try:
        for record in records([data[at : at + piece] for at in range(0, len(data), piece)] if piece else [data]):
            given_.append(record)  # noqa: PERF402  extend would lose what came before the fault
    except Permanent as fault:
        return given_, str(fault)
    return given_, ""


RESOLUTIONS: list[tuple[bytes, int, int]] = [
    (b"", START * 10**6 + 5, START * 10**9 + 5000),
    (b"\x06", START * 10**6 + 5, START * 10**9 + 5000),
    (b"\x09", START * 10**9 + 5, START * 10**9 + 5),
    (b"\x00", START, START * 10**9),
    (b"\x03", START * 10**3 + 7, START * 10**9 + 7 * 10**6),
    (b"\x0a", START * 10**10 + 57, START * 10**9 + 5),
    (b"\x80", START, START * 10**9),
    (b"\x8a", START << 10 | 512, START * 10**9 + 500_000_000),
    (b"\xa0", START << 32 | 1 << 30, START * 10**9 + 250_000_000),
    (b"\x13", START * 10**9 * 10, START),
    (b"\xff", 1, 0),
]


@EACH
@pytest.mark.parametrize(("resolution", "ticks", "expected"), RESOLUTIONS)
@pytest.mark.parametrize("offset", [0, 3600, -3600])
def test_every_unit_of_time_and_offset(order: str, resolution: bytes, ticks: int, expected: int, offset: int) -> None:
    options = blocks.option(order, pcapng.RESOLUTION, resolution) if resolution else b""
    options += blocks.option(order, pcapng.OFFSET, struct.pack(order + "q", offset)) + bytes(4)
    data = blocks.section(order) + blocks.interface(order, options=options) + blocks.packet(order, ticks, b"frame")
    assert read(data) == [Record(max(expected + offset * 10**9, 0), 5, b"frame")]


@EACH
def test_sections_have_interfaces_of_their_own_and_other_blocks_are_passed_over(order: str) -> None:
    other = {"<": ">", ">": "<"}[order]
    nano = blocks.option(order, pcapng.RESOLUTION, b"\x09")
    data = b"".join([
        blocks.section(order), blocks.block(order, 4, b"names"), blocks.interface(order, 113),
        blocks.block(order, 0xBAD, bytes(100)), blocks.interface(order, 101, 0, nano),
        blocks.packet(order, START * 10**9, b"raw", 1, 900), blocks.packet(order, START * 10**6, b"cooked", 0),
        blocks.old_packet(order, START * 10**9 + 1, b"old", 1), blocks.simple(order, 6, b"simple"),
        blocks.section(other), blocks.interface(other, 1, 4), blocks.simple(other, 60, b"snap"),
        blocks.packet(other, START * 10**6 + 2, b""),
    ])  # fmt: skip
    assert read(data) == [
        Record(START * 10**9, 900, b"raw", 101),
        Record(START * 10**9, 6, b"cooked", 113),
        Record(START * 10**9 + 1, 3, b"old", 101),
        Record(START * 10**9 + 1, 6, b"simple", 113),
        Record(START * 10**9 + 1, 60, b"snap", 1),
        Record(START * 10**9 + 2000, 0, b"", 1),
    ]


def faulty(order: str) -> dict[str, tuple[bytes, str]]:
    pack = struct.pack
    long_option = pack(order + "HH", pcapng.RESOLUTION, 9) + b"\x06"
    return {
        "a block cut off": (blocks.packet(order, 1, b"frame")[:-1], "short_file"),
        "a few bytes": (bytes(7), "short_file"),
        "a block of eight bytes": (pack(order + "II", 6, 8) + bytes(9), "bad_block"),
        "a block of 13 bytes": (pack(order + "II", 6, 13) + bytes(9), "bad_block"),
        "a huge block": (pack(order + "II", 6, 1 << 31) + bytes(9), "bad_block"),
        "another length at the end": (blocks.packet(order, 1, b"four")[:-4] + bytes(4), "bad_block"),
        "an unknown interface": (blocks.packet(order, 1, b"frame", 1), "bad_interface"),
        "more bytes than the block": (
            blocks.block(order, 6, pack(order + "IIIII", 0, 0, 0, 9, 9) + bytes(8)), "bad_packet"),
        "a simple one too": (blocks.simple(order, 9, bytes(8)), "bad_packet"),
        "a short packet block": (blocks.block(order, 6, bytes(8)), "bad_packet"),
        "a short simple block": (blocks.block(order, 3, b""), "bad_packet"),
        "a short interface block": (blocks.block(order, 1, bytes(4)), "bad_interface"),
        "an option past the end": (blocks.interface(order, options=long_option), "bad_interface"),
        "another version": (blocks.section(order, 2), "bad_version"),
        "no byte order": (blocks.block(order, pcapng.SECTION, bytes(16)), "bad_block"),
        "too many interfaces": (blocks.interface(order) * pcapng.MAX_INTERFACES, "bad_interface"),
    }  # fmt: skip


@EACH
@pytest.mark.parametrize("what", sorted(faulty("<")))
def test_what_came_before_a_fault_is_given_and_the_fault_has_its_place(order: str, what: str) -> None:
    good = blocks.section(order) + blocks.interface(order) + blocks.packet(order, START * 10**6, b"good")
    bad, reason = faulty(order)[what]
    found, fault = outcome(good + bad)
    assert [record.frame for record in found] == [b"good"]
    assert fault.startswith(f"{reason}: at byte ")
    place = int(fault.split()[3].rstrip(":"))
    assert place == len(good) + (len(bad) - 20 if what == "too many interfaces" else 0)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    order = draw(st.sampled_from("<>"))
    some, ticks, few = st.binary(max_size=40), st.integers(0, 2**64 - 1), st.integers(0, 40)
    makers: list[Callable[[], bytes]] = [
        lambda: blocks.section(order),
        lambda: blocks.interface(order, draw(st.integers(0, 300)), draw(few), draw(some)),
        lambda: blocks.packet(order, draw(ticks), draw(some), draw(st.integers(0, 2))),
        lambda: blocks.old_packet(order, draw(ticks), draw(some)),
        lambda: blocks.simple(order, draw(few), draw(some)),
        lambda: blocks.block(order, draw(st.integers(0, 12)), draw(some)),
        lambda: draw(st.binary(max_size=16)),
    ]  # fmt: skip
    start = blocks.section(order) + blocks.interface(order)
    data = bytearray(start + b"".join(makers[i]() for i in draw(st.lists(st.integers(0, 6), max_size=12))))
    for _ in range(draw(st.integers(0, 2))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


@given(files(), st.integers(1, 200))
def test_any_blocks_give_records_or_permanent_also_piece_by_piece(data: bytes, piece: int) -> None:
    found, fault = outcome(data)
    assert all(0 <= record.time_ns <= pcapng.LATEST for record in found)
    in_pieces, its_fault = outcome(data, piece)
    assert in_pieces == found
    assert its_fault == fault


@given(st.binary(max_size=300))
def test_any_bytes_give_records_or_permanent(data: bytes) -> None:
    for candidate in (data, pcapng.MAGIC + data, blocks.section("<") + data):
        with contextlib.suppress(Permanent):
            read(candidate)


@pytest.mark.needs("tshark")
def test_a_recording_of_several_interfaces_is_what_tshark_reads() -> None:
    capture = tshark.CAPTURES / "links" / "several.pcapng"
    found = read(capture.read_bytes())
    expected = tshark.fields(capture, "frame.time_epoch", "frame.cap_len", "frame.len", "frame.encap_type")
    links = {"1": 1, "7": 101}
    assert [
        (f"{r.time_ns // 10**9}.{r.time_ns % 10**9:09}", str(len(r.frame)), str(r.length), r.link) for r in found
    ] == [(*row[:3], links[row[3]]) for row in expected]
    assert len({record.link for record in found}) == 2


@pytest.mark.needs("tshark")
@pytest.mark.parametrize("form", ["pcapng", "nsecpcap", "pcap"])
@pytest.mark.parametrize("name", ["headers.pcap", "ndp.pcap", "links/sll.pcap", "links/sll2.pcap", "links/raw.pcap"])
def test_what_editcap_makes_of_a_capture_is_the_same_capture(name: str, form: str, tmp_path: Path) -> None:
    made = tmp_path / "made"
    tshark.run("editcap", "-F", form, str(tshark.CAPTURES / name), str(made))
    before = read((tshark.CAPTURES / name).read_bytes())
    unit = 1000 if form == "pcap" else 1
    assert read(made.read_bytes()) == [
        Record(record.time_ns // unit * unit, record.length, record.frame, record.link) for record in before
    ]
