"""Which groups of an answer come first; the same for every store."""

from __future__ import annotations

import heapq
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
