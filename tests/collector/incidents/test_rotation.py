"""Hand-overs by the clock on the wall: DST both ways, leap days, years that no rule knows yet, and no gap ever."""

from __future__ import annotations

import datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.incidents.rotation import first_hand_over, hand_over, instant, local, person_of_shift, shift_at, zone
from collector.inventory import Rotation, Shift, Weekday
from telemetry.clock import iso, parse_iso

ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "UTC")


def rotation(**changes: object) -> Rotation:
    given = {"id": "r", "name": "值班", "people": ["a", "b", "c"], "start": "2026-01-05", **changes}
    return msgspec.convert(given, Rotation)


def hand_overs(made: Rotation, first: int, count: int) -> list[str]:
    return [iso(hand_over(made, number)) for number in range(first, first + count)]


def test_a_week_begins_on_the_day_of_hand_over_in_shanghai() -> None:
    made = rotation(start="2026-01-06", hand_over_day="monday", hand_over_time="08:30")
    assert hand_overs(made, 0, 2) == ["2026-01-12T00:30:00.000Z", "2026-01-19T00:30:00.000Z"]
    assert first_hand_over(made).weekday() == 0
    at = parse_iso("2026-01-19T00:30:00Z")
    assert [person_of_shift(made, shift_at(made, at + d)) for d in (-1, 0)] == ["a", "b"]


def test_the_clock_on_the_wall_counts_when_summer_time_begins_and_ends() -> None:
    made = rotation(shift="daily", time_zone="Europe/Berlin", start="2026-03-28", hand_over_time="09:00")
    assert hand_overs(made, 0, 2) == ["2026-03-28T08:00:00.000Z", "2026-03-29T07:00:00.000Z"]
    assert hand_over(made, 1) - hand_over(made, 0) == 23 * 3600_000
    autumn = rotation(shift="daily", time_zone="Europe/Berlin", start="2026-10-24", hand_over_time="09:00")
    assert hand_over(autumn, 1) - hand_over(autumn, 0) == 25 * 3600_000


def test_a_time_that_does_not_exist_is_the_moment_of_the_change() -> None:
    made = rotation(shift="daily", time_zone="Europe/Berlin", start="2026-03-29", hand_over_time="02:30")
    assert iso(hand_over(made, 0)) == "2026-03-29T01:00:00.000Z"


def test_of_a_time_that_comes_twice_the_first_counts() -> None:
    made = rotation(shift="daily", time_zone="Europe/Berlin", start="2026-10-25", hand_over_time="02:30")
    assert iso(hand_over(made, 0)) == "2026-10-25T00:30:00.000Z"


def test_a_day_that_a_place_left_out_has_no_shift_of_its_own() -> None:
    """Samoa had no 30 December 2011."""
    made = rotation(shift="daily", time_zone="Pacific/Apia", start="2011-12-29", hand_over_time="00:00")
    assert hand_over(made, 1) == hand_over(made, 2) == parse_iso("2011-12-30T10:00:00Z")
    assert shift_at(made, parse_iso("2011-12-30T10:00:00Z")) == 2


def test_a_leap_day_is_a_day() -> None:
    made = rotation(shift="daily", start="2028-02-28", hand_over_time="00:00")
    people = [person_of_shift(made, shift_at(made, parse_iso(f"2028-{day}T12:00:00+08:00"))) for day in DAYS]
    assert people == ["a", "b", "c"]


DAYS = ("02-28", "02-29", "03-01")


def test_day_and_night_shifts() -> None:
    made = rotation(shift="custom", hours=12, start="2026-01-01", hand_over_time="08:00", people=["day", "night"])
    assert person_of_shift(made, shift_at(made, parse_iso("2026-06-01T07:59:59+08:00"))) == "night"
    assert person_of_shift(made, shift_at(made, parse_iso("2026-06-01T08:00:00+08:00"))) == "day"


def test_before_the_start_the_turns_go_on_backwards() -> None:
    made = rotation(shift="daily", start="2026-01-05")
    people = [person_of_shift(made, shift_at(made, parse_iso(f"2026-01-0{d}T12:00:00+08:00"))) for d in (2, 3, 4, 5)]
    assert people == ["a", "b", "c", "a"]


ROTATIONS = st.builds(
    rotation,
    time_zone=st.sampled_from(ZONES),
    start=st.dates(datetime.date(2009, 1, 1), datetime.date(2040, 1, 1)).map(str),
    people=st.integers(1, 5).map(lambda n: [f"p{i}" for i in range(n)]),
    hand_over_time=st.times().map(lambda t: f"{t:%H:%M}"),
    hand_over_day=st.sampled_from(list(Weekday)).map(str),
) | st.builds(
    rotation,
    shift=st.just("custom"),
    time_zone=st.sampled_from(ZONES),
    days=st.integers(0, 30),
    hours=st.integers(1, 23),
    hand_over_time=st.times().map(lambda t: f"{t:%H:%M}"),
)


@given(ROTATIONS, st.integers(1_230_000_000_000, 2_240_000_000_000))
def test_every_instant_lies_in_exactly_one_shift(made: Rotation, at: int) -> None:
    number = shift_at(made, at)
    assert hand_over(made, number) <= at < hand_over(made, number + 1)
    edges = [hand_over(made, n) for n in range(number - 3, number + 4)]
    assert edges == sorted(edges)


WALL = datetime.datetime.fromisoformat("2009-01-01")


@given(
    st.sampled_from(ZONES),
    st.integers(0, 36 * 366 * 86_400).map(lambda n: WALL + datetime.timedelta(seconds=n)),
)
def test_an_instant_is_the_first_that_shows_this_time_or_later(name: str, wall: datetime.datetime) -> None:
    where = zone(rotation(time_zone=name))
    at = instant(wall, where)
    assert local(at, where) >= wall
    assert local(at - 1, where) < wall


@pytest.mark.parametrize("shift", Shift)
def test_every_kind_of_shift_moves_on(shift: Shift) -> None:
    made = rotation(shift=shift.value, hours=8 if shift is Shift.CUSTOM else 0)
    assert hand_over(made, 0) < hand_over(made, 1)
