"""What the inputs that listen to a segment have in common: a ring with a filter of their own, and a tick a second.

The filter's end says which frames; before it stands which interfaces, renewed when they change. Frames that this host
only forwards are for the caller to leave out (``forwarded``): they were taken where they came in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

import msgspec

from agent import capture
from agent.decoders import bpf
from agent.input import Context
from agent.losses import Losses
from agent.vantage import Vantage
from telemetry.errors import Permanent
from telemetry.event import Event

MILLISECOND = 1_000_000
STEP_MS = 5000
"""Kernel stamps further than this from the agent's clock are moved to it: one of the two was set."""
TICK_S = 1.0


class Listening(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The options that all of them have."""

    interfaces: Annotated[
        tuple[str, ...], msgspec.Meta(description="Interfaces by name; none means all but loopback and repeating ones")
    ] = ()
    max_rate: Annotated[
        int, msgspec.Meta(description="Packets a second read at most; more are lost, and counted", ge=100)
    ] = 10_000
    ring: Annotated[
        int, msgspec.Meta(description="Bytes of the ring shared with the kernel", ge=131_072, le=1 << 28)
    ] = 512 << 10


Take = Callable[[capture.Captured, float, int], None]
"""One frame, the monotonic time, and when it came in milliseconds. A Permanent that it raises is counted."""
Tick = Callable[[float, int], None]


class Listener:
    """``run`` until cancelled, then ``close``."""

    def __init__(
        self, name: str, config: Listening, context: Context, end: Sequence[bpf.Step | str], take: Take, tick: Tick,
        wide: bool = False,
    ) -> None:  # fmt: skip
        """``wide``: also take multicast frames that this host is in no need of."""
        self._name, self._config, self._context = name, config, context
        self._end, self._take_frame, self._tick, self._wide = end, take, tick, wide
        self._ring: capture.Capture | None = None
        self._reader: capture.Reader | None = None
        self._shift_ms = self._compared_ms = 0
        self.vantage = Vantage(context.clock, context.report)
        self.losses = Losses(name, context)

    async def run(self) -> None:
        self.vantage.refresh(0.0)
        if self._ring is None or self._reader is None:
            self._ring = capture.Capture(self._program(), self._config.ring)
            self._reader = capture.Reader(self._ring, self._take, self._config.max_rate)
        ring, reader = self._ring, self._reader
        self._open_wide(ring)
        clock = self._context.clock
        try:
            while True:
                reader.resume()
                await clock.sleep(TICK_S)
                if self.vantage.refresh():
                    ring.filter(self._program())
                    self._open_wide(ring)
                self.losses.note(ring.lost())
                self._tick(clock.monotonic(), clock.now_ms())
                self.losses.tell()
        finally:
            reader.stop()

    def close(self) -> None:
        """What is in the ring is still taken."""
        if self._ring is not None and self._reader is not None:
            self._reader.drain()
            self.losses.note(self._ring.lost())
            self._ring.close()
            self._ring = self._reader = None
        self.losses.tell(at_once=True)

    def forwarded(self, taken: capture.Captured, source: bytes) -> bool:
        """Does this frame only pass through this host, with this source address?"""
        return taken.packet_type == capture.OUTGOING and not self.vantage.sent_here(source)

    def place(self, made: Event, index: int) -> None:
        """The interface's and the segment's fields."""
        self.vantage.place(made, index)

    def refused(self, error: Permanent) -> None:
        self._context.report.count("tengwang_input_refused_total", input=self._name, reason=error.reason)

    def cut(self, number: int) -> None:
        """So much was left out beyond a bound."""
        if number:
            self._context.report.count("tengwang_input_cut_total", number, input=self._name)

    def _take(self, taken: capture.Captured) -> None:
        stamp = taken.time_ns // MILLISECOND
        if abs(stamp - self._compared_ms) > 100:
            self._compared_ms = stamp
            away = self._context.clock.now_ms() - stamp
            self._shift_ms = away if abs(away) > STEP_MS else 0
        try:
            self._take_frame(taken, self._context.clock.monotonic(), stamp + self._shift_ms)
        except Permanent as error:
            self.refused(error)

    def _open_wide(self, ring: capture.Capture) -> None:
        if self._wide:
            ring.join(capture.ALL_MULTICAST, self._listened())

    def _listened(self) -> Iterable[int]:
        seen, named = self.vantage, self._config.interfaces
        return seen.indexes(named) if named else set(seen.names) - seen.repeating - {seen.loopback}

    def _program(self) -> bytes:
        seen, named = self.vantage, self._config.interfaces
        start = bpf.only(seen.indexes(named)) if named else bpf.without(sorted(seen.repeating | {seen.loopback}))
        return bpf.assemble([*start, *bpf.ethernet_only(), *self._end])
