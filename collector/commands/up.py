"""One collector with the embedded store and one agent on this host, ready in seconds. No configuration, no root.

  tengwang up                          everything is kept in ./var
  tengwang up --home /tmp/try          ... or there
  tengwang up --listen localhost:9000  when port 8740 is taken

It prints the console's address with a login link that works once, and says what it measures here and what it can not.
Ctrl-C stops both. HOME/collector/tengwang.toml and HOME/inventory/*.yml are used where they are there.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from collector.home import DEFAULT

if TYPE_CHECKING:
    import asyncio

    from collector.config import CollectorConfig
    from collector.first_screen import Screen
    from collector.home import Home
    from collector.services import Services
    from telemetry.event import Event

HELP = "a collector and an agent on this host, with one command"
STATES_S = 20.0
SETTLE_S = 1.5


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", type=Path, default=Path(DEFAULT), help=f"directory for everything ({DEFAULT})")
    parser.add_argument("--config", type=Path, help="the collector's configuration file")
    parser.add_argument("--listen", action="append", metavar="HOST:PORT", help="the console (localhost:8740)")
    parser.add_argument("--agents-listen", action="append", metavar="HOST:PORT", help="for agents (localhost:8743)")
    parser.add_argument("--unit", default="", help="unit of this host (the inventory's first)")


def run(arguments: argparse.Namespace) -> int:
    import asyncio
    import logging

    from collector import first_inventory
    from collector.first_screen import Screen
    from collector.home import Home
    from collector.starting import read_config, set_up_log, stop_on_signals

    home = Home(arguments.home.absolute())
    config = read_config(home, arguments.config, arguments.listen, arguments.agents_listen)
    home.make()
    first_inventory.write(home.within(config.inventory.path))
    set_up_log(logging.WARNING)
    screen = Screen()

    async def main() -> None:
        await _run(home, config, arguments.unit, screen, stop_on_signals())

    asyncio.run(main())
    screen.line(screen.text("stopped", home=str(home.root)))
    return 0


async def _run(home: Home, config: CollectorConfig, unit: str, screen: Screen, stop: asyncio.Event) -> None:
    import asyncio
    import contextlib

    from collector import login
    from collector.first_screen import YELLOW
    from collector.known_unit import known_unit
    from collector.local_agent import LocalAgent
    from collector.serve import Collector
    from telemetry.clock import SystemClock
    from telemetry.report import Report

    clock = SystemClock()
    collector = Collector(home, config, clock, Report(clock))
    services = collector.services
    agent = LocalAgent(home.root / "agent", services.registry, clock, lambda text: screen.line(text, YELLOW))
    try:
        await collector.start()
        console = collector.console_urls[0]
        link = await asyncio.to_thread(login.login_link, services, console)
        screen.welcome(link, console, str(home.root), str(services.inventory.folder))
        screen.line(screen.text("waiting"))
        units = services.inventory.current().inventory.units
        chosen = known_unit(services.inventory, unit or (units[0].id if units else "local"))
        agent_id = await agent.start(collector.agent_urls[0], chosen)
        telling = asyncio.create_task(_tell(services, agent_id, services.clock.now_ms(), screen))
        await stop.wait()
        telling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await telling
    finally:
        if stop.is_set():
            screen.line(screen.text("stopping"))
        await agent.stop()
        await collector.stop()


async def _tell(services: Services, agent_id: str, since_ms: int, screen: Screen) -> None:
    """Wait until the agent has said what its inputs can do here, then show it."""
    import asyncio

    deadline = services.clock.monotonic() + STATES_S
    states: list[Event] = []
    count = -1
    while services.clock.monotonic() < deadline and (not states or count != len(states)):
        count = len(states)
        await services.clock.sleep(SETTLE_S if states else 0.2)
        states = await asyncio.to_thread(_states, services, agent_id, since_ms)
    screen.inputs(states)


def _states(services: Services, agent_id: str, since_ms: int) -> list[Event]:
    from collector.query import Equals, Latest
    from telemetry.errors import Transient

    where = (Equals("agent.id", (agent_id,)), Equals("event.action", ("input-state",)))
    try:
        found = services.store.latest(
            Latest(since_ms - 2_000, services.clock.now_ms() + 60_000, ("tengwang.input.type",), where)
        )
    except Transient:
        return []
    return [one.doc for one in found]
