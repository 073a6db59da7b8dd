from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.decoders import bpf, ndp, packet
from telemetry.errors import Permanent
from tests.agent.decoders.kernel_filter import Passes, kernel

ROUTER, NEIGHBOR = (133, 134, 137), (135, 136)


@pytest.fixture(scope="module")
def routers() -> Iterator[Passes]:
    with kernel(bpf.assemble(bpf.neighbor_discovery(ROUTER, 0xFFFF, hidden=True))) as passes:
        yield passes


@pytest.fixture(scope="module")
def neighbors() -> Iterator[Passes]:
    with kernel(bpf.assemble(bpf.neighbor_discovery(NEIGHBOR, 0xFFFF, hidden=False))) as passes:
        yield passes


def frame(headers: bytes, first: int, tags: bytes = b"") -> bytes:
    return (
        bytes(12) + tags + b"\x86\xdd\x60\0\0\0" + struct.pack(">HBB", len(headers), first, 255) + bytes(32) + headers
    )


MESSAGE = {kind: bytes([kind]) + bytes(39) for kind in range(128, 144)}
HOP = b"\x3a\x00" + bytes(6)
LONG_HOP = b"\x3a\x01" + bytes(14)


@pytest.mark.parametrize("kind", MESSAGE)
@pytest.mark.parametrize("tags", [b"", b"\x81\x00\x00\x07", b"\x88\xa8\x00\x07"])
def test_each_filter_takes_its_types_and_no_other(routers: Passes, neighbors: Passes, kind: int, tags: bytes) -> None:
    body = MESSAGE[kind]
    for candidate in (frame(body, 58, tags), frame(HOP + body, 0, tags), frame(LONG_HOP + body, 60, tags)):
        assert routers(candidate) == (kind in ROUTER)
        assert neighbors(candidate) == (kind in NEIGHBOR)


def test_what_hides_its_type_is_taken_once(routers: Passes, neighbors: Passes) -> None:
    fragment = b"\x3c\x00\x00\x01" + bytes(4)
    for hidden in (
        frame(fragment + bytes(16), 44),
        frame(b"\x3a" + fragment[1:] + bytes(16), 44),
        frame(b"\x3c\x00" + bytes(6) + HOP + MESSAGE[134], 0),
        frame(b"\x2c\x00" + bytes(6) + fragment, 0),
    ):
        assert routers(hidden)
        assert not neighbors(hidden)


def test_other_traffic_stays_in_the_kernel(routers: Passes, neighbors: Passes) -> None:
    for other in (
        frame(bytes(20), 6),
        frame(b"\x06\x00" + bytes(26), 0),
        frame(b"\x11\x00\x00\x01" + bytes(12), 44),
        bytes(12) + b"\x08\x00\x45" + bytes(40),
        bytes(12) + b"\x08\x06" + bytes(28),
        bytes(3),
    ):
        assert not routers(other)
        assert not neighbors(other)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([0, 6, 17, 43, 44, 58, 60, 135]),
    st.lists(st.tuples(st.sampled_from([0, 43, 44, 58, 60, 6]), st.integers(0, 2)), max_size=3),
    st.integers(130, 140),
)
def test_no_message_that_the_decoder_knows_is_left_in_the_kernel(
    routers: Passes, neighbors: Passes, first: int, chain: list[tuple[int, int]], kind: int
) -> None:
    headers = b"".join(bytes([following, size]) + bytes(6 + 8 * size) for following, size in chain)
    candidate = frame(headers + MESSAGE.get(kind, bytes(40)), first)
    taken = routers(candidate) + neighbors(candidate)
    assert taken <= 1
    try:
        message = ndp.locate(candidate)
    except Permanent:
        return
    if message.type in ndp.NAMES and len(message.headers) == len(set(message.headers)):
        visible = len(message.headers) < 2 and packet.FRAGMENT not in message.headers
        assert taken == 1 or not (visible or message.type in ROUTER)


def test_sampling_takes_one_in_n_at_random() -> None:
    with kernel(bpf.assemble(bpf.sample(8, 0xFFFF))) as passes:
        took = [passes(b"x") for _ in range(8000)]
    sigma = (8000 * (1 / 8) * (7 / 8)) ** 0.5
    assert abs(sum(took) - 1000) < 5 * sigma
    # random, not every eighth: gaps between taken ones differ
    assert len({tuple(took[at : at + 8]) for at in range(0, 8000, 8)}) > 20


def test_one_in_one_takes_all_and_snap_cuts() -> None:
    with kernel(bpf.assemble(bpf.sample(1, 3))) as passes:
        assert all(passes(b"12345") for _ in range(10))


def test_many_interfaces_make_a_program_the_kernel_takes() -> None:
    for start in (bpf.only(range(1, 1000)), bpf.without(range(1, 1000))):
        with kernel(bpf.assemble([*start, *bpf.sample(10, 128)])):
            pass


def test_a_jump_too_far_or_to_nowhere_is_a_programming_error() -> None:
    far: list[bpf.Step | str] = [bpf.Step(bpf.JEQ, 1, yes="end"), *[bpf.Step(bpf.TAX)] * 300, "end", bpf.Step(bpf.RET)]
    with pytest.raises(ValueError, match="300 instructions away"):
        bpf.assemble(far)
    with pytest.raises(ValueError, match="no label 'gone'"):
        bpf.assemble([bpf.Step(bpf.JEQ, 1, yes="gone"), bpf.Step(bpf.RET)])
    with pytest.raises(ValueError, match="4097 instructions"):
        bpf.assemble([bpf.Step(bpf.TAX)] * 4097)
