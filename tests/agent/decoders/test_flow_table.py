"""The vectorised table is held against the one that takes packets one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q

from agent.decoders import flows, packet
from agent.decoders.columns import decode
from agent.decoders.columns_network import KEY
from agent.decoders.columns_tunnel import OUTER
from agent.decoders.flow_table import SECOND, FlowTable, Records
from tests.agent.decoders.batches import batch, ether

A, B = "192.0.2.1", "192.0.2.2"
FRAMES = [
    bytes(ether() / packet)
    for packet in (
        IP(src=A, dst=B) / TCP(sport=1, dport=2, flags="S"),
        IP(src=A, dst=B, tos=184) / TCP(sport=1, dport=2, flags="FA") / b"abc",
        IP(src=B, dst=A) / TCP(sport=2, dport=1, flags="SA"),
        IP(src=A, dst=B) / UDP(sport=1, dport=2),
        IP(src=A, dst=B) / UDP(sport=1, dport=3),
        IP(src=A, dst=B) / ICMP(),
        Dot1Q(vlan=5) / IP(src=A, dst=B) / UDP(sport=1, dport=2),
        IPv6(src="2001:db8::1", dst="2001:db8::2", fl=7) / UDP(sport=1, dport=2),
        IPv6(src="2001:db8::1", dst="2001:db8::2", fl=8, tc=4) / UDP(sport=1, dport=2) / b"abc",
        IPv6(src="2001:db8::1", dst="2001:db8::3") / TCP(sport=1, dport=2, flags="R"),
        IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(sport=2, dport=1),
    )
]
Told = tuple[flows.Key, bool, int, int, int, int, int, int, int, str]


def told(records: Records) -> Counter[Told]:
    found: Counter[Told] = Counter()
    for at, key in enumerate(records.keys.view(KEY)[:, 0]):
        rest = at >= len(records) - records.rests
        version = int(key["version"])
        size = 0 if rest else 4 if version == 4 else 16
        word = int.from_bytes(records.words[at].tobytes(), "big")
        found[
            (
                int(key["vlan"]), version, key["source"].tobytes()[:size], key["destination"].tobytes()[:size],
                int(key["protocol"]), int(key["source_port"]), int(key["destination_port"]),
            ),
            rest, int(records.side.packets[at]), int(records.side.bytes[at]), int(records.side.first_ns[at]),
            int(records.side.last_ns[at]), int(records.side.flags[at]), word >> (22 if version == 6 else 18) & 63,
            word & 0xFFFFF if version == 6 else 0, f"if{records.interfaces[at]}" if not rest else "",
        ] += 1  # fmt: skip
    return found


def told_all(several: Iterator[Records]) -> Counter[Told]:
    return sum(map(told, several), Counter())


def told_one(exports: list[flows.Export]) -> Counter[Told]:
    return Counter(
        (e.key, e.rest, e.flow.packets, e.flow.bytes, e.flow.first_ns, e.flow.last_ns, e.flow.tcp_flags, e.flow.dscp,
         e.flow.label, e.flow.interface)
        for e in exports
    )  # fmt: skip


PACKETS = st.lists(st.tuples(st.integers(0, len(FRAMES) - 1), st.integers(-3, 20), st.integers(0, 2)), max_size=12)


@settings(max_examples=300)
@given(st.integers(1, 8), st.lists(PACKETS, max_size=8), st.booleans())
def test_any_packets_at_any_times_give_the_same_records_as_one_by_one(
    most: int, steps: list[list[tuple[int, int, int]]], together: bool
) -> None:
    one, many = flows.FlowTable(most, 60, 15), FlowTable(most, 60, 15, seed=3)
    now, sent = 1_000_000, 0
    for step in steps:
        # of one IP version a batch: rows of the two are not in the order of capture
        for version in (4, 6):
            times, frames, interfaces = [], [], []
            lost = 0
            for number, later, interface in step:
                header = packet.decode(FRAMES[number], len(FRAMES[number]))
                assert header is not None
                if not together and header.version != version:
                    continue
                if together and version == 6:
                    continue
                now += later
                times.append(now * SECOND)
                frames.append(FRAMES[number])
                interfaces.append(interface)
                lost += not one.add(header, now * SECOND, f"if{interface}", lambda _: "unknown")
            made = batch(frames, times_ns=times)
            assert many.add(decode(made), made.times_ns, np.array(interfaces, np.int32)) == lost
            sent += len(frames)
            assert told_all(many.expire(now * SECOND)) == told_one(list(one.expire(now * SECOND)))
            assert len(one) == len(many)
    assert told_all(many.flush()) == told_one(list(one.flush()))
    assert not len(many)


def test_growth_ends_at_the_bound_and_totals_stay_exact() -> None:
    many = FlowTable(3000, 60, 15, seed=1)
    packets = 0
    for step in range(10):
        numbers = np.arange(step * 1000, step * 1000 + 1000, dtype=">u4")
        frames = [FRAMES[0][:26] + number.tobytes() + FRAMES[0][30:] for number in numbers]
        made = batch(frames)
        many.add(decode(made), made.times_ns)
        packets += len(frames)
        assert len(many) <= 3001
    (records,) = many.flush()
    assert int(records.side.packets.sum()) == packets
    assert records.rests == 1
    assert int(records.side.packets[-1]) == packets - 3000


def text(records: Records, at: int) -> tuple[bytes, bytes, int, int]:
    key = records.keys.view(KEY)[at, 0]
    return key["source"].tobytes()[:4], key["destination"].tobytes()[:4], int(key["source_port"]), int(key["destination_port"])  # noqa: E501 # fmt: skip


def test_both_directions_are_one_record_from_the_side_of_the_first_packet() -> None:
    for first, second in ((0, 2), (2, 0)):
        many = FlowTable(100, 60, 15, seed=1, biflow=True)
        made = batch([FRAMES[first], FRAMES[second], FRAMES[second], FRAMES[5]], times_ns=[10, 20, 30, 40])
        many.add(decode(made), made.times_ns)
        (records,) = many.flush()
        assert len(records) == 2
        assert records.back is not None
        (at,) = np.flatnonzero(records.side.first_ns == 10)
        assert text(records, int(at))[2:] == ((1, 2) if first == 0 else (2, 1))
        assert (records.side.packets[at], records.back.packets[at]) == (1, 2)
        assert (records.back.first_ns[at], records.back.last_ns[at]) == (20, 30)
        assert (records.side.flags[at], records.back.flags[at]) == ((2, 18) if first == 0 else (18, 2))
        assert records.back.packets.sum() == 2, "ICMP has no other direction"


@settings(max_examples=100)
@given(st.lists(st.lists(st.integers(0, len(FRAMES) - 1), max_size=12), max_size=5), st.integers(1, 6))
def test_pairing_changes_no_total(steps: list[list[int]], most: int) -> None:
    single, paired = FlowTable(most, 60, 15, seed=1), FlowTable(most, 60, 15, seed=1, biflow=True)
    for step in steps:
        made = batch([FRAMES[number] for number in step])
        single.add(decode(made), made.times_ns)
        paired.add(decode(made), made.times_ns)
    ones, twos = list(single.flush()), list(paired.flush())
    assert len(ones) == len(twos)
    for name in ("packets", "bytes"):
        for one, two in zip(ones, twos, strict=True):
            assert two.back is not None
            assert getattr(one.side, name).sum() == getattr(two.side, name).sum() + getattr(two.back, name).sum()


@pytest.mark.parametrize("biflow", [False, True])
def test_a_tunnel_is_part_of_the_key_and_comes_out_with_the_record(biflow: bool) -> None:
    inner = IPv6(src="2001:db8::1", dst="2001:db8::2") / TCP(sport=5, dport=6)
    back = IPv6(src="2001:db8::2", dst="2001:db8::1") / TCP(sport=6, dport=5)
    frames = [
        bytes(ether() / made)
        for made in (inner, IP(src=A, dst=B) / inner, IP(src=A, dst="192.0.2.9") / inner, IP(src=B, dst=A) / back)
    ]
    many = FlowTable(100, 60, 15, seed=1, biflow=biflow)
    made = batch(frames)
    for _ in range(2):
        many.add(decode(made), made.times_ns)
        (records,) = many.flush()
        assert len(records) == (3 if biflow else 4)
        ends = records.outer.view(OUTER)[:, 0]
        found = sorted((e["source"].tobytes()[3], e["destination"].tobytes()[3]) for e in ends)
        assert found == ([(1, 2), (1, 9)] if biflow else [(1, 2), (1, 9), (2, 1)])
        assert not len(many._tunnels)


def test_a_tunnel_without_a_number_is_counted_by_its_outer_addresses() -> None:
    inner = IPv6(src="2001:db8::1", dst="2001:db8::2") / TCP(sport=5, dport=6)
    frames = [bytes(ether() / IP(src=A, dst=f"192.0.2.{last}") / inner) for last in (2, 3)]
    many = FlowTable(1, 60, 15, seed=1)
    made = batch(frames)
    assert many.add(decode(made), made.times_ns) == 1
    (records,) = many.flush()
    assert records.rests == 1
    assert records.keys.view(KEY)[1, 0]["version"] == 4
    assert not len(many._tunnels)


def test_a_large_packet_counts_for_those_on_the_wire() -> None:
    many = FlowTable(10, 60, 15, seed=1)
    made = batch([FRAMES[0], FRAMES[0]])
    many.add(decode(made), made.times_ns, packets=np.array([3, 1]), more_bytes=np.array([80, 0]))
    (records,) = many.flush()
    assert (int(records.side.packets[0]), int(records.side.bytes[0])) == (4, 160)


def test_the_direction_is_asked_once_a_flow() -> None:
    asked = []

    def direction(keys: np.ndarray[tuple[int, ...], np.dtype[np.uint64]]) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        asked.append(len(keys))
        return np.full(len(keys), 2, np.uint8)

    many = FlowTable(10, 60, 15, seed=1)
    for _ in range(2):
        made = batch([FRAMES[0], FRAMES[3], FRAMES[0]])
        many.add(decode(made), made.times_ns, 4, direction)
    assert asked == [2]
    (records,) = many.flush()
    assert records.directions.tolist() == [2, 2]
    assert records.interfaces.tolist() == [4, 4]
