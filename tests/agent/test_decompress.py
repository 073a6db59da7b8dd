from __future__ import annotations

import gzip
import lzma
import random
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from agent import capture_file, decompress
from telemetry.errors import Permanent
from tests.agent.inputs.pair import ROOT, program

PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "xz": lzma.compress,
}
EACH = pytest.mark.parametrize("name", sorted(PACKED))
DATA = random.Random(3).randbytes(200_000) + bytes(1_000_000) + random.Random(4).randbytes(200_000)


def outcome(pieces: Iterable[bytes]) -> tuple[bytes, str]:
    found = b""
    try:
        for piece in decompress.pieces(iter(pieces)):
            found += piece
    except Permanent as fault:
        return found, str(fault)
    return found, ""


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@EACH
@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
def test_what_was_packed_is_unfolded_also_from_small_pieces(name: str, size: int) -> None:
    data = DATA[150_000:250_000] if size < 100 else DATA
    assert outcome(cut(PACKED[name](data), size)) == (data, "")


@EACH
def test_streams_one_after_another_are_one_file(name: str) -> None:
    pack = PACKED[name]
    padding = b"" if name == "zstd" else bytes(512)
    assert outcome(cut(pack(b"one ") + padding + pack(b"two") + padding, 100)) == (b"one two", "")


@EACH
def test_a_cut_stream_gives_what_came_before_and_says_so(name: str) -> None:
    packed = PACKED[name](DATA)
    found, fault = outcome(cut(packed[: len(packed) // 2], 4096))
    assert DATA.startswith(found)
    assert len(found) > 10_000
    assert fault.startswith(f"short_file: the {name} stream ends early, after {len(packed) // 2} bytes")


@EACH
def test_a_damaged_stream_gives_what_came_before_and_where_it_was(name: str) -> None:
    packed = bytearray(PACKED[name](DATA))
    place = len(packed) * 9 // 10
    packed[place : place + 64] = bytes(64)
    found, fault = outcome(cut(bytes(packed), 4096))
    assert len(found) > 100_000
    # what is inside a stored block is only found wrong by the checksum at its end
    assert DATA.startswith(found[:100_000])
    assert fault.startswith(f"bad_{name}: about byte ")


@given(st.binary(max_size=200), st.integers(1, 50), st.sampled_from(sorted(decompress.FORMATS)))
def test_any_bytes_are_unfolded_or_passed_on_or_permanent(data: bytes, size: int, magic: bytes) -> None:
    for candidate in (data, magic + data):
        found, fault = outcome(cut(candidate, size))
        if not any(candidate.startswith(known) for known in decompress.FORMATS):
            assert (found, fault) == (candidate, "")


@EACH
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=3), keep=st.integers(0, 10**6))
def test_a_changed_stream_gives_data_or_permanent(name: str, changes: list[tuple[int, int]], keep: int) -> None:
    packed = bytearray(PACKED[name](b"some data " * 50 + bytes(range(256))))
    for place, value in changes:
        packed[place % len(packed)] = value
    found, fault = outcome(cut(bytes(packed[: keep % len(packed) + 1]), 40))
    assert fault or len(found) < 5000


UNFOLD = """
import re, sys
from agent import capture_file
print(sum(len(piece) for piece in capture_file.pieces(sys.argv[1], lambda: False)))
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


@pytest.mark.parametrize("pack", [["gzip", "-6"], ["zstd", "-3"], ["xz", "-0"]], ids=lambda pack: str(pack[0]))
def test_a_bomb_does_not_fill_the_memory(pack: list[str], tmp_path: Path) -> None:
    size = 300 << 20
    bomb = tmp_path / "bomb"
    with (
        bomb.open("wb") as out,
        subprocess.Popen(["head", "-c", str(size), "/dev/zero"], stdout=subprocess.PIPE) as zeros,
    ):
        subprocess.run([program(pack[0]), *pack[1:], "-c"], stdin=zeros.stdout, stdout=out, check=True)
    assert bomb.stat().st_size < size / 500
    done = subprocess.run(
        [sys.executable, "-c", UNFOLD, str(bomb)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    unfolded, peak_kib = map(int, done.stdout.split())
    assert unfolded == size
    assert peak_kib < 80 << 10


def test_a_stream_that_asks_for_more_memory_than_allowed_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28, compression_level=1, write_content_size=False)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    _, fault = outcome([packer.compress(bytes(1000)) + packer.flush()])
    assert fault.startswith("bad_zstd: about byte 0 ")


def test_a_file_that_can_not_be_read_is_permanent(tmp_path: Path) -> None:
    for name in (tmp_path / "missing", tmp_path):
        with pytest.raises(Permanent, match="unreadable_file"):
            list(capture_file.pieces(str(name), lambda: False))


def test_a_reader_that_is_to_stop_stops(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(3 * capture_file.PIECE))
    answers = iter([False, False, True])
    found = list(capture_file.pieces(str(tmp_path / "file"), lambda: next(answers)))
    assert sum(map(len, found)) == 2 * capture_file.PIECE
