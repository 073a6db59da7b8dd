from __future__ import annotations

import contextlib

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from telemetry import wire
from telemetry.errors import Permanent


def header(count: int, **changes: object) -> wire.Header:
    return msgspec.structs.replace(wire.Header(v=1, agent="a1", epoch=7, count=count), **changes)


def test_a_batch_survives_the_way_there_and_back() -> None:
    data = wire.encode(header(2), [(3, b'{"a":1}'), (9, b'{"b":"\\u6ee1"}')])
    batch = wire.decode(data)
    assert batch.header == header(2)
    assert [(s, msgspec.json.decode(r)) for s, r in batch.records] == [(3, {"a": 1}), (9, {"b": "满"})]


@given(st.binary(max_size=2000))
def test_any_bytes_give_a_batch_or_permanent(data: bytes) -> None:
    for candidate in (data, zstandard.compress(data)):
        with contextlib.suppress(Permanent):
            wire.decode(candidate)


def test_a_newer_format_is_refused_and_says_what_is_read() -> None:
    data = wire.encode(header(0, v=2), [])
    with pytest.raises(Permanent, match=r"unsupported_version: .*reads up to 1"):
        wire.decode(data)


def test_a_zstd_bomb_is_refused_within_its_bound() -> None:
    bomb = zstandard.compress(b"\0" * (wire.MAX_EXPANDED + 10_000_000))
    assert len(bomb) < 100_000
    with pytest.raises(Permanent, match="too_large"):
        wire.decode(bomb)


@pytest.mark.parametrize("records", [[(2, b"{}"), (2, b"{}")], [(5, b"{}"), (4, b"{}")], [(0, b"{}")]])
def test_sequences_must_rise(records: list[tuple[int, bytes]]) -> None:
    with pytest.raises(Permanent, match="bad_sequence"):
        wire.decode(wire.encode(header(len(records)), records))


def test_a_count_that_does_not_match_is_refused() -> None:
    with pytest.raises(Permanent, match="count_mismatch"):
        wire.decode(wire.encode(header(3), [(1, b"{}")]))


def test_unknown_header_keys_of_a_newer_writer_are_ignored() -> None:
    line = b'{"v":1,"agent":"a","epoch":1,"count":0,"invented_later":[1,2]}'
    assert wire.decode(zstandard.compress(line)).header.agent == "a"
