"""When will a line reach its limit, and how sure is that? Pure.

Theil-Sen: the median of the slopes between all pairs, which up to 29 % of wild values do not move; its interval is
Sen's (1968), from the variance of Kendall's S. A trend whose interval holds 0 is no trend: then nothing is foretold.
"""

from __future__ import annotations

import collections
import math
import statistics
from collections.abc import Sequence

import msgspec

Z = 1.96
"""95 %."""
MAX_POINTS = 400
"""Pairs grow with the square; of a longer series the newest are taken."""

Point = tuple[float, float]


class Trend(msgspec.Struct, frozen=True):
    """``level`` is the line at the last point; slopes are for one step of x."""

    level: float
    slope: float
    low: float
    high: float
    points: int

    @property
    def certain(self) -> bool:
        """Rises or falls with 95 %."""
        return self.low > 0 or self.high < 0

    def after(self, steps: float) -> tuple[float, float, float]:
        """(low, likely, high) so many steps beyond the last point."""
        return (
            self.level + min(self.low, self.high) * steps,
            self.level + self.slope * steps,
            self.level + max(self.low, self.high) * steps,
        )


class Reach(msgspec.Struct, frozen=True):
    """Steps until the limit: likely, and at the earliest and latest; None is never."""

    likely: float | None
    earliest: float | None
    latest: float | None


def trend(points: Sequence[Point], minimum: int) -> Trend | None:
    """None where there are fewer than ``minimum`` points: not enough data."""
    kept = sorted(points)[-MAX_POINTS:]
    if len(kept) < max(minimum, 2):
        return None
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0]) for at, a in enumerate(kept) for b in kept[at + 1 :] if b[0] != a[0])
    if not slopes:
        return None
    slope = statistics.median(slopes)
    n = len(kept)
    ties = collections.Counter(y for _, y in kept)
    variance = (n * (n - 1) * (2 * n + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties.values())) / 18
    reach = Z * math.sqrt(max(variance, 0.0))
    low = slopes[max(0, math.floor((len(slopes) - reach) / 2))]
    high = slopes[min(len(slopes) - 1, math.ceil((len(slopes) + reach) / 2))]
    level = statistics.median(y - slope * x for x, y in kept) + slope * kept[-1][0]
    return Trend(level, slope, low, high, n)


def reach(found: Trend, limit: float) -> Reach:
    """When the line comes to the limit from below; 0 where it is there already."""
    if found.level >= limit:
        return Reach(0.0, 0.0, 0.0)
    rest = limit - found.level

    def steps(slope: float) -> float | None:
        return rest / slope if slope > 0 else None

    return Reach(steps(found.slope) if found.certain else None, steps(found.high), steps(found.low))
