from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType

import pytest

from agent.config import InputSettings
from agent.home import Home
from agent.input import Blind, Context
from agent.supervise import Runner, Supervisor
from telemetry.clock import ManualClock, SystemClock
from telemetry.errors import ConfigError
from telemetry.event import Event, event
from telemetry.report import Report
from telemetry.validate import validate
from telemetry.work import Work

NOW = 1_790_000_000_000


class Scripted:
    """An input that does what a test says at each round."""

    def __init__(self, context: Context, interval: float, collect: Callable[[Context], Awaitable[None]]) -> None:
        self.context, self.interval, self._collect = context, interval, collect
        self.closed = 0

    async def collect(self) -> None:
        await self._collect(self.context)

    def close(self) -> None:
        self.closed += 1


async def one_event(context: Context) -> None:
    context.emit(event(NOW, "tengwang.host", "host"))


def settings(
    collect: Callable[[Context], Awaitable[None]] = one_event,
    interval: float = 10.0,
    build: Callable[[Context], None] = lambda context: None,
    name: str = "scripted",
) -> tuple[InputSettings, list[Scripted]]:
    made: list[Scripted] = []
    module = ModuleType(name)

    def builder(options: object, context: Context) -> Scripted:
        build(context)
        made.append(Scripted(context, interval, collect))
        return made[-1]

    module.build = builder  # type: ignore[attr-defined]
    return InputSettings(name, name, module, None), made


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "agent")
    made.make()
    return made


def runner(home: Home, given: InputSettings, clock: ManualClock, events: list[Event]) -> Runner:
    return Runner(given, home, clock, Report(clock), events.append, Work, random.Random(1))


async def test_an_input_that_works_is_on_and_its_events_pass(home: Home) -> None:
    events: list[Event] = []
    given, _ = settings()
    run = runner(home, given, ManualClock(), events)
    assert run.build()
    await run.round()
    assert (run.status().state, run.status().events, len(events)) == ("on", 1, 1)
    assert (home.state / "scripted").is_dir()


async def test_an_error_is_counted_shown_and_tried_again_after_a_while(home: Home) -> None:
    clock = ManualClock()
    calls = 0

    async def failing(context: Context) -> None:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise OSError("the wire is cut")

    run = runner(home, settings(failing)[0], clock, [])
    run.build()
    await run.round()
    assert (run.status().state, run.status().why, run.status().errors) == ("failing", "OSError: the wire is cut", 1)
    await run.round()
    assert calls == 1, "not before its time"
    clock.advance(600)
    await run.round()
    clock.advance(600)
    await run.round()
    assert (calls, run.status().state, run.status().errors) == (3, "on", 2)


async def test_blind_at_build_is_no_failure_and_sight_comes_back(home: Home) -> None:
    clock = ManualClock()
    sees = False

    def build(context: Context) -> None:
        if not sees:
            raise Blind("no CAP_NET_RAW", "setcap cap_net_raw+ep ...")

    run = runner(home, settings(build=build)[0], clock, [])
    assert not run.build()
    state = run.status()
    assert (state.state, state.why, state.advice, state.errors) == (
        "blind",
        "no CAP_NET_RAW",
        "setcap cap_net_raw+ep ...",
        0,
    )
    sees = True
    clock.advance(61)
    await run.round()
    assert run.status().state == "on"


def test_wrong_configuration_stops_the_start(home: Home) -> None:
    def build(context: Context) -> None:
        raise ConfigError.one("agent.toml", "no such interface")

    with pytest.raises(ConfigError, match="no such interface"):
        runner(home, settings(build=build)[0], ManualClock(), []).build()


async def test_all_run_each_in_its_way_and_are_closed_once(home: Home) -> None:
    events: list[Event] = []
    forever_began = asyncio.Event()

    async def forever(context: Context) -> None:
        forever_began.set()
        await asyncio.sleep(3600)

    async def broken(context: Context) -> None:
        raise RuntimeError("broken")

    def blind(context: Context) -> None:
        raise Blind("dark", "light")

    given = [
        settings(interval=0.2, name="often"),
        settings(forever, interval=0.0, name="forever"),
        settings(broken, interval=0.2, name="broken"),
        settings(build=blind, name="blind"),
    ]
    clock = SystemClock()
    supervisor = Supervisor([s for s, _ in given], home, clock, Report(clock), events.append, Work)
    supervisor.start()
    await asyncio.wait_for(forever_began.wait(), 5)
    await asyncio.sleep(0.9)
    states = {s.name: s.state for s in supervisor.status()}
    await supervisor.stop()
    assert states == {"often": "on", "forever": "on", "broken": "failing", "blind": "blind"}
    assert sum(e["event.action"] == "host" for e in events) >= 3
    told = {(e["tengwang.input.type"], e["tengwang.input.state"]) for e in events if e["event.action"] == "input-state"}
    assert told == {("often", "on"), ("forever", "on"), ("broken", "on"), ("broken", "failing"), ("blind", "blind")}
    for made in events:
        validate(made)
    assert [built.closed for _, all_built in given for built in all_built] == [1, 1, 1]


async def test_a_round_that_takes_long_is_never_run_twice_at_once(home: Home) -> None:
    at_once = most = 0

    async def slow(context: Context) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.5)
        at_once -= 1

    clock = SystemClock()
    supervisor = Supervisor([settings(slow, interval=0.1)[0]], home, clock, Report(clock), lambda made: None, Work)
    supervisor.start()
    await asyncio.sleep(1.3)
    await supervisor.stop()
    assert most == 1


async def test_a_step_of_the_clock_plans_every_input_anew(home: Home) -> None:
    clock = SystemClock()
    events: list[Event] = []
    supervisor = Supervisor([settings(interval=3000.0)[0]], home, clock, Report(clock), events.append, Work)
    supervisor.start()
    await asyncio.sleep(0.2)
    before = sum(e["event.action"] == "host" for e in events)
    supervisor.clock_stepped()
    await asyncio.sleep(0.2)
    await supervisor.stop()
    assert (before, sum(e["event.action"] == "host" for e in events)) == (1, 2)
