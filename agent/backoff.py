"""Waiting after failures: exponential with full jitter, so that a thousand agents do not come back at once."""

from __future__ import annotations

import random


class Backoff:
    """``uniform(0, min(cap, base * 2 ** failures))`` seconds, but at least ``floor``."""

    def __init__(self, rng: random.Random, base: float = 1.0, cap: float = 60.0, floor: float = 0.1) -> None:
        self._rng, self._base, self._cap, self._floor = rng, base, cap, floor
        self.failures = 0

    def next(self) -> float:
        """Count one more failure and say how long to wait."""
        limit = min(self._cap, self._base * 2 ** min(self.failures, 30))
        self.failures += 1
        return max(self._floor, self._rng.uniform(0, limit))

    def reset(self) -> None:
        self.failures = 0
