"""Which groups of an answer come first, and how addresses sort; the same for every store."""

from __future__ import annotations

import heapq
import ipaddress
import math
from collections.abc import Iterable
from typing import TypeVar

from collector.query import Aggregate, ByTime

Cell = str | int | float | bytes
K = TypeVar("K", bound=tuple[Cell, ...])
Values = tuple[float, ...]


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
    """An address as 16 bytes that sort and compare like Elasticsearch's; IPv4 as IPv4-mapped. Raises ValueError."""
    made = ipaddress.ip_address(address)
    return made.packed if made.version == 6 else b"\0" * 10 + b"\xff\xff" + made.packed


def unpacked(address: bytes) -> str:
    made = ipaddress.IPv6Address(address)
    return str(made.ipv4_mapped or made)
