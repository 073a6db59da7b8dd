from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator

import pytest

from agent import capture
from agent.decoders import bpf

PORT = 20_000 + os.getpid() % 20_000
OURS = bpf.assemble(
    [
        *bpf.incoming_only(socket.if_nametoindex("lo")),
        bpf.Step(bpf.LD_H, 12),
        bpf.Step(bpf.JEQ, 0x86DD, no="other"),
        bpf.Step(bpf.LD_H, 56),
        bpf.Step(bpf.JEQ, PORT, no="other"),
        *bpf.sample(1, 256),
        "other",
        bpf.Step(bpf.RET, 0),
    ]
)
"""UDP over IPv6 to PORT, so that other programs on this host's loopback do not disturb."""
NOTHING = bpf.assemble([bpf.Step(bpf.RET, 0)])


@pytest.fixture
def ring() -> Iterator[capture.Capture]:
    made = capture.Capture(OURS, 131_072)
    yield made
    made.close()


def send(count: int, size: int = 32) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as out:
        for _ in range(count):
            out.sendto(bytes(size), ("::1", PORT))


@pytest.mark.needs("root")
async def test_a_packet_comes_with_its_length_time_and_interface(ring: capture.Capture) -> None:
    before = time.time_ns()
    send(1, size=500)
    await asyncio.sleep(0.2)
    (taken,) = ring.block()
    assert taken.length == 14 + 40 + 8 + 500
    assert len(taken.frame) == 256
    assert before <= taken.time_ns <= time.time_ns()
    assert (taken.interface, taken.hardware) == (socket.if_nametoindex("lo"), bpf.LOOPBACK)
    assert (socket.ntohs(taken.protocol), taken.network, taken.segment) == (0x86DD, 14, 0)


@pytest.mark.needs("root")
async def test_a_new_filter_takes_the_place_of_the_old_one(ring: capture.Capture) -> None:
    ring.filter(NOTHING)
    send(20)
    await asyncio.sleep(0.2)
    assert not ring.ready()


@pytest.mark.needs("root")
async def test_what_was_not_read_in_time_is_counted_and_the_rest_is_whole(ring: capture.Capture) -> None:
    send(3000)
    await asyncio.sleep(0.2)
    read = 0
    while ring.ready():
        read += len(list(ring.block()))
    lost = ring.lost()
    assert lost > 0
    assert read + lost == 3000
    assert ring.lost() == 0
    send(5)
    await asyncio.sleep(0.2)
    assert len(list(ring.block())) == 5


@pytest.mark.needs("root")
async def test_a_reader_stops_at_its_allowance_and_goes_on_at_the_next_tick(ring: capture.Capture) -> None:
    taken: list[capture.Captured] = []
    reader = capture.Reader(ring, taken.append, most=1)
    reader.resume()
    send(1)
    await asyncio.sleep(0.2)
    assert len(taken) == 1
    send(1)
    await asyncio.sleep(0.2)
    assert len(taken) == 1
    reader.resume()
    await asyncio.sleep(0.2)
    assert len(taken) == 2
    reader.stop()


@pytest.mark.needs("root")
async def test_what_the_taker_raises_is_raised_at_the_next_tick(ring: capture.Capture) -> None:
    def broken(_: capture.Captured) -> None:
        raise LookupError("a fault in the program")

    reader = capture.Reader(ring, broken, most=100)
    reader.resume()
    send(1)
    await asyncio.sleep(0.2)
    with pytest.raises(LookupError):
        reader.resume()


def test_the_advice_is_one_command_in_the_words_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(capture.COMMAND_VARIABLE, raising=False)
    assert capture.advice(["make", "run", "A=b c"]).endswith(" --ambient-caps=+net_raw -- make run 'A=b c'")
    monkeypatch.setenv(capture.COMMAND_VARIABLE, "make run")
    assert capture.advice(["python"]).endswith("-- make run")
