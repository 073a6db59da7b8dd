"""Frames to a batch, and rows of columns to what a person can compare."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import numpy as np
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from agent.decoders.batch import Batch
from agent.decoders.columns import Columns
from agent.decoders.columns_network import KEY
from agent.decoders.columns_tunnel import NAMES, OUTER

Row = tuple[int, bytes, bytes, int, int, int, int, int, int]
"""Version, source, destination, protocol, ports, VLAN, size, TCP flags."""


def ether(**fields: object) -> Packet:
    """A frame whose addresses are given: scapy would ask the network for them, a second for each."""
    return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", **fields)


def batch(
    frames: Sequence[bytes], lengths: Sequence[int] | None = None, link: int = 1, times_ns: Sequence[int] | None = None
) -> Batch:
    captured = np.array([len(frame) for frame in frames], np.int64)
    return Batch(
        data=np.frombuffer(b"".join(frames), np.uint8),
        starts=np.cumsum(captured) - captured,
        captured=captured,
        lengths=captured if lengths is None else np.array(lengths, np.int64),
        times_ns=np.arange(len(frames), dtype=np.int64) if times_ns is None else np.array(times_ns, np.int64),
        link=link,
    )


def row(columns: Columns, at: int) -> Row:
    key = columns.keys[at].view(KEY)[0]
    size = 4 if key["version"] == 4 else 16
    return (
        int(key["version"]), key["source"].tobytes()[:size], key["destination"].tobytes()[:size], int(key["protocol"]),
        int(key["source_port"]), int(key["destination_port"]), int(key["vlan"]), int(columns.sizes[at]),
        int(columns.flags[at]),
    )  # fmt: skip


def text(packed: bytes, version: int) -> str:
    return socket.inet_ntop(socket.AF_INET6, packed) if version == 6 else socket.inet_ntop(socket.AF_INET, packed[:4])


def inner(columns: Columns, at: int = 0) -> tuple[str, str, int, int, int]:
    """Addresses, protocol and ports as text."""
    version, source, destination, protocol, source_port, destination_port, *_ = row(columns, at)
    return text(source, version), text(destination, version), protocol, source_port, destination_port


def outer(columns: Columns, at: int = 0) -> tuple[str, str, str, int, int]:
    """Kind of tunnel, its ends, its identifier, how many headers were taken off."""
    (where,) = np.flatnonzero(columns.wrapped == at)
    key = columns.outer[where].view(OUTER)[0]
    version = int(key["version"])
    return (
        NAMES[int(key["kind"])], text(key["source"].tobytes(), version), text(key["destination"].tobytes(), version),
        int(key["identifier"]), int(key["depth"]),
    )  # fmt: skip
