from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent.decoders.key_index import KeyIndex

NUMBERS = st.integers(0, 60)


def words(values: list[int]) -> np.ndarray[tuple[int, int], np.dtype[np.uint64]]:
    return np.array([[value % 3, value, 0, (value & 255) << 56] for value in values], np.uint64).reshape(-1, 4)


class Model(RuleBasedStateMachine):
    """Against a dict: first come, first served; a number is never given twice at a time."""

    @initialize(most=st.integers(1, 40), seed=st.integers(0, 1000))
    def begin(self, most: int, seed: int) -> None:
        self.index = KeyIndex(4, most, seed)
        self.index._slots = self.index._slots[:64].copy()
        self.index._bits = 6
        self.known: dict[int, int] = {}

    @rule(values=st.lists(NUMBERS, max_size=60))
    def find(self, values: list[int]) -> None:
        numbers, entered = self.index.find(words(values))
        fresh: list[int] = []
        for at, (value, number) in enumerate(zip(values, numbers.tolist(), strict=True)):
            if value not in self.known and len(self.known) < self.index.most:
                assert number not in self.known.values()
                self.known[value] = number
                fresh.append(at)
            assert number == self.known.get(value, -1)
        assert sorted(entered.tolist()) == fresh

    @rule(which=st.sets(NUMBERS))
    def remove(self, which: set[int]) -> None:
        gone = [self.known.pop(value) for value in which & self.known.keys()]
        self.index.remove(np.array(gone, np.int64))

    @invariant()
    def the_live_ones_are_those_known(self) -> None:
        if hasattr(self, "known"):
            assert sorted(np.flatnonzero(self.index.live).tolist()) == sorted(self.known.values())
            assert len(self.index) == len(self.known)
            assert self.index._used <= len(self.index._slots)


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=150, stateful_step_count=30)


@settings(max_examples=30)
@given(st.integers(0, 1 << 30), st.integers(1, 4))
def test_many_keys_and_growth(seed: int, rounds: int) -> None:
    index = KeyIndex(4, 6000, seed)
    for step in range(rounds):
        values = list(range(step * 1000, step * 1000 + 2500))
        numbers, _ = index.find(words(values))
        again, entered = index.find(words(values))
        assert numbers.tolist() == again.tolist()
        assert not len(entered)
        assert len(set(numbers.tolist())) == 2500
    assert len(index._slots) <= 16_384


def test_addresses_that_differ_in_their_last_bytes_do_not_meet() -> None:
    """The last byte of an address is the top of a word, where a product alone would carry nothing down."""
    keys = np.array([[a << 56, b << 56, 0, 0] for a in range(128) for b in range(128)], np.uint64)
    index = KeyIndex(4, 20_000, 7)
    start = index._start(index._mix(keys))
    assert len(np.unique(start)) > 0.5 * min(len(keys), len(index._slots))
    numbers, _ = index.find(keys)
    assert len(set(numbers.tolist())) == len(keys)
