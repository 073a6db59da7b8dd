"""What the hits of one window add up to, kept while hits come and go."""

from __future__ import annotations

import collections
import math
from collections.abc import Sequence
from fractions import Fraction

from collector.detect.correlation import Correlation, Kind
from collector.detect.watch import Hit


class Tally:
    """``add`` and ``drop`` as the window slides; ``holds`` asks the condition."""

    def __init__(self, correlation: Correlation) -> None:
        self._of = correlation
        self._count = 0
        self._values: collections.Counter[str] = collections.Counter()
        self._rules: collections.Counter[str] = collections.Counter()
        self._sums = correlation.kind in (Kind.VALUE_SUM, Kind.VALUE_AVG)
        self._total: int | Fraction = 0
        """Exact, so that what was added can be taken away again and nothing is left."""

    def add(self, hit: Hit) -> None:
        self._count += 1
        if self._sums:
            self._total += _exact(hit.value)
        elif self._of.fields:
            self._values[hit.value] += 1
        self._rules[hit.rule] += 1

    def drop(self, hit: Hit) -> None:
        self._count -= 1
        if self._sums:
            self._total -= _exact(hit.value)
        elif self._of.fields:
            _less(self._values, hit.value)
        _less(self._rules, hit.rule)

    def holds(self, window: Sequence[Hit], start: int, end: int) -> bool:
        """``window[start:end]`` are the hits that were added and not dropped."""
        of = self._of
        if of.kind is Kind.TEMPORAL_ORDERED:
            return self._in_order(window, start, end)
        if of.joint is not None:
            return of.joint.holds(self._rules.keys(), self._rules.keys())
        measured = self.measure()
        return measured is not None and all(bound.holds(measured) for bound in of.tests)

    def measure(self) -> float | None:
        """The number that the condition is about; None where there is none."""
        kind = self._of.kind
        if kind is Kind.EVENT_COUNT:
            return self._count
        if kind is Kind.VALUE_COUNT:
            return len(self._values)
        if kind is Kind.TEMPORAL:
            return len(self._rules)
        if self._sums:
            return _float(self._total if kind is Kind.VALUE_SUM else Fraction(self._total) / self._count)
        return ranked(self._values, 50.0 if kind is Kind.VALUE_MEDIAN else self._of.percentile)

    def _in_order(self, window: Sequence[Hit], start: int, end: int) -> bool:
        """All rules, one after the other, the last of them at the end of the window. Greedy from there."""
        wanted = len(self._of.rules) - 1
        if len(self._rules) <= wanted or window[end - 1].rule != self._of.rules[wanted]:
            return False
        for at in range(end - 1, start - 1, -1):
            if window[at].rule == self._of.rules[wanted]:
                wanted -= 1
                if wanted < 0:
                    return True
        return False


def ranked(values: collections.Counter[str], percentile: float) -> float | None:
    """Percentile of numbers as text with how often, linear between the two nearest; None of nothing."""
    if not values:
        return None
    ordered = sorted((float(value), times) for value, times in values.items())
    rank = percentile / 100 * (values.total() - 1)
    low, high = _at(ordered, math.floor(rank)), _at(ordered, math.ceil(rank))
    return low + (high - low) * (rank - math.floor(rank))


def _exact(value: str) -> int | Fraction:
    try:
        return int(value)
    except ValueError:
        return Fraction(float(value))


def _float(number: int | Fraction) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _at(ordered: Sequence[tuple[float, int]], rank: int) -> float:
    for value, times in ordered:
        rank -= times
        if rank < 0:
            return value
    return ordered[-1][0]


def _less(counter: collections.Counter[str], key: str) -> None:
    if counter[key] <= 1:
        del counter[key]
    else:
        counter[key] -= 1
