"""What an input is: the seam between agent/inputs/* and the agent's pipeline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from telemetry.clock import Clock
from telemetry.event import Event
from telemetry.report import Report
from telemetry.work import Work

Emit = Callable[[Event], None]
"""Hand over one event; never blocks, never raises. Called from any thread."""


class Blind(Exception):
    """An input can not see here. It is off, shown as *blind here*, with the command or change that would help.

    Raised by ``build`` (a missing privilege, a missing kernel feature) or by ``collect``.
    """

    def __init__(self, why: str, advice: str) -> None:
        self.why = why
        self.advice = advice
        super().__init__(why)


class Context(msgspec.Struct, frozen=True):
    """What an input may use of the world; everything in it can be replaced in a test."""

    clock: Clock
    report: Report
    emit: Emit
    work: Callable[[], Work]
    state: Path
    """A directory of this input's own, for what it must remember over a restart."""
    root: Path = Path("/")
    """Where /proc and /sys are looked for."""


class Input(Protocol):
    """One source of events.

    ``collect`` of an input with a positive ``interval`` makes one round and returns; it is called again every
    ``interval`` seconds, with jitter, never twice at once. With ``interval`` 0 it runs until it is cancelled.
    ``close`` is called once after the last ``collect``, also when there was none.
    An error out of ``collect`` is counted, shown as *failing*, and the input is tried again with back-off.
    """

    interval: float

    async def collect(self) -> None: ...

    def close(self) -> None: ...
