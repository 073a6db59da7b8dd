"""How many messages a channel may take: so many in any minute, by the clock that never jumps."""

from __future__ import annotations

import collections

from telemetry.clock import Clock

WINDOW_S = 60.0


class Rate:
    """For one thread."""

    def __init__(self, clock: Clock, per_minute: int) -> None:
        self._clock = clock
        self._taken: collections.deque[float] = collections.deque(maxlen=per_minute)

    def wait_s(self) -> float:
        """0 where the next message may go now."""
        if len(self._taken) < (self._taken.maxlen or 1):
            return 0.0
        return max(0.0, self._taken[0] + WINDOW_S - self._clock.monotonic())

    def took(self) -> None:
        self._taken.append(self._clock.monotonic())
