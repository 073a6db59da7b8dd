"""One field of one dataset: which items may be fulfilled by a value of it. Immutable but for what it remembers.

Exact values, beginnings and endings are hashed (by the lengths that occur), prefixes of addresses by their lengths,
bounds are sorted. Of a text that must occur somewhere, one piece of up to three characters is hashed, the one that
fewest others have; a value is cut into all its pieces and each is looked up. Values of most fields come again and
again (zones, ports, protocols, addresses), so what was found for a value is remembered, up to a bound.
"""

from __future__ import annotations

import bisect
import collections
from collections.abc import Iterable

from collector.detect.values import Prefix, address, number, text

Numbers = tuple[int, ...]
MAX_REMEMBERED = 20_000
MAX_LENGTH = 256
"""Of a text that is remembered."""
PIECE = 3


class FieldIndex:
    """``add`` everything, then ``seal``; then ``find``."""

    def __init__(self) -> None:
        self._exact: dict[str, list[int]] = {}
        self._present: list[int] = []
        self._starts: dict[int, dict[str, list[int]]] = {}
        self._ends: dict[int, dict[str, list[int]]] = {}
        self._holds: dict[str, list[int]] = {}
        self._pieces: dict[str, list[tuple[str, list[int]]]] = {}
        self._sizes: tuple[int, ...] = ()
        self._nets: dict[tuple[int, int], dict[int, list[int]]] = {}
        self._bounds: dict[str, list[tuple[float, int]]] = {}
        self._sorted: dict[str, tuple[list[float], list[int]]] = {}
        self.memory: dict[object, Numbers] = {}
        """What ``find`` gave for texts and whole numbers. To be asked first, but not for True, which equals 1."""

    def add(self, item: int, op: str, operand: str | float | Prefix) -> None:
        if op == "has":
            self._present.append(item)
        elif isinstance(operand, Prefix):
            table = self._nets.setdefault((operand.version, operand.length), {})
            table.setdefault(operand.bits, []).append(item)
        elif isinstance(operand, str):
            if op == "is":
                self._exact.setdefault(operand, []).append(item)
            elif op == "holds":
                self._holds.setdefault(operand, []).append(item)
            else:
                side = self._starts if op == "starts" else self._ends
                side.setdefault(len(operand), {}).setdefault(operand, []).append(item)
        else:
            self._bounds.setdefault(op, []).append((operand, item))

    def seal(self) -> None:
        for op, bounds in self._bounds.items():
            bounds.sort()
            self._sorted[op] = ([bound for bound, _ in bounds], [item for _, item in bounds])
        others: collections.Counter[str] = collections.Counter()
        for literal in self._holds:
            others.update(set(_pieces(literal, min(PIECE, len(literal)))))
        for literal, items in self._holds.items():
            size = min(PIECE, len(literal))
            rarest = min(_pieces(literal, size), key=lambda piece: (piece.isascii(), others[piece]))
            self._pieces.setdefault(rarest, []).append((literal, items))
        self._sizes = tuple(sorted({len(piece) for piece in self._pieces}))

    def find(self, value: object) -> Numbers:
        """Items that the value may fulfil; some may be there twice. Remembered in ``memory`` where that is worth it."""
        kind = type(value)
        if kind is list:
            found: set[int] = set()
            for one in value:  # type: ignore[attr-defined]
                found.update(self._find(one))
            return tuple(found)
        made = self._find(value)
        if kind is int or (kind is str and len(value) <= MAX_LENGTH):  # type: ignore[arg-type]
            if len(self.memory) >= MAX_REMEMBERED:  # an attacker's values must not grow it for ever
                self.memory.clear()
            self.memory[value] = made
        return made

    def _find(self, value: object) -> Numbers:
        if value is None:
            return ()
        found = list(self._present)
        said = text(value).lower()
        found += self._exact.get(said, ())
        for length, table in self._starts.items():
            found += table.get(said[:length], ())
        for length, table in self._ends.items():
            found += table.get(said[-length:], ())
        for size in self._sizes:
            for piece in set(_pieces(said, size)) & self._pieces.keys():
                for literal, items in self._pieces[piece]:
                    if len(piece) == size and literal in said:
                        found += items
        if self._nets and type(value) is str and (bits := address(value)) is not None:
            version, whole = bits
            width = 32 if version == 4 else 128
            for (of, length), nets in self._nets.items():
                if of == version:
                    found += nets.get(whole >> (width - length), ())
        if self._sorted:
            found += self._within(value)
        return tuple(found)

    def _within(self, value: object) -> Iterable[int]:
        counted = number(value)
        if counted is None or counted != counted:
            return
        for op, (bounds, items) in self._sorted.items():
            if op == "gte":
                yield from items[: bisect.bisect_right(bounds, counted)]
            elif op == "gt":
                yield from items[: bisect.bisect_left(bounds, counted)]
            elif op == "lte":
                yield from items[bisect.bisect_left(bounds, counted) :]
            else:
                yield from items[bisect.bisect_right(bounds, counted) :]


def _pieces(literal: str, size: int) -> list[str]:
    return [literal[at : at + size] for at in range(len(literal) - size + 1)]
