"""This host's clock: is it disciplined by NTP or PTP, and how far off may it be, by the kernel's own account.

Logs of different hosts can be joined only where their clocks agree. Read by ``ntp_adjtime(3)`` without changing
anything, so it needs no privilege and asks no server.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Annotated

import msgspec

from agent.input import Context
from telemetry.event import event

TIME_ERROR = 5
"""What ``adjtimex(2)`` returns while the clock is not synchronized."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    interval: Annotated[float, msgspec.Meta(description="Seconds between two readings", ge=1, le=86_400)] = 60.0


class Reading(msgspec.Struct, frozen=True):
    """``max_error`` in microseconds; it grows by 500 a second while nothing disciplines the clock."""

    synchronized: bool
    max_error: int


class _Timex(ctypes.Structure):
    """The start of ``struct timex`` of adjtimex(2), and room for the rest of it."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("room", ctypes.c_byte * 512),
    )


def read() -> Reading:
    """Ask the kernel. Raises OSError."""
    library = ctypes.CDLL(None, use_errno=True)
    now = _Timex()
    state = library.adjtimex(ctypes.byref(now))
    if state < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return Reading(state != TIME_ERROR, int(now.maxerror))


def build(config: Config, context: Context) -> ClockInput:
    return ClockInput(config, context)


class ClockInput:
    """Emits ``tengwang.host``/``clock`` events."""

    def __init__(self, config: Config, context: Context, ask: Callable[[], Reading] = read) -> None:
        self.interval = config.interval
        self._context = context
        self._ask = ask

    async def collect(self) -> None:
        reading = self._ask()
        made = event(self._context.clock.now_ms(), "tengwang.host", "clock", kind="metric")
        made["host.name"] = os.uname().nodename
        made["tengwang.clock.synchronized"] = reading.synchronized
        made["tengwang.clock.max_error"] = reading.max_error
        self._context.emit(made)

    def close(self) -> None:
        """Nothing is held between readings."""
