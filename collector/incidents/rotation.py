"""Whose turn it is: the moments of hand-over of a rotation, and who has each shift. Pure: (rotation, time) -> person.

Hand-overs are told in the time of the clock on the wall, where people live: each is the first instant at which the
local clock shows the hand-over time or a later one. So a shift is an hour longer or shorter where a clock is changed,
a time that does not exist is the moment of the change, and of two equal times the first counts. From this follows that
hand-overs never go back, and that every instant belongs to exactly one shift.
"""

from __future__ import annotations

import datetime
import functools
import zoneinfo

from collector.inventory import Rotation, Shift, Weekday
from telemetry.clock import EPOCH

MS = datetime.timedelta(milliseconds=1)
WEEKDAYS = list(Weekday)


def zone(rotation: Rotation) -> zoneinfo.ZoneInfo:
    return _zone(rotation.time_zone)


@functools.lru_cache(maxsize=64)
def _zone(name: str) -> zoneinfo.ZoneInfo:
    return zoneinfo.ZoneInfo(name)


def shift_length(rotation: Rotation) -> datetime.timedelta:
    """In the time of the clock on the wall."""
    if rotation.shift is Shift.DAILY:
        return datetime.timedelta(days=1)
    if rotation.shift is Shift.WEEKLY:
        return datetime.timedelta(weeks=1)
    return datetime.timedelta(days=rotation.days, hours=rotation.hours)


def time_of_day(rotation: Rotation) -> datetime.time:
    return datetime.time.fromisoformat(rotation.hand_over_time)


def first_hand_over(rotation: Rotation) -> datetime.datetime:
    """Local, without a zone."""
    day = rotation.start
    if rotation.shift is Shift.WEEKLY:
        day += datetime.timedelta(days=(WEEKDAYS.index(rotation.hand_over_day) - day.weekday()) % 7)
    return datetime.datetime.combine(day, time_of_day(rotation))


def instant(wall: datetime.datetime, where: zoneinfo.ZoneInfo) -> int:
    """The first instant, in ms, at which the clock on the wall shows ``wall`` (without a zone) or later."""
    first = _to_ms(wall.replace(tzinfo=where, fold=0))
    if local(first, where) == wall:
        return first
    low, high = _to_ms(wall.replace(tzinfo=where, fold=1)), first  # a gap: the change lies between the two readings
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if local(middle, where) >= wall else (middle, high)
    return high


def local(at_ms: int, where: zoneinfo.ZoneInfo) -> datetime.datetime:
    """What the clock on the wall shows, without a zone."""
    return (EPOCH + at_ms * MS).astimezone(where).replace(tzinfo=None, fold=0)


def hand_over(rotation: Rotation, number: int) -> int:
    """When shift ``number`` begins, in ms; numbers below 0 lie before ``start``."""
    return instant(first_hand_over(rotation) + number * shift_length(rotation), zone(rotation))


def shift_at(rotation: Rotation, at_ms: int) -> int:
    """The number of the shift that holds this instant: the last one that has begun."""
    number = (local(at_ms, zone(rotation)) - first_hand_over(rotation)) // shift_length(rotation)
    while hand_over(rotation, number) > at_ms:
        number -= 1
    while hand_over(rotation, number + 1) <= at_ms:
        number += 1
    return number


def person_of_shift(rotation: Rotation, number: int) -> str:
    return rotation.people[number % len(rotation.people)]


def _to_ms(moment: datetime.datetime) -> int:
    return (moment.astimezone(datetime.UTC) - EPOCH) // MS
