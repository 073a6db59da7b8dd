"""Runs the inputs: builds them, schedules them, and knows the state of each.

An input with an interval is a job of APScheduler: with jitter, never twice at once, missed rounds folded into one. One
with interval 0 is a task that runs until it is cancelled. What an input can do to the rest of the agent is to be slow
on the event loop, and nothing else: an error is counted, the input shown as *failing* and tried again with back-off;
one that can not see is *blind*, with the advice it gives, and asked again each minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import random
from collections.abc import Callable, Sequence
from typing import Any

from agent.backoff import Backoff
from agent.config import InputSettings
from agent.home import Home
from agent.input import Blind, Context, Emit, Input
from agent.status import InputStatus
from telemetry.clock import Clock
from telemetry.errors import MissingExtra, TengwangError
from telemetry.event import Event, event
from telemetry.report import Report
from telemetry.work import Work

BLIND_SECONDS = 60.0
REPEAT_SECONDS = 600.0
WELL_SECONDS = 10.0
"""An input without an interval that failed is *on* again when it has run so long."""
JITTER = 0.1
MAX_JITTER = 5.0
MAX_BACKOFF = 300.0


class Runner:
    """One configured input."""

    def __init__(
        self, settings: InputSettings, home: Home, clock: Clock, report: Report, emit: Emit, work: Callable[[], Work],
        rng: random.Random,
    ) -> None:  # fmt: skip
        self.settings = settings
        self._clock, self._report, self._pass_on = clock, report, emit
        self._backoff = Backoff(rng, base=2.0, cap=MAX_BACKOFF, floor=1.0)
        self._not_before = 0.0
        self.input: Input | None = None
        self.state = InputStatus(settings.name, settings.type, "off")
        self._events = self._errors = self._last_ms = 0
        self.changed: Callable[[Runner], None] | None = None
        folder = home.state / settings.name
        folder.mkdir(mode=0o700, exist_ok=True)
        self._context = Context(clock=clock, report=report, emit=self._emit, work=work, state=folder)

    def _emit(self, made: Event) -> None:
        self._events += 1
        self._last_ms = self._clock.now_ms()
        self._pass_on(made)

    def status(self) -> InputStatus:
        return InputStatus(
            self.state.name, self.state.type, self.state.state, self.state.why, self.state.advice,
            self._events, self._errors, self._last_ms,
        )  # fmt: skip

    def build(self) -> bool:
        """Raises ConfigError, MissingExtra: both at start-up only, as they do not change by themselves."""
        try:
            self.input = self.settings.module.build(self.settings.options, self._context)
        except Blind as blind:
            self._blind(blind)
        except TengwangError:
            raise
        except Exception as error:  # noqa: BLE001 - an input may do anything; the agent goes on
            self._failed(error)
        else:
            self._set("on")
        return self.input is not None

    async def round(self) -> None:
        """One ``collect``, unless it is being waited for."""
        if self._clock.monotonic() < self._not_before:
            return
        try:
            if self.input is None and not self.build():
                return
            if self.input is not None:
                await self.input.collect()
        except Blind as blind:
            self._blind(blind)
        except Exception as error:  # noqa: BLE001 - an input may do anything; the agent goes on
            self._failed(error)
        else:
            self._not_before = 0.0
            self._backoff.reset()
            self._set("on")

    async def forever(self) -> None:
        """An input that runs until it is cancelled; one that ends by itself is begun again."""
        while True:
            began = self._clock.monotonic()
            going = asyncio.ensure_future(self.round())
            try:
                await asyncio.wait({going}, timeout=WELL_SECONDS)
                if not going.done():
                    self._set("on")
                await going
            finally:
                going.cancel()
            ran = self._clock.monotonic() - began
            if ran > MAX_BACKOFF:
                self._backoff.reset()
            wait = self._not_before - self._clock.monotonic()
            await self._clock.sleep(max(wait, 1.0))

    def _blind(self, blind: Blind) -> None:
        self._not_before = self._clock.monotonic() + BLIND_SECONDS
        self._set("blind", blind.why, blind.advice)

    def _failed(self, error: Exception) -> None:
        self._errors += 1
        self._not_before = self._clock.monotonic() + self._backoff.next()
        self._report.count("tengwang_agent_input_errors_total", input=self.settings.name)
        why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        self._report.warn(f"input {self.settings.name}", why)
        self._set("failing", why[:500])

    def _set(self, state: str, why: str = "", advice: str = "") -> None:
        former = self.state
        self.state = InputStatus(self.settings.name, self.settings.type, state, why, advice)
        if self.changed is not None and (former.state, former.advice) != (state, advice):
            self.changed(self)

    def close(self) -> None:
        if self.input is not None:
            with contextlib.suppress(Exception):
                self.input.close()
            self.input = None


class Supervisor:
    """All inputs of one agent. Used from the event loop's thread."""

    def __init__(
        self, inputs: Sequence[InputSettings], home: Home, clock: Clock, report: Report, emit: Emit,
        work: Callable[[], Work], rng: random.Random | None = None,
    ) -> None:  # fmt: skip
        self._clock, self._emit = clock, emit
        rng = rng or random.Random()
        self.runners = [Runner(settings, home, clock, report, emit, work, rng) for settings in inputs]
        self._tasks: list[asyncio.Task[None]] = []
        self._scheduler: Any = None
        self._told_at = clock.monotonic()

    def start(self) -> None:
        """Build and begin all. Raises ConfigError, MissingExtra."""
        from apscheduler.schedulers.asyncio import AsyncIOScheduler

        self._scheduler = AsyncIOScheduler(timezone=datetime.UTC)
        for runner in self.runners:
            runner.changed = self._tell
            runner.build()
        for runner in self.runners:
            interval = runner.input.interval if runner.input is not None else 0.0
            if runner.input is not None and interval > 0:
                self._schedule(runner, interval)
            else:
                self._tasks.append(asyncio.create_task(self._see(runner), name=runner.settings.name))
        self._scheduler.start()

    async def _see(self, runner: Runner) -> None:
        """Wait until an input can be built, then run it as it asks to be."""
        while runner.input is None:
            await self._clock.sleep(BLIND_SECONDS)
            try:
                runner.build()
            except (TengwangError, MissingExtra) as error:
                runner._failed(error)
        if runner.input.interval > 0:
            self._schedule(runner, runner.input.interval)
        else:
            await runner.forever()

    def _schedule(self, runner: Runner, interval: float) -> None:
        from apscheduler.triggers.interval import IntervalTrigger

        jitter = min(interval * JITTER, MAX_JITTER)
        self._scheduler.add_job(
            runner.round,
            IntervalTrigger(seconds=interval, jitter=jitter, timezone=datetime.UTC),
            id=runner.settings.name,
            next_run_time=datetime.datetime.now(datetime.UTC),  # noqa: TID251 - APScheduler runs by the system's clock
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
            replace_existing=True,
        )

    def clock_stepped(self) -> None:
        """APScheduler plans by the wall clock: plan anew, or a clock set back by a day stops every input for a day."""
        for runner in self.runners:
            if runner.input is not None and runner.input.interval > 0:
                self._schedule(runner, runner.input.interval)

    def _tell(self, runner: Runner) -> None:
        state = runner.state
        made = event(self._clock.now_ms(), "tengwang.agent", "input-state", kind="state")
        made |= {"tengwang.input.type": state.type, "tengwang.input.state": state.state}
        if state.why:
            made |= {"message": state.why}
        if state.advice:
            made |= {"tengwang.input.advice": state.advice}
        self._emit(made)

    def tell_again(self) -> None:
        """The state of all inputs, every ten minutes: a collector that lost its memory learns it again."""
        if self._clock.monotonic() - self._told_at >= REPEAT_SECONDS:
            self._told_at = self._clock.monotonic()
            for runner in self.runners:
                self._tell(runner)

    def status(self) -> tuple[InputStatus, ...]:
        return tuple(runner.status() for runner in self.runners)

    async def stop(self) -> None:
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for runner in self.runners:
            runner.close()
