"""What is usual at this hour of the week, and how far the last hour is from it. Pure.

168 bins in Beijing time (no summer time since 1991). Usual is the median of the bin; the spread is its median absolute
deviation, times 1.4826 so that it equals the standard deviation of a normal distribution, and neither a burst nor one
odd week moves them. An hour in which nobody could see is a gap and not a zero.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping

import msgspec

HOUR_MS = 3_600_000
WEEK_HOURS = 168
BEIJING_MS = 8 * HOUR_MS
MAD_TO_SIGMA = 1.4826
LEAST_SHARE = 0.1
"""Of the median: a series that hardly ever changes must not cry wolf at a change of a few percent."""


class Deviation(msgspec.Struct, frozen=True):
    """``value`` against ``median``; ``deviations`` may be negative. ``enough``: so many weeks are known."""

    value: float
    median: float
    spread: float
    deviations: float
    weeks: int
    enough: bool


def hour_of_week(ms: int) -> int:
    """0 is Monday 00:00 in Beijing. The epoch was a Thursday."""
    return ((ms + BEIJING_MS) // HOUR_MS + 3 * 24) % WEEK_HOURS


def deviation(series: Mapping[int, float], hour_ms: int, minimum: int) -> Deviation | None:
    """Of the hour that begins at ``hour_ms``, against earlier hours of its bin; None where it was not seen itself."""
    value = series.get(hour_ms)
    if value is None:
        return None
    slot = hour_of_week(hour_ms)
    past = [v for ms, v in series.items() if ms < hour_ms and hour_of_week(ms) == slot]
    if len(past) < minimum:
        return Deviation(value, statistics.median(past) if past else 0.0, 0.0, 0.0, len(past), False)
    median = statistics.median(past)
    mad = statistics.median(abs(v - median) for v in past)
    spread = max(MAD_TO_SIGMA * mad, LEAST_SHARE * abs(median), 1.0)
    if median < 1e6:  # a count: at least what chance alone does (Poisson)
        spread = max(spread, math.sqrt(abs(median)))
    return Deviation(value, median, spread, (value - median) / spread, len(past), True)
