"""When something was last passed on: bounded, and the same answer for an event that is delivered again.

A batch that the store did not take is judged again. So the event that was passed on is remembered with the time: it is
passed on again, while others stay held back.
"""

from __future__ import annotations

import collections
from collections.abc import Hashable


class Recent:
    """For one thread. The least recently used go first; ``evicted`` counts them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._last: collections.OrderedDict[Hashable, tuple[int, str]] = collections.OrderedDict()
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._last)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._last

    def due(self, key: Hashable, at_ms: int, event_id: str, gap_ms: int) -> bool:
        """Is it time again for this key? True also for the event of the last time."""
        last = self._last.get(key)
        if last is not None:
            self._last.move_to_end(key)
            if last[1] == event_id:
                return True
            if at_ms - last[0] < gap_ms:
                return False
        self._last[key] = (at_ms, event_id)
        if len(self._last) > self._size:
            self._last.popitem(last=False)
            self.evicted += 1
        return True

    def forget(self, key: Hashable) -> None:
        self._last.pop(key, None)
