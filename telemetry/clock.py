"""Time as an argument: nothing else in the program asks the operating system what time it is."""

from __future__ import annotations

import asyncio
import datetime
import os
import time
from typing import Protocol

OFFSET_VARIABLE = "TENGWANG_CLOCK_OFFSET_MS"
"""Fault injection: milliseconds added to the wall clock of one process, as if its clock were wrong."""


class Clock(Protocol):
    """What a component may know of time."""

    def now_ms(self) -> int:
        """Wall-clock time, milliseconds since 1970-01-01 UTC. May jump."""

    def monotonic(self) -> float:
        """Seconds from an unknown start; never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Wait without blocking the event loop."""


class SystemClock:
    """The operating system's clock, moved by ``TENGWANG_CLOCK_OFFSET_MS`` where a fault test sets it."""

    def __init__(self) -> None:
        self._offset = int(os.environ.get(OFFSET_VARIABLE, "0"))

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self._offset

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that a test moves by hand."""

    def __init__(self, now_ms: int = 1_790_000_000_000) -> None:
        self.ms = now_ms
        self.mono = 0.0

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.mono

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)
        self.mono += seconds


def iso(ms: int) -> str:
    """Milliseconds since the epoch as RFC 3339 UTC, e.g. ``2026-11-23T08:30:00.123Z``."""
    moment = EPOCH + datetime.timedelta(milliseconds=ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_iso(text: str) -> int:
    """RFC 3339 to milliseconds since the epoch; a time without a zone is taken as UTC. Raises ValueError."""
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return (moment - EPOCH) // datetime.timedelta(milliseconds=1)


def utc_day(ms: int) -> str:
    """The UTC calendar day that holds this time, ``YYYY-MM-DD``; the name of a storage partition."""
    return (EPOCH + datetime.timedelta(milliseconds=ms)).date().isoformat()


EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
