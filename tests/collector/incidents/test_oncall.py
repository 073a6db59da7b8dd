"""Who is on call: turns, holidays and overrides, and a year of random histories without a gap or an overlap."""

from __future__ import annotations

import datetime
import itertools

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.incidents.oncall import Override, at, changes, next_change, on_call, plan
from collector.inventory import Holiday, Rotation
from telemetry.clock import iso, parse_iso

HOUR = 3_600_000
DAY = 24 * HOUR
ROTATION = msgspec.convert(
    {"id": "soc", "name": "值班", "people": ["a", "b"], "start": "2026-09-28", "shift": "daily"}, Rotation
)
NATIONAL_DAY = msgspec.convert(
    {"date": "2026-10-01", "days": 3, "name": "国庆节", "rotation": "soc", "people": ["x", "y"]}, Holiday
)


def shanghai(text: str) -> int:
    return parse_iso(text + "+08:00")


def override(person: str, begin: str, end: str, made: int = 0, rotation: str = "soc") -> Override:
    return Override(
        id=f"{made:016x}",
        rotation=rotation,
        person=person,
        from_ms=shanghai(begin),
        until_ms=shanghai(end),
        made_ms=made,
        by="t",
    )


def who(text: str, *overrides: Override, holidays: tuple[Holiday, ...] = (NATIONAL_DAY,)) -> str:
    return on_call(ROTATION, overrides, holidays, shanghai(text)).person


def test_a_holiday_takes_the_place_of_the_rotation_from_hand_over_to_hand_over() -> None:
    hours = ("2026-10-01T08:59", "2026-10-01T09:00", "2026-10-02T09:00", "2026-10-03T09:00", "2026-10-04T09:00")
    assert [who(hour) for hour in hours] == ["a", "x", "y", "x", "a"]
    assert on_call(ROTATION, (), (NATIONAL_DAY,), shanghai("2026-10-01T12:00")).holiday == NATIONAL_DAY


def test_a_holiday_of_another_rotation_changes_nothing() -> None:
    other = msgspec.structs.replace(NATIONAL_DAY, rotation="net")
    assert who("2026-10-01T12:00", holidays=(other,)) == "b"


def test_an_override_wins_over_a_holiday_and_ends() -> None:
    swap = override("z", "2026-10-01T12:00", "2026-10-01T18:00")
    hours = ("2026-10-01T11:59", "2026-10-01T12:00", "2026-10-01T17:59", "2026-10-01T18:00")
    assert [who(hour, swap) for hour in hours] == ["x", "z", "z", "x"]


def test_of_two_overrides_the_later_made_wins() -> None:
    first = override("z", "2026-10-05T00:00", "2026-10-06T00:00", made=1)
    second = override("w", "2026-10-05T06:00", "2026-10-05T07:00", made=2)
    assert who("2026-10-05T06:30", second, first) == "w"
    assert who("2026-10-05T07:30", second, first) == "z"


def test_an_override_of_another_rotation_or_without_length_changes_nothing() -> None:
    assert who("2026-10-05T06:30", override("z", "2026-10-05T00:00", "2026-10-06T00:00", rotation="net")) == "a"
    assert who("2026-10-05T06:30", override("z", "2026-10-06T00:00", "2026-10-05T00:00")) == "a"


def test_the_next_change_is_of_the_person_and_not_of_the_shift() -> None:
    soon = next_change(ROTATION, (), (), shanghai("2026-10-05T12:00"))
    assert soon is not None
    assert (iso(soon.at_ms), soon.on_call.person) == ("2026-10-06T01:00:00.000Z", "a")
    same = override("a", "2026-10-06T00:00", "2026-10-07T09:00")  # a already has that day
    later = next_change(ROTATION, (same,), (), shanghai("2026-10-06T12:00"))
    assert later is not None
    assert iso(later.at_ms) == "2026-10-07T01:00:00.000Z"


def test_a_rotation_of_one_never_changes() -> None:
    alone = msgspec.structs.replace(ROTATION, people=("a",))
    assert next_change(alone, (), (), shanghai("2026-10-05T12:00")) is None


YEAR = shanghai("2027-01-01T00:00")
OVERRIDES = st.lists(
    st.builds(
        lambda person, begin, length, made: Override(
            id=f"{made:016x}",
            rotation="soc",
            person=person,
            from_ms=YEAR + begin * HOUR,
            until_ms=YEAR + (begin + length) * HOUR,
            made_ms=made,
            by="t",
        ),
        st.sampled_from("abcxyz"),
        st.integers(-100, 366 * 24),
        st.integers(1, 400),
        st.integers(0, 10**9),
    ),
    max_size=12,
)
HOLIDAYS = st.lists(
    st.builds(
        lambda day, days, people: Holiday(
            date=datetime.date(2027, 1, 1) + datetime.timedelta(days=day),
            days=days,
            name="节",
            rotation="soc",
            people=tuple(people),
        ),
        st.integers(0, 360),
        st.integers(1, 8),
        st.lists(st.sampled_from("xyz"), min_size=1, max_size=3),
    ),
    max_size=6,
)
RULES = st.builds(
    lambda zone, shift, hours, people, time: msgspec.convert(
        {
            "id": "soc",
            "name": "值班",
            "people": [f"p{i}" for i in range(people)],
            "start": "2026-11-04",
            "time_zone": zone,
            "shift": shift,
            "hours": hours if shift == "custom" else 0,
            "hand_over_time": f"{time:%H:%M}",
        },
        Rotation,
    ),
    st.sampled_from(("Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")),
    st.sampled_from(("daily", "weekly", "custom")),
    st.integers(6, 23),
    st.integers(1, 4),
    st.times(),
)


@settings(max_examples=40)
@given(RULES, OVERRIDES, HOLIDAYS)
def test_a_year_of_random_histories(rotation: Rotation, overrides: list[Override], holidays: list[Holiday]) -> None:
    """Between two changes the same person at every instant that was looked at, at each change another one."""
    planned = plan(rotation, overrides, holidays)
    found = list(changes(planned, YEAR, YEAR + 366 * DAY))
    edges = [YEAR, *(change.at_ms for change in found), YEAR + 366 * DAY]
    people = [at(planned, YEAR).person, *(change.on_call.person for change in found)]
    assert edges == sorted(set(edges))
    assert all(one != other for one, other in itertools.pairwise(people))
    for begin, end, person in zip(edges[:-1], edges[1:], people, strict=True):
        for moment in (begin, (begin + end) // 2, end - 1):
            assert on_call(rotation, overrides, holidays, moment).person == person
    allowed = {*rotation.people, *(o.person for o in overrides), *(p for h in holidays for p in h.people)}
    assert {at(planned, YEAR + day * DAY).person for day in range(366)} <= allowed


@settings(max_examples=40)
@given(RULES, OVERRIDES, HOLIDAYS, st.integers(0, 365 * 24))
def test_the_order_of_the_records_does_not_matter(
    rotation: Rotation, overrides: list[Override], holidays: list[Holiday], hour: int
) -> None:
    moment = YEAR + hour * HOUR
    once = {one.id: one for one in overrides}
    unique = list(once.values())
    assert on_call(rotation, unique, (), moment) == on_call(rotation, unique[::-1], (), moment)
    source = on_call(rotation, unique, holidays, moment).source
    covered = any(one.from_ms <= moment < one.until_ms for one in unique)
    assert (source == "override") == covered
