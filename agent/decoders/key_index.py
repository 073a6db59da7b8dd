"""Keys of fixed size to small dense numbers, many at once: open addressing in arrays. Needs numpy (``fast``). Pure.

Double hashing, full keys compared, at most two of five slots used: a round over a few rows that are left costs as much
as one over hundreds, so chains must be short. A batch is first looked up without a change; only keys that are not there
are entered. Rows with the same key meet the same slots in step, so whoever comes first in the
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
Mask = NDArray[np.bool_]
EMPTY, GONE = -1, -2
SMALLEST = 1024
FULL = 0.4
PIECE = 65_536
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
        self._unused = 0
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
        mixed = self._mix(keys)
        numbers, missing = self._look_up(keys, mixed)
        room = self.most - self.count
        if not len(missing) or not room:
            return numbers, missing[:0]
        if len(missing) > room:
            missing = self._first(keys, missing, missing if order is None else order[missing], room)
        self._prepare(min(len(missing), room))
        return numbers, self._enter(keys, mixed, missing, numbers)

    def remove(self, numbers: Numbers) -> None:
        """Forget these; each must be live, and be named once."""
        self._slots[self._where[numbers]] = GONE
        self.live[numbers] = False
        self._free[self._unused : self._unused + len(numbers)] = numbers
        self._unused += len(numbers)
        self.count -= len(numbers)
        if not self.count:
            self._slots.fill(EMPTY)
            self._used = 0

    def _mix(self, keys: Words) -> Words:
        mixed: Words = (keys ^ (keys >> HALF)) @ self._factors
        return mixed

    def _start(self, mixed: Words) -> Numbers:
        return (mixed >> np.uint64(64 - self._bits)).view(np.int64)

    def _step(self, mixed: Words) -> Numbers:
        """An odd number: it comes by every slot."""
        return (mixed >> np.uint64(max(63 - 2 * self._bits, 0)) | np.uint64(1)).view(np.int64)

    def _differs(self, numbers: Numbers, keys: Words) -> Mask:
        """Whether these are not the numbers of these keys; a number below 0 is that of none."""
        stored = self._records[numbers].view(np.uint64).reshape(keys.shape)
        wrong = numbers < 0
        wrong[np.flatnonzero(stored != keys) // self._width] = True
        return wrong

    def _look_up(self, keys: Words, mixed: Words) -> tuple[Numbers, Numbers]:
        """Numbers, -1 where the key is not there, and those rows."""
        slots, mask = self._slots, len(self._slots) - 1
        at = self._start(mixed)
        numbers = slots[at].astype(np.int64)
        pending = np.flatnonzero(self._differs(numbers, keys))
        if not len(pending):
            return numbers, pending
        missing = []
        found, at, step = numbers[pending], at[pending], self._step(mixed[pending])
        keys = keys[pending]
        while True:
            empty = found == EMPTY
            missing.append(pending[empty])
            going = np.flatnonzero(~empty)
            pending, keys, step = pending[going], keys[going], step[going]
            if not len(pending):
                break
            at = (at[going] + step) & mask
            found = slots[at].astype(np.int64)
            wrong = self._differs(found, keys)
            here = np.flatnonzero(~wrong)
            numbers[pending[here]] = found[here]
            going = np.flatnonzero(wrong)
            pending, keys, step, at, found = pending[going], keys[going], step[going], at[going], found[going]
        gone = np.sort(np.concatenate(missing))
        numbers[gone] = -1
        return numbers, gone

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

    def _prepare(self, coming: int) -> None:
        """Make room for so many keys."""
        wanted = self.count + coming
        if wanted > self.capacity:
            self._grow(min(max(wanted, self.capacity * 2), self.most))
        if self._used + coming <= FULL * len(self._slots):
            return
        # half as many again as must be: not to do this for every batch
        while wanted * 1.5 > FULL * (1 << self._bits):
            self._bits += 1
        self._slots = np.full(1 << self._bits, EMPTY, np.int32)
        known = np.flatnonzero(self.live)
        # in pieces: three copies of all keys would be the most memory that there ever is
        pieces = [self._mix(self.keys[known[at : at + PIECE]]) for at in range(0, len(known), PIECE)]
        mixed = np.concatenate([np.zeros(0, np.uint64), *pieces])
        pending, at, step, mask = known, self._start(mixed), self._step(mixed), len(self._slots) - 1
        while len(pending):
            free = np.flatnonzero(self._slots[at] == EMPTY)
            self._slots[at[free]] = pending[free]
            stays = self._slots[at] == pending
            self._where[pending[stays]] = at[stays]
            going = np.flatnonzero(~stays)
            pending, step = pending[going], step[going]
            at = (at[going] + step) & mask
        self._used = len(known)

    def _enter(self, keys: Words, mixed: Words, pending: Numbers, numbers: Numbers) -> Numbers:
        slots, mask = self._slots, len(self._slots) - 1
        mixed, keys = mixed[pending], keys[pending]
        at, step, entered = self._start(mixed), self._step(mixed), []
        while len(pending):
            found = slots[at].astype(np.int64)
            empty = np.flatnonzero(found == EMPTY)
            if len(empty):
                places, claims = at[empty], np.arange(len(empty), dtype=np.int32)
                slots[places[::-1]] = claims[::-1]
                won = empty[slots[places] == claims]
                fresh = self._free[self._unused - len(won) : self._unused][::-1].astype(np.int64)
                self._unused -= len(won)
                slots[at[won]] = fresh
                self.keys[fresh] = keys[won]
                self._where[fresh] = at[won]
                self.live[fresh] = True
                self.count += len(won)
                self._used += len(won)
                entered.append(pending[won])
                found[empty] = slots[places]
            wrong = self._differs(found, keys)
            here = np.flatnonzero(~wrong)
            numbers[pending[here]] = found[here]
            going = np.flatnonzero(wrong)
            pending, keys, step = pending[going], keys[going], step[going]
            at = (at[going] + step) & mask
        return np.concatenate(entered) if entered else pending

    def _grow(self, capacity: int) -> None:
        before = self.capacity
        self.keys = np.concatenate([self.keys, np.zeros((capacity - before, self._width), np.uint64)])
        self._records = self.keys.view(f"V{self._width * 8}")[:, 0]
        self._where = np.concatenate([self._where, np.zeros(capacity - before, np.int32)])
        self.live = np.concatenate([self.live, np.zeros(capacity - before, np.bool_)])
        unused = np.arange(capacity - 1, before - 1, -1, dtype=np.int32)
        free = self._free[: self._unused]
        self._free = np.concatenate([unused, free, np.zeros(capacity - len(unused) - len(free), np.int32)])
        self._unused = len(unused) + len(free)
