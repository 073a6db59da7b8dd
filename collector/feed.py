"""What a collector has just stored and the leader has not yet looked at: alerts and hits, in the order of arrival.

The pipeline offers, after the store said yes; the operations thread takes. Bounded: where nobody takes (another
collector leads, or this one is behind) the oldest are forgotten and ``overflowed`` says so once; the leader then reads
them from the store, as it does after a start. What came in a batch that its agent sent again is kept apart: the leader
may have had it, and it may have been another collector that stored it.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Sequence
from typing import NamedTuple

from collector.store import Record

MAX_WAITING = 20_000


class Waiting(NamedTuple):
    """``new`` and ``repeated`` in order of arrival; ``overflowed``: some were forgotten since the last time."""

    new: list[Record]
    repeated: list[Record]
    overflowed: bool


class Feed:
    """Thread-safe."""

    def __init__(self, size: int = MAX_WAITING) -> None:
        self._waiting: collections.deque[tuple[Record, bool]] = collections.deque(maxlen=size)
        self._lock = threading.Lock()
        self._overflowed = False
        self.changed = threading.Event()

    def offer(self, records: Sequence[Record], repeated: bool = False) -> None:
        """Alerts and hits that are in the store now. Never blocks."""
        if not records:
            return
        with self._lock:
            room = (self._waiting.maxlen or 0) - len(self._waiting)
            self._overflowed = self._overflowed or len(records) > room
            self._waiting.extend((record, repeated) for record in records)
        self.changed.set()

    def take(self) -> Waiting:
        """All that waits."""
        with self._lock:
            taken = list(self._waiting)
            made = Waiting([r for r, again in taken if not again], [r for r, again in taken if again], self._overflowed)
            self._waiting.clear()
            self._overflowed = False
            self.changed.clear()
        return made
