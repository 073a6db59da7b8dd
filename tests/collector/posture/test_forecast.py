"""Series with known answers: lines, bursts, gaps, too few points; baselines by hour of the week."""

from __future__ import annotations

import datetime
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.posture.baseline import HOUR_MS, WEEK_HOURS, deviation, hour_of_week
from collector.posture.forecast import Point, Trend, reach, trend

MONDAY = 1_789_315_200_000 // HOUR_MS * HOUR_MS
"""Some hour; tests ask what hour of the week it is rather than believe a name."""


def ms(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text).timestamp() * 1000)


def test_hours_of_the_week_are_beijing_s() -> None:
    assert hour_of_week(ms("2026-11-23T00:00:00+08:00")) == 0  # a Monday
    assert hour_of_week(ms("2026-11-23T16:30:00+00:00")) == 24  # Tuesday 00:30 there
    assert hour_of_week(ms("2026-11-29T23:59:59+08:00")) == 167
    assert {hour_of_week(MONDAY + h * HOUR_MS) for h in range(WEEK_HOURS)} == set(range(WEEK_HOURS))


def weeks(values: list[float], at: int = MONDAY) -> dict[int, float]:
    """The newest value at ``at``, the one before a week earlier ..."""
    return {at - back * WEEK_HOURS * HOUR_MS: value for back, value in enumerate(reversed(values))}


def test_a_usual_hour_is_no_deviation_and_a_burst_is_one() -> None:
    found = deviation(weeks([100, 104, 96, 102, 98, 100, 101]), MONDAY, 4)
    assert found is not None
    assert (found.enough, found.weeks, found.median) == (True, 6, 100)
    assert abs(found.deviations) < 1
    burst = deviation(weeks([100, 104, 96, 102, 98, 100, 300]), MONDAY, 4)
    assert burst is not None
    assert burst.deviations == pytest.approx(20)  # 200 over a spread of sqrt(100), which is more than 1.4826 * MAD 2


def test_one_odd_week_does_not_move_what_is_usual() -> None:
    calm = deviation(weeks([10, 10, 10, 10, 10, 10, 30]), MONDAY, 4)
    odd = deviation(weeks([10, 10, 10_000, 10, 10, 10, 30]), MONDAY, 4)
    assert calm is not None
    assert odd is not None
    assert calm.deviations == odd.deviations > 4


def test_other_hours_of_the_week_say_nothing() -> None:
    series = weeks([10, 10, 10, 10, 10, 12])
    noise = {MONDAY - h * HOUR_MS: 1e6 for h in range(1, 1000) if h % WEEK_HOURS}
    assert deviation({**noise, **series}, MONDAY, 4) == deviation(series, MONDAY, 4)


def test_too_few_weeks_and_unseen_hours_are_said() -> None:
    few = deviation(weeks([10, 10, 10, 99]), MONDAY, 4)
    assert few is not None
    assert (few.enough, few.weeks, few.deviations) == (False, 3, 0)
    series = weeks([10, 10, 10, 10, 10])
    del series[MONDAY]
    assert deviation(series, MONDAY, 4) is None
    gap = weeks([10, 10, 10, 10, 10, 10])
    del gap[MONDAY - 2 * WEEK_HOURS * HOUR_MS]  # nobody looked that week: four are left
    found = deviation(gap, MONDAY, 4)
    assert found is not None
    assert (found.enough, found.weeks) == (True, 4)


def test_a_line_is_found_exactly_and_reaches_its_limit_on_the_day() -> None:
    found = trend([(float(x), 10 + 2.0 * x) for x in range(20)], 7)
    assert found == Trend(48.0, 2.0, 2.0, 2.0, 20)
    assert reach(found, 80).likely == 16
    assert reach(found, 48) == reach(found, 10)
    assert reach(found, 10).likely == 0
    assert found.after(5) == (58, 58, 58)


def test_a_fifth_of_wild_values_does_not_move_the_line() -> None:
    chance = random.Random(5)
    points = [(float(x), 20 + 0.5 * x) for x in range(50)]
    for at in chance.sample(range(50), 10):
        points[at] = (points[at][0], chance.choice((0.0, 100.0)))
    found = trend(points, 7)
    assert found is not None
    assert found.slope == pytest.approx(0.5, abs=0.02)
    assert found.level == pytest.approx(44.5, abs=0.5)
    assert found.certain
    assert found.low <= 0.5 <= found.high


def test_noise_without_a_trend_foretells_nothing() -> None:
    chance = random.Random(1)
    wrong = 0
    for _ in range(40):
        found = trend([(float(x), 50 + chance.gauss(0, 5)) for x in range(30)], 7)
        assert found is not None
        wrong += found.certain
        assert found.certain or reach(found, 80).likely is None
    assert wrong <= 6  # 5 % are expected


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    chance = random.Random(2)
    held = 0
    for _ in range(200):
        found = trend([(float(x), 0.3 * x + chance.gauss(0, 3)) for x in range(25)], 7)
        assert found is not None
        held += found.low <= 0.3 <= found.high
    assert held >= 180


def test_gaps_in_the_days_do_not_bend_the_line() -> None:
    days = [0, 1, 2, 9, 10, 11, 30, 31]
    found = trend([(float(x), 5 + 1.5 * x) for x in days], 7)
    assert found is not None
    assert (found.slope, found.level) == (1.5, 51.5)


def test_too_few_points_are_not_enough_data() -> None:
    assert trend([(float(x), float(x)) for x in range(6)], 7) is None
    assert trend([(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)], 2) is None


def test_a_line_that_falls_never_reaches_a_limit_above() -> None:
    found = trend([(float(x), 50 - x) for x in range(20)], 7)
    assert found is not None
    when = reach(found, 80)
    assert (when.likely, when.earliest, when.latest) == (None, None, None)


points = st.lists(
    st.tuples(st.integers(0, 60).map(float), st.floats(-1e6, 1e6, allow_nan=False)), max_size=40
)  # fmt: skip


@given(points)
def test_any_points_give_a_trend_inside_its_interval_or_none(some: list[Point]) -> None:
    found = trend(some, 5)
    if found is not None:
        assert found.low <= found.slope <= found.high
        assert all(math.isfinite(v) for v in (found.level, found.slope, found.low, found.high))
        when = reach(found, 1e7)
        if when.likely is not None:
            assert when.earliest is not None
            assert when.earliest <= when.likely
            assert when.latest is None or when.likely <= when.latest
