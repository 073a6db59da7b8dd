"""Milliseconds of the store to the datetimes of an answer."""

from __future__ import annotations

import datetime

from telemetry.clock import EPOCH
from telemetry.event import Event

LAST_MS = 253_402_300_799_000
"""The end of the year 9999, the last time that a datetime can hold."""


def moment(ms: int | float) -> datetime.datetime | None:
    """None for 0 and for what no calendar holds."""
    return EPOCH + datetime.timedelta(milliseconds=ms) if 0 < ms <= LAST_MS else None


def text(doc: Event, name: str) -> str:
    """A field as one line of text; empty where it is not there."""
    value = doc.get(name, "")
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def number(doc: Event, name: str) -> int:
    """A field as an integer; 0 where it is not there."""
    value = doc.get(name, 0)
    return int(value) if isinstance(value, int | float) else 0


def flag(doc: Event, name: str) -> bool | None:
    value = doc.get(name)
    return value if isinstance(value, bool) else None
