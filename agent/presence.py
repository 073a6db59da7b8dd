"""Who is on a segment: one entry for each interface and MAC, with the addresses it uses and what it calls itself. Pure.

Bounded: ``most`` entries. Where there is no room the one goes first that was seen in one moment only, the longest
unseen; so a flood of invented MACs pushes out itself, and not the terminals that stay.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator

MOST_ADDRESSES = 16
SETTLED_S = 2.0
"""What is seen again after this time is more than a moment's guest."""
CROWD = 20
"""More newcomers than this, each seen in one moment only, are a flood of invented MACs: who stays is told, no other."""
CHANGE_S = 10.0
"""How often at most the changes of one terminal are told."""

Key = tuple[int, bytes]
"""Index of the interface that stands for the segment, and MAC."""


class Change(enum.StrEnum):
    APPEARED = "appeared"
    CHANGED = "changed"
    LEFT = "left"
    PRESENT = "present"


class Terminal:
    __slots__ = ("addresses", "changed", "first", "first_ms", "last_ms", "name", "seen", "told")

    def __init__(self, now: float, now_ms: int) -> None:
        self.first, self.seen = now, now
        self.first_ms = self.last_ms = now_ms
        self.addresses: dict[str, None] = {}
        self.name = ""
        self.changed = False
        self.told = float("-inf")


class Presence:
    """``see`` every sign of life, ``due`` each tick; ``told`` what was."""

    def __init__(self, most: int, again_s: float, absent_s: float) -> None:
        self._most, self._again_s, self._absent_s = most, again_s, absent_s
        self._settled: dict[Key, Terminal] = {}
        self._guests: dict[Key, Terminal] = {}
        self.left_out = 0

    def __len__(self) -> int:
        return len(self._settled) + len(self._guests)

    def see(self, key: Key, address: str, name: str, now: float, now_ms: int) -> None:
        """A frame of this MAC that shows an address or name of it; empty: shows none."""
        held = self._settled.pop(key, None) or self._guests.pop(key, None)
        if held is None:
            held = Terminal(now, now_ms)
            self._make_room()
        (self._settled if now - held.first > SETTLED_S else self._guests)[key] = held
        held.seen, held.last_ms = now, now_ms
        if address and address not in held.addresses:
            if len(held.addresses) >= MOST_ADDRESSES:
                del held.addresses[next(iter(held.addresses))]
            held.addresses[address] = None
            held.changed = True
        if name and name != held.name:
            held.name, held.changed = name, True

    def due(self, now: float) -> Iterator[tuple[Key, Terminal, Change]]:
        """What is to be told; it comes again until ``told`` is called. What left is forgotten at once."""
        for table in (self._settled, self._guests):
            # the longest unseen stand first
            while table:
                key, held = next(iter(table.items()))
                if now - held.seen < self._absent_s:
                    break
                del table[key]
                if held.told > float("-inf"):
                    yield key, held, Change.LEFT
        crowded = len(self._guests) > CROWD
        for key, held in [*self._settled.items(), *self._guests.items()]:
            if held.told == float("-inf"):
                if not (crowded and key in self._guests):
                    yield key, held, Change.APPEARED
            elif held.changed and now - held.told >= CHANGE_S:
                yield key, held, Change.CHANGED
            elif now - held.told >= self._again_s:
                yield key, held, Change.PRESENT

    def _make_room(self) -> None:
        if len(self) >= self._most:
            table = self._guests or self._settled
            del table[next(iter(table))]
            self.left_out += 1


def told(held: Terminal, now: float) -> None:
    held.told, held.changed = now, False
