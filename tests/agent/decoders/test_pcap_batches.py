from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decoders import captures, pcap, pcap_batches
from agent.decoders.batch import Batch
from telemetry.errors import Permanent
from tests.agent.inputs.pair import ROOT

MAGIC = {form: magic for magic, form in pcap.MAGIC.items()}
START = 1_790_000_000


def of(batches: Iterable[Batch]) -> Iterator[pcap.Record]:
    for batch in batches:
        for i in range(len(batch)):
            frame = batch.data[batch.starts[i] : batch.starts[i] + batch.captured[i]]
            assert len(frame) == batch.captured[i], "every packet lies wholly inside data"
            yield pcap.Record(int(batch.times_ns[i]), int(batch.lengths[i]), frame.tobytes(), batch.link)


def outcome(found: Iterable[pcap.Record]) -> tuple[list[pcap.Record], str]:
    """All that was given, and how it ended."""
    given: list[pcap.Record] = []
    try:
        for record in found:
            given.append(record)  # noqa: PERF402  extend would lose what came before the fault
    except Permanent as fault:
        return given, str(fault)
    return given, ""


def agree(data: bytes, piece: int = 97) -> tuple[list[pcap.Record], str]:
    """Batches say what the plain walk says, in one piece and in many."""
    pieces = [data[at : at + piece] for at in range(0, len(data), piece)]
    plain = outcome(captures.records((data,)))
    assert outcome(captures.records(pieces)) == plain
    # a batch does not name interfaces
    unnamed = [msgspec.structs.replace(record, interface="") for record in plain[0]], plain[1]
    assert outcome(of(pcap_batches.batches(data))) == unnamed
    assert outcome(of(pcap_batches.batches_of(pieces))) == unnamed
    return plain


@pytest.fixture
def small() -> Iterator[None]:
    """Many chains over a few packets."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"SEGMENT": 64, "STRETCH": 2048, "FEWEST": 2, "PACKETS": 7, "CHECK_EVERY": 3}.items():
            patch.setattr(pcap_batches, name, value)
        yield


def file_of(form: tuple[str, int], packets: Iterable[tuple[int, int, bytes]], link: int = 1) -> bytes:
    order, _ = form
    out = [MAGIC[form] + struct.pack(order + "HHiIII", 2, 4, 0, 0, 65535, link)]
    for seconds, fraction, frame in packets:
        out.append(struct.pack(order + "IIII", seconds, fraction, len(frame), len(frame) + 3) + frame)
    return b"".join(out)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Some with packets that hold what looks like packet headers, so that guesses go wrong; some cut or damaged."""
    form = draw(st.sampled_from(sorted(MAGIC)))
    false = struct.pack(form[0] + "IIII", START, 0, 20, 60)
    part = st.one_of(st.just(false), st.just(false[:9]), st.binary(max_size=40), st.just(bytes(64)))
    frames = draw(st.lists(st.lists(part, max_size=5).map(b"".join), max_size=60))
    seconds = st.integers(START, START + 3) | st.integers(0, 2**32 - 1)
    packets = [(draw(seconds), draw(st.integers(0, 999_999)), frame) for frame in frames]
    data = bytearray(file_of(form, packets * draw(st.integers(1, 4)), draw(st.integers(0, 300))))
    for _ in range(draw(st.integers(0, 2))):
        data[draw(st.integers(24, len(data))) :][:1] = draw(st.binary(min_size=1, max_size=1))
        if len(data) > 24:
            data[draw(st.integers(24, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: len(data) - draw(st.integers(0, 40))])


@given(files(), st.integers(10, 5000))
@pytest.mark.usefixtures("small")
def test_the_chains_find_what_the_plain_walk_finds(data: bytes, piece: int) -> None:
    agree(data, piece)


@given(st.binary(max_size=400), st.sampled_from(sorted(MAGIC)))
@pytest.mark.usefixtures("small")
def test_any_bytes_give_batches_or_permanent(data: bytes, form: tuple[str, int]) -> None:
    for candidate in (data, file_of(form, []) + data, MAGIC[form] + data):
        agree(candidate)


@pytest.mark.parametrize("form", sorted(MAGIC))
def test_a_large_file_of_each_form(form: tuple[str, int]) -> None:
    random = np.random.default_rng(5)
    noise = random.bytes(4096)
    sizes = random.choice([60, 74, 128, 0, 1514], 120_000)
    data = file_of(form, ((START + i // 30_000, i % 30_000, noise[i % 2000 :][:size]) for i, size in enumerate(sizes)))
    assert len(data) > 3 * pcap_batches.STRETCH
    found, fault = agree(data[:-1], 3_000_000)
    assert len(found) == 119_999
    assert "short_file: at byte" in fault


def test_most_chains_of_an_ordinary_file_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this the rest would pass with the plain walk alone."""
    stepped = []
    plain = pcap_batches._Walk._plain

    def counted(self: Any, at: int, until: int, end: int) -> Any:
        found = plain(self, at, until, end)
        stepped.append(len(found[0]))
        return found

    monkeypatch.setattr(pcap_batches._Walk, "_plain", counted)
    noise = np.random.default_rng(7).bytes(4096)
    data = file_of(("<", 1000), ((START + i // 9000, i % 9000, noise[i % 3000 :][:128]) for i in range(100_000)))
    assert sum(map(len, pcap_batches.batches(data))) == 100_000
    assert sum(stepped) < 2000


@pytest.mark.parametrize(
    "name", sorted(map(str, (ROOT / "tests" / "captures").rglob("*.pcap*"))), ids=lambda n: Path(n).name
)
@pytest.mark.usefixtures("small")
def test_real_captures(name: str) -> None:
    found, fault = agree(Path(name).read_bytes())
    assert found
    assert not fault


def test_a_pcapng_gives_what_came_before_its_fault() -> None:
    data = (ROOT / "tests" / "captures" / "links" / "several.pcapng").read_bytes()
    found, fault = agree(data[:-30])
    assert len(found) > 70
    assert {record.link for record in found} == {1, 101}
    assert "short_file: at byte" in fault
