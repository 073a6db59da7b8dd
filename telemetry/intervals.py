"""A set of whole numbers kept as sorted, disjoint, closed ranges: sequences delivered, dropped or missing.

Deliveries come almost in order, so a set of millions is a handful of ranges. Adding at the end costs O(1), elsewhere
O(log n) to find and O(n) to insert.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator

Range = tuple[int, int]


class Intervals:
    """Mutable; not safe for several threads."""

    __slots__ = ("_first", "_last")

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._first: list[int] = []
        self._last: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def add(self, first: int, last: int | None = None) -> int:
        """Put ``first..last`` (both included) in. Returns how many numbers are new."""
        last = first if last is None else last
        if last < first:
            return 0
        low = bisect.bisect_left(self._last, first - 1)
        high = bisect.bisect_right(self._first, last + 1)
        if low == high:
            self._first.insert(low, first)
            self._last.insert(low, last)
            return last - first + 1
        before = sum(self._last[i] - self._first[i] + 1 for i in range(low, high))
        first, last = min(first, self._first[low]), max(last, self._last[high - 1])
        self._first[low:high] = [first]
        self._last[low:high] = [last]
        return last - first + 1 - before

    def update(self, other: Intervals) -> int:
        """Put all of another set in. Returns how many numbers are new."""
        return sum(self.add(first, last) for first, last in other)

    def missing(self, first: int, last: int) -> Intervals:
        """What of ``first..last`` is not in the set."""
        gaps = Intervals()
        for index in range(bisect.bisect_left(self._last, first), len(self._first)):
            if self._first[index] > last:
                break
            gaps.add(first, self._first[index] - 1)
            first = self._last[index] + 1
        gaps.add(first, last)
        return gaps

    def minus(self, other: Intervals) -> Intervals:
        """What is in this set and not in the other."""
        left = Intervals()
        for first, last in self:
            left.update(other.missing(first, last))
        return left

    def holds(self, first: int, last: int | None = None) -> bool:
        """Is all of ``first..last`` in the set?"""
        index = bisect.bisect_left(self._last, first)
        return index < len(self._first) and self._first[index] <= first and self._last[index] >= (last or first)

    def __contains__(self, number: int) -> bool:
        return self.holds(number)

    def __iter__(self) -> Iterator[Range]:
        return iter(list(zip(self._first, self._last, strict=True)))

    def __bool__(self) -> bool:
        return bool(self._first)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Intervals) and self._first == other._first and self._last == other._last

    def __hash__(self) -> int:
        raise TypeError("a set that changes has no hash")

    def __repr__(self) -> str:
        return f"Intervals({list(self)})"

    @property
    def count(self) -> int:
        """How many numbers are in the set."""
        return sum(self._last) - sum(self._first) + len(self._first)

    @property
    def ranges(self) -> int:
        """How many ranges it takes to write the set down."""
        return len(self._first)

    @property
    def prefix(self) -> int:
        """The greatest n for which all of 1..n is in the set; 0 where 1 is missing."""
        return self._last[0] if self._first and self._first[0] <= 1 else 0

    @property
    def highest(self) -> int:
        """The greatest number in the set; 0 where it is empty."""
        return self._last[-1] if self._last else 0
