"""Days on which a rotation is replaced by people who were named for just these days (节假日值班). Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator

import msgspec

from collector.incidents.rotation import instant, time_of_day, zone
from collector.inventory import Holiday, Rotation


class Duty(msgspec.Struct, frozen=True):
    """One person's day of a holiday: ``from_ms <= t < until_ms``."""

    from_ms: int
    until_ms: int
    person: str
    holiday: Holiday


def duties(rotation: Rotation, holidays: Iterable[Holiday]) -> Iterator[Duty]:
    """The days of all holidays of this rotation, each from its hand-over time to that of the next day."""
    where, at = zone(rotation), time_of_day(rotation)
    for holiday in holidays:
        if holiday.rotation != rotation.id:
            continue
        for number in range(holiday.days):
            day = datetime.datetime.combine(holiday.date + datetime.timedelta(days=number), at)
            begin, end = instant(day, where), instant(day + datetime.timedelta(days=1), where)
            if begin < end:
                yield Duty(begin, end, holiday.people[number % len(holiday.people)], holiday)
