from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collector.page_rate import Rate
from telemetry.clock import ManualClock


@given(st.integers(1, 8), st.lists(st.floats(0, 40), max_size=60))
def test_never_more_than_so_many_in_any_minute(per_minute: int, pauses: list[float]) -> None:
    clock, taken = ManualClock(), []
    rate = Rate(clock, per_minute)
    for pause in pauses:
        clock.advance(pause)
        if rate.wait_s() == 0:
            rate.took()
            taken.append(clock.monotonic())
    for at in taken:
        assert sum(at <= other < at + 60 for other in taken) <= per_minute


def test_it_says_how_long_to_wait() -> None:
    clock = ManualClock()
    rate = Rate(clock, 2)
    rate.took()
    clock.advance(10)
    rate.took()
    assert rate.wait_s() == 50
    clock.advance(50)
    assert rate.wait_s() == 0
