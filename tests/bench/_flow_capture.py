"""A capture of many flows, made by whole columns and the same every time: what the flow benchmarks read.

Half IPv4, half IPv6; a quarter of the packets have a VLAN tag, a fifth of those of IPv6 an extension header
(hop-by-hop or destination options); TCP, UDP and ICMP; lengths of 64 to 1,500 bytes, of which 128 are kept. Flows are
skewed as in real traffic: most have few packets. A flow's packets lie within ``spread`` seconds.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SNAP = 128
SPREAD = 40
SECONDS = 90
START = 1_790_000_000
PIECE = 250_000
HEAD = np.frombuffer(bytes.fromhex("d4c3b2a1 0200 0400 00000000 00000000 80000000 01000000"), np.uint8)
Bytes = NDArray[np.uint8]


def write(path: Path, packets: int, flows: int, seconds: int = SECONDS, spread: int = SPREAD, seed: int = 5) -> None:
    """The capture, if it is not there."""
    if path.exists():
        return
    source = np.random.default_rng(seed)
    # every flow has a packet, the rest goes to few: Zipf by rank
    share = 1 / (np.arange(flows) + 20.0)
    extra = source.choice(flows, packets - flows, p=share / share.sum())
    flow = np.concatenate([np.arange(flows), extra]).astype(np.int64)
    begins = source.uniform(0, seconds - spread, flows)
    times = begins[flow] + source.uniform(0, spread, packets)
    order = np.argsort(times, kind="stable")
    flow, times = flow[order], times[order]
    kinds = source.integers(0, 1 << 30, flows)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(HEAD.tobytes())
        for first in range(0, packets, PIECE):
            some = slice(first, first + PIECE)
            file.write(_frames(flow[some], times[some], kinds, source).tobytes())
    part.rename(path)


def _frames(
    flow: NDArray[np.int64], times: NDArray[np.float64], kinds: NDArray[np.int64], source: np.random.Generator
) -> Bytes:
    count = len(flow)
    kind = kinds[flow]
    six, tagged = kind & 1 == 1, kind >> 1 & 3 == 0
    extended = six & (kind >> 3 & 0xFF < 51)
    protocol = np.array([6, 6, 6, 6, 6, 17, 17, 17, 17, 0])[(kind >> 11) % 10]
    protocol = np.where(protocol == 0, np.where(six, 58, 1), protocol)
    overhead = 14 + 4 * tagged + np.where(six, 40, 20) + 8 * extended
    drawn = source.choice([64, 90, 200, 576, 1300, 1500], count, p=[0.4, 0.1, 0.1, 0.1, 0.1, 0.2])
    size = np.maximum(drawn, overhead + 20)
    out = np.zeros((count, 16 + SNAP), np.uint8)
    head = out.view("<u4")
    micros = (times * 1e6).astype(np.int64)
    head[:, 0], head[:, 1] = START + micros // 1_000_000, micros % 1_000_000
    kept = np.minimum(size, SNAP)
    head[:, 2], head[:, 3] = kept, size
    frame = out[:, 16:]
    frame[:, :12] = np.frombuffer(b"\2\0\0\0\0\2\2\0\0\0\0\1", np.uint8)
    at = np.full(count, 12)
    rows = np.arange(count)

    def put(which: NDArray[np.bool_], offset: NDArray[np.int64] | int, values: Bytes) -> None:
        some = np.flatnonzero(which)
        values = np.broadcast_to(values, (count, values.shape[-1]))[some]
        where = (at + offset)[some]
        for column in range(values.shape[1]):
            frame[rows[some], where + column] = values[:, column]

    put(tagged, 0, _wide(0x8100_0000 | 1 + (kind >> 5 & 0xFF), 4))
    at = at + 4 * tagged
    put(six, 0, np.frombuffer(b"\x86\xdd", np.uint8))
    put(~six, 0, np.frombuffer(b"\x08\x00", np.uint8))
    at = at + 2
    length = size - at
    put(~six, 0, np.frombuffer(b"\x45\0", np.uint8))
    put(~six, 2, _wide(length, 2))
    put(~six, 8, np.frombuffer(b"\x40", np.uint8))
    put(~six, 9, _wide(protocol, 1))
    put(~six, 12, _wide(0x0A000000 + flow, 4))
    put(~six, 16, _wide(0xC0A80000 + (kind >> 9 & 0xFFFF), 4))
    put(six, 0, _wide(0x6000_0000 | flow & 0xFFFFF, 4))
    put(six, 4, _wide(length - 40, 2))
    put(six, 6, _wide(np.where(extended, np.where(kind >> 4 & 1, 0, 60), protocol), 1))
    put(six, 7, np.frombuffer(b"\x40\x20\x01\x0d\xb8\0\1\0\0\0\0\0\0", np.uint8))
    put(six, 20, _wide(flow, 4))
    put(six, 24, np.frombuffer(b"\x20\x01\x0d\xb8\0\2\0\0\0\0\0\0", np.uint8))
    put(six, 36, _wide(kind >> 9 & 0xFFFF, 4))
    at = at + np.where(six, 40, 20)
    put(extended, 0, _wide(protocol, 1))
    put(extended, 2, np.frombuffer(b"\1\4\0\0\0\0", np.uint8))
    at = at + 8 * extended
    is_icmp = (protocol == 1) | (protocol == 58)
    put(is_icmp, 0, _wide(np.where(six, 128, 8), 1))
    put(~is_icmp, 0, _wide(1024 + flow % 60_000, 2))
    put(~is_icmp, 2, _wide(np.array([443, 80, 53, 22])[kind >> 13 & 3], 2))
    put(protocol == 6, 12, np.frombuffer(b"\x50\x18", np.uint8))
    put(protocol == 17, 4, _wide(size - at, 2))
    keep = np.arange(16 + SNAP) < (16 + kept)[:, None]
    written: Bytes = out[keep]
    return written


def _wide(numbers: NDArray[np.int64], size: int) -> Bytes:
    parts: Bytes = np.asarray(numbers).astype(">u8").view(np.uint8).reshape(-1, 8)[:, 8 - size :]
    return parts


if __name__ == "__main__":
    write(Path(sys.argv[1]), *map(int, sys.argv[2:]))
