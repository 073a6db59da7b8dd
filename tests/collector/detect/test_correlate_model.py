"""The correlator beside a reference that looks at all hits at once: whatever the order, repeats and restarts."""

from __future__ import annotations

import math
import random
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.detect.correlated import correlated_id
from tests.collector.detect.correlating import NOW, World, correlation, event

SPAN = 60_000
PORTS = {"a": 1, "b": 2, "d": 3}


class Seen(NamedTuple):
    at: int
    number: int
    rule: str
    group: int
    value: int


Holds = Callable[[Sequence[Seen]], bool]


def in_order(window: Sequence[Seen]) -> bool:
    """All chains a, b, d, the last of them at the end of the window."""
    if window[-1].rule != "d":
        return False
    firsts = [hit for hit in window if hit.rule == "a"]
    seconds = [hit for hit in window if hit.rule == "b"]
    return any(a.at < b.at < window[-1].at for a in firsts for b in seconds)


def percentile(values: Sequence[int], rank: float) -> float:
    ordered = sorted(values)
    at = rank / 100 * (len(ordered) - 1)
    low, high = ordered[math.floor(at)], ordered[math.ceil(at)]
    return low + (high - low) * (at - math.floor(at))


def values(window: Sequence[Seen]) -> list[int]:
    return [hit.value for hit in window]


GROWING: list[tuple[str, Holds]] = [
    ("event_count, condition: {gte: 3}", lambda w: len(w) >= 3),
    ("event_count, condition: {gt: 3}", lambda w: len(w) > 3),
    ("value_count, condition: {gte: 3, field: network.bytes}", lambda w: len(set(values(w))) >= 3),
    ("value_sum, condition: {gt: 12, field: network.bytes}", lambda w: sum(values(w)) > 12),
    ("temporal", lambda w: {hit.rule for hit in w} == {"a", "b", "d"}),
    ("temporal, condition: {gte: 2}", lambda w: len({hit.rule for hit in w}) >= 2),
    ("temporal, condition: (a and b) or d", lambda w: {"a", "b"} <= {h.rule for h in w} or "d" in {h.rule for h in w}),
    ("temporal_ordered", in_order),
]
WHOLE: list[tuple[str, Holds]] = [
    ("event_count, condition: {lt: 3}", lambda w: len(w) < 3),
    ("event_count, condition: {eq: 2}", lambda w: len(w) == 2),
    ("event_count, condition: {gte: 2, lte: 4}", lambda w: 2 <= len(w) <= 4),
    ("value_count, condition: {neq: 2, field: network.bytes}", lambda w: len(set(values(w))) != 2),
    ("value_avg, condition: {gt: 4, field: network.bytes}", lambda w: statistics.fmean(values(w)) > 4),
    ("value_median, condition: {lte: 4, field: network.bytes}", lambda w: statistics.median(values(w)) <= 4),
    (
        "value_percentile, condition: {gte: 6, field: network.bytes, percentile: 80}",
        lambda w: percentile(values(w), 80) >= 6,
    ),
]
NUMBER = st.integers(0, 2**30)
HITS = st.lists(
    st.tuples(st.integers(0, 300), st.sampled_from("abd"), st.integers(0, 1), st.integers(1, 9)),
    min_size=1,
    max_size=30,
    unique_by=lambda hit: hit[0],
)
"""Seconds, rule, group and value; times differ, so an order is one."""


def seen_of(drawn: Sequence[tuple[int, str, int, int]]) -> list[Seen]:
    return [Seen(NOW + second * 1000, n, rule, group, value) for n, (second, rule, group, value) in enumerate(drawn)]


def sliding(hits: Sequence[Seen], holds: Holds) -> set[tuple[int, int]]:
    found = set()
    for end in hits:
        window = sorted(h for h in hits if h.group == end.group and end.at - SPAN < h.at <= end.at)
        if holds(window):
            found.add((end.group, end.at // SPAN))
    return found


def whole(hits: Sequence[Seen], holds: Holds) -> set[tuple[int, int]]:
    stretches = {(hit.group, hit.at // SPAN) for hit in hits}
    return {(g, s) for g, s in stretches if holds(sorted(h for h in hits if (h.group, h.at // SPAN) == (g, s)))}


def alone(hits: Sequence[Seen]) -> set[tuple[int, int]]:
    """``a and not b``: with an ``a`` from some hit on, and no ``b`` around it."""
    found = set()
    for begin in hits:
        after = {h.rule for h in hits if h.group == begin.group and begin.at <= h.at < begin.at + SPAN}
        around = {h.rule for h in hits if h.group == begin.group and begin.at - SPAN < h.at < begin.at + SPAN}
        if "a" in after and "b" not in around:
            found.add((begin.group, begin.at // SPAN))
    return found


def raised(block: str, hits: Sequence[Seen], seed: int, live: bool, wanted: set[tuple[int, int]]) -> None:
    """Deliver in some order, some twice, with restarts between: exactly what is wanted was raised, each once."""
    order = random.Random(seed)
    rules = "" if "not b" in block else "rules: [a, b, d], "
    waiting = [*hits, *order.sample(list(hits), len(hits) // 3)]
    order.shuffle(waiting)
    with tempfile.TemporaryDirectory() as home:
        made = World(Path(home), correlation(f"{rules}group-by: [source.ip], timespan: 1m, type: {block}"))
        while waiting:
            size = order.randint(1, 6)
            some, waiting = waiting[:size], waiting[size:]
            events = [event(h.number, PORTS[h.rule], h.at, f"10.0.0.{h.group}", network__bytes=h.value) for h in some]
            if order.random() < 0.2:  # stored, and the collector dies before it looks
                made.store.write(made.hits(events))
                made.restart()
                made.step()
            else:
                made.give(*events, seconds=order.randint(0, 5) if live else 0)
        made.step(seconds=500)
        made.restart()
        made.step()
        made.store.close()
    (of,) = made.detector.ruleset().correlations
    ids = [correlated_id(of, f'["10.0.0.{group}"]', str(stretch)) for group, stretch in wanted]
    assert sorted(str(alert["event.id"]) for alert in made.alerts) == sorted(ids)


@pytest.mark.parametrize(("block", "holds"), GROWING, ids=[block for block, _ in GROWING])
@settings(max_examples=10, deadline=None)
@given(drawn=HITS, seed=NUMBER)
def test_what_grows_is_raised_in_every_stretch_in_which_it_held(
    block: str, holds: Holds, drawn: list[tuple[int, str, int, int]], seed: int
) -> None:
    hits = seen_of(drawn)
    raised(block, hits, seed, True, sliding(hits, holds))


@pytest.mark.parametrize(("block", "holds"), WHOLE, ids=[block for block, _ in WHOLE])
@settings(max_examples=10, deadline=None)
@given(drawn=HITS, seed=NUMBER)
def test_what_only_a_whole_window_tells_is_raised_when_it_is_over(
    block: str, holds: Holds, drawn: list[tuple[int, str, int, int]], seed: int
) -> None:
    hits = seen_of(drawn)
    raised(block, hits, seed, False, whole(hits, holds))


@settings(max_examples=10, deadline=None)
@given(drawn=HITS, seed=NUMBER)
def test_one_without_the_other_is_raised_where_the_other_is_not_around(
    drawn: list[tuple[int, str, int, int]], seed: int
) -> None:
    hits = [hit for hit in seen_of(drawn) if hit.rule != "d"]
    raised("temporal, condition: a and not b", hits, seed, False, alone(hits))
