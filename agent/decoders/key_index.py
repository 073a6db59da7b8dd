"""Keys of fixed size to small dense numbers, many at once: open addressing in arrays. Needs numpy (``fast``). Pure.

Linear probing, full keys compared, at most three of five slots used. A batch is first looked up without a change; only
keys that are not there are entered. Rows with the same key meet the same slots in step, so whoever comes first in the
batch enters it. When there is room for a part of the new keys, those that came first get it, as one by one they would.

The hash is multilinear with odd multipliers from ``seed``: whoever chooses addresses can not choose slots. Each word is
folded on itself before, because the last bytes of an address are the upper bits of a word, and a product carries only
upwards.
"""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Numbers = NDArray[np.int64]
EMPTY, GONE = -1, -2
SMALLEST = 1024
FULL = 0.6
HALF = np.uint64(32)


class KeyIndex:
    """At most ``most`` keys of ``words`` 64-bit words each."""

    def __init__(self, words: int, most: int, seed: int) -> None:
        self._width, self.most = words, most
        source = random.Random(seed)
        self._factors = np.array([source.getrandbits(64) | 1 for _ in range(words)], np.uint64)
        self._bits = SMALLEST.bit_length()
        self._slots = np.full(1 << self._bits, EMPTY, np.int32)
        self._used = 0
        self.keys = np.zeros((0, words), np.uint64)
        self._where = np.zeros(0, np.int32)
        self._free = np.zeros(0, np.int32)
        self.live = np.zeros(0, np.bool_)
        self.count = 0
        # an empty slot's number is looked up like any other: -2 must be a place
        self._grow(max(min(SMALLEST, most), 2))

    def __len__(self) -> int:
        return self.count

    @property
    def capacity(self) -> int:
        """Numbers given are below this."""
        return len(self.keys)

    def find(self, keys: Words, order: Numbers | None = None) -> tuple[Numbers, Numbers]:
        """The number of each key, -1 where there was no room; and the rows that entered a key, in no stated order.

        ``order`` says in which order the rows came, where it is not that of the rows.
        """
        start = self._hash(keys)
        numbers, missing = self._look_up(keys, start)
        room = self.most - self.count
        if not len(missing) or not room:
            return numbers, missing[:0]
        if len(missing) > room:
            missing = self._first(keys, missing, missing if order is None else order[missing], room)
        if self._prepare(min(len(missing), room)):
            start = self._hash(keys)
        return numbers, self._enter(keys, start, missing, numbers)

    def remove(self, numbers: Numbers) -> None:
        """Forget these; each must be live, and be named once."""
        self._slots[self._where[numbers]] = GONE
        self.live[numbers] = False
        self._free = np.concatenate([self._free, numbers.astype(np.int32)])
        self.count -= len(numbers)
        if not self.count:
            self._slots.fill(EMPTY)
            self._used = 0

    def _hash(self, keys: Words) -> Numbers:
        mixed: Words = (keys ^ (keys >> HALF)) @ self._factors
        return (mixed >> np.uint64(64 - self._bits)).view(np.int64)

    def _look_up(self, keys: Words, start: Numbers) -> tuple[Numbers, Numbers]:
        """Numbers, -1 where the key is not there, and those rows."""
        slots, mask = self._slots, len(self._slots) - 1
        numbers = slots[start].astype(np.int64)
        wrong = np.zeros(len(keys), np.bool_)
        wrong[np.flatnonzero(self.keys[numbers] != keys) // self._width] = True
        wrong[numbers < 0] = True
        missing = np.flatnonzero(wrong & (numbers == EMPTY))
        pending = np.flatnonzero(wrong & (numbers != EMPTY))
        if not len(pending):
            numbers[missing] = -1
            return numbers, missing
        more = [missing]
        at = start[pending]
        while len(pending):
            at = (at + 1) & mask
            found = slots[at]
            here = found >= 0
            here[here] = (self.keys[found[here]] == keys[pending[here]]).all(axis=1)
            numbers[pending[here]] = found[here]
            empty = found == EMPTY
            more.append(pending[empty])
            going = ~(here | empty)
            pending, at = pending[going], at[going]
        missing = np.sort(np.concatenate(more))
        numbers[missing] = -1
        return numbers, missing

    def _first(self, keys: Words, missing: Numbers, order: Numbers, room: int) -> Numbers:
        """Those of the missing rows whose key is among the first ``room`` new ones."""
        local = KeyIndex(self._width, len(missing), 0)
        local._factors = self._factors
        numbers, _ = local.find(keys[missing])
        came = np.full(local.capacity, np.iinfo(np.int64).max)
        np.minimum.at(came, numbers, order)
        last = np.partition(came, room - 1)[room - 1]
        first: Numbers = missing[came[numbers] <= last]
        return first

    def _prepare(self, coming: int) -> bool:
        """Make room for so many keys; whether places have changed."""
        wanted = self.count + coming
        if wanted > self.capacity:
            self._grow(min(max(wanted, self.capacity * 2), self.most))
        if self._used + coming <= FULL * len(self._slots):
            return False
        while wanted > FULL * (1 << self._bits):
            self._bits += 1
        # half as many again as must be: not to do this for every batch
        if wanted * 1.5 > FULL * (1 << self._bits):
            self._bits += 1
        self._slots = np.full(1 << self._bits, EMPTY, np.int32)
        self._used = 0
        known = np.flatnonzero(self.live)
        pending, at, mask = known, self._hash(self.keys[known]), len(self._slots) - 1
        while len(pending):
            free = np.flatnonzero(self._slots[at] == EMPTY)
            self._slots[at[free]] = pending[free]
            stays = self._slots[at] == pending
            self._where[pending[stays]] = at[stays]
            pending, at = pending[~stays], (at[~stays] + 1) & mask
        self._used = len(known)
        return True

    def _enter(self, keys: Words, start: Numbers, pending: Numbers, numbers: Numbers) -> Numbers:
        slots, mask = self._slots, len(self._slots) - 1
        at, entered = start[pending], []
        while len(pending):
            found = slots[at]
            empty = np.flatnonzero(found == EMPTY)
            if len(empty):
                places, claims = at[empty], np.arange(len(empty), dtype=np.int32)
                slots[places[::-1]] = claims[::-1]
                won = empty[slots[places] == claims]
                fresh = self._free[len(self._free) - len(won) :][::-1].astype(np.int64)
                self._free = self._free[: len(self._free) - len(won)]
                slots[at[won]] = fresh
                self.keys[fresh] = keys[pending[won]]
                self._where[fresh] = at[won]
                self.live[fresh] = True
                self.count += len(won)
                self._used += len(won)
                entered.append(pending[won])
                found = slots[at]
            here = found >= 0
            here[here] = (self.keys[found[here]] == keys[pending[here]]).all(axis=1)
            numbers[pending[here]] = found[here]
            pending, at = pending[~here], (at[~here] + 1) & mask
        return np.concatenate(entered) if entered else pending

    def _grow(self, capacity: int) -> None:
        before = self.capacity
        self.keys = np.concatenate([self.keys, np.zeros((capacity - before, self._width), np.uint64)])
        self._where = np.concatenate([self._where, np.zeros(capacity - before, np.int32)])
        self.live = np.concatenate([self.live, np.zeros(capacity - before, np.bool_)])
        self._free = np.concatenate([np.arange(capacity - 1, before - 1, -1, dtype=np.int32), self._free])
