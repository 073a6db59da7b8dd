from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from telemetry.intervals import Intervals

ranges = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 8)).map(lambda r: (r[0], r[0] + r[1])), max_size=12)


def numbers(of: Intervals) -> set[int]:
    return {n for first, last in of for n in range(first, last + 1)}


@given(ranges, ranges, st.integers(1, 70), st.integers(0, 70))
def test_it_is_a_set_of_numbers(
    left: list[tuple[int, int]], right: list[tuple[int, int]], first: int, size: int
) -> None:
    a, b = Intervals(), Intervals(right)
    plain: set[int] = set()
    for low, high in left:
        new = set(range(low, high + 1)) - plain
        assert a.add(low, high) == len(new)
        plain |= new
    assert numbers(a) == plain
    assert a.count == len(plain)
    assert a.highest == max(plain, default=0)
    assert all(x[1] + 1 < y[0] for x, y in zip(list(a), list(a)[1:], strict=False)), (
        "ranges are disjoint and not adjacent"
    )
    last = first + size
    window = set(range(first, last + 1))
    assert numbers(a.missing(first, last)) == window - plain
    assert a.holds(first, last) == (window <= plain)
    assert (first in a) == (first in plain)
    assert numbers(a.minus(b)) == plain - numbers(b)
    assert a.prefix == next(n for n in range(100) if n + 1 not in plain)
    union = Intervals(a)
    assert union.update(b) == len(numbers(b) - plain)
    assert numbers(union) == plain | numbers(b)


def test_the_status_detail_survives_the_way_there_and_back() -> None:
    from telemetry import ledger

    rows = [ledger.EpochLedger(7, 10, 4, 5, {"full": 1})]
    assert ledger.decode(ledger.encode(rows)) == rows
