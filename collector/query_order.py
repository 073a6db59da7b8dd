"""Which groups of an answer come first, and how addresses sort; the same for every store."""

from __future__ import annotations

import heapq
import ipaddress
import math
import socket
from collections.abc import Iterable
from typing import TypeVar

from collector.query import Aggregate, ByTime

Cell = str | int | float | bytes
K = TypeVar("K", bound=tuple[Cell, ...])
Values = tuple[float, ...]
ZEROS = bytes(12)
MAPPED = bytes(10) + b"\xff\xff"


def first_groups(query: Aggregate, groups: Iterable[tuple[K, Values]]) -> list[tuple[K, Values]]:
    """At most ``limit`` groups: greatest first measure first, ties by key; by time first where that is first.

    Keys must sort as the store sorts the field: addresses as packed bytes, everything else as it is.
    """
    by_time = bool(query.by) and isinstance(query.by[0], ByTime)

    def order(group: tuple[K, Values]) -> tuple[object, ...]:
        key, values = group
        first = math.inf if math.isnan(values[0]) else -values[0]
        return (key[0], first, *key[1:]) if by_time else (first, *key)

    return heapq.nsmallest(query.limit, groups, key=order)


def packed(address: str) -> bytes:
    """An address as 16 bytes that sort and compare like Elasticsearch's; IPv4 as IPv4-mapped. Raises ValueError.

    By the C library: ``ipaddress`` takes thirty times as long, and stores do this for every event.
    """
    try:
        if ":" in address:
            return socket.inet_pton(socket.AF_INET6, address)
        return MAPPED + socket.inet_pton(socket.AF_INET, address)
    except OSError as error:
        raise ValueError(f"{address!r} is not an address") from error


def unpacked(address: bytes) -> str:
    """RFC 5952 text. The C library writes ``::1.2.3.4`` for addresses that begin with 96 zero bits, so not those."""
    if address[:12] == MAPPED:
        return socket.inet_ntop(socket.AF_INET, address[12:])
    if address[:12] == ZEROS:
        return str(ipaddress.IPv6Address(address))
    return socket.inet_ntop(socket.AF_INET6, address)
