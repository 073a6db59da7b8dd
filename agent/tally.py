"""What a source does in a period, counted until it is worth an event: totals and different values, by key. Pure.

A key's period begins with its first message. When its entry passes the floor it is told at the next tick, again each
time it has grown by GROWTH, and once more when the period ends; then it is forgotten. What stays below the floor is
never told. Bounded: ``most`` keys, MOST_VALUES different values each. A flood of keys finds no room and is counted in
``left_out``, so it can not push out who is being counted already.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
MOST_VALUES = 4096
GROWTH = 4


class Entry:
    """``counts`` are totals, ``values`` how often each different value was seen; which is which the caller knows."""

    __slots__ = ("counts", "first_ms", "last_ms", "told", "until", "values")

    def __init__(self, counts: int, values: int, until: float, now_ms: int) -> None:
        self.counts = [0] * counts
        self.values: list[dict[Hashable, int]] = [{} for _ in range(values)]
        self.until = until
        self.first_ms = self.last_ms = now_ms
        self.told = 0

    def size(self) -> int:
        """By what it is said to have grown."""
        return sum(self.counts) + sum(map(len, self.values))

    def only(self, values: int) -> Hashable | None:
        """The value, where there was just one."""
        held = self.values[values]
        return next(iter(held)) if len(held) == 1 else None

    def chief(self, values: int) -> Hashable | None:
        """The value that half or more of the messages had, where there is one."""
        held = self.values[values]
        value = max(held, key=held.__getitem__, default=None)
        return value if value is not None and held[value] * 2 >= sum(self.counts) else None


class Tally(Generic[Key]):
    """``add`` every message; ``due`` each tick."""

    def __init__(
        self, window_s: float, most: int, counts: int, values: int, passes: Callable[[Entry], bool]
    ) -> None:  # fmt: skip
        self._window_s, self._most, self._passes = window_s, most, passes
        self._shape = (counts, values)
        self._entries: dict[Key, Entry] = {}
        self.left_out = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: Key) -> bool:
        return key in self._entries

    def add(self, key: Key, count: int, values: Sequence[Hashable | None], now: float, now_ms: int) -> None:
        """One message: it counts in total number ``count``; None among its values is none."""
        entry = self._entries.get(key)
        if entry is None:
            if len(self._entries) >= self._most:
                self.left_out += 1
                return
            entry = self._entries[key] = Entry(*self._shape, now + self._window_s, now_ms)
        entry.counts[count] += 1
        entry.last_ms = now_ms
        for held, value in zip(entry.values, values, strict=False):
            if value in held:
                held[value] += 1
            elif value is not None and len(held) < MOST_VALUES:
                held[value] = 1

    def note(self, key: Key, values: int, value: Hashable) -> bool:
        """One more value of a message that was added; false where so many are known that no more are taken."""
        entry = self._entries.get(key)
        if entry is None or len(held := entry.values[values]) >= MOST_VALUES:
            return False
        held[value] = held.get(value, 0) + 1
        return True

    def due(self, now: float) -> Iterator[tuple[Key, Entry]]:
        """What is to be told now."""
        over = []
        for key, entry in self._entries.items():
            ended = entry.until <= now
            if ended:
                over.append(key)
            size = entry.size()
            if (size >= max(entry.told * GROWTH, 1) or (ended and size > entry.told)) and self._passes(entry):
                entry.told = size
                yield key, entry
        for key in over:
            del self._entries[key]

    def flush(self) -> Iterator[tuple[Key, Entry]]:
        """All periods end now."""
        yield from self.due(float("inf"))
