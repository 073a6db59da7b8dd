"""Run a collector until it is told to stop (SIGTERM or Ctrl-C).

  tengwang serve --home /var/lib/tengwang
  tengwang serve --config /etc/tengwang/tengwang.toml

Without a configuration it listens on loopback only, with the embedded store. ``tengwang dump-config`` prints every
option with its description; ``tengwang check`` says what is wrong with a configuration before you restart.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from collector.home import DEFAULT

HELP = "run a collector"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", type=Path, default=Path(DEFAULT), help="directory for everything it keeps (var)")
    parser.add_argument("--config", type=Path, help="configuration file (HOME/collector/tengwang.toml where there is)")
    parser.add_argument("--listen", action="append", metavar="HOST:PORT", help="where the console listens")
    parser.add_argument("--agents-listen", action="append", metavar="HOST:PORT", help="where agents are served")


def run(arguments: argparse.Namespace) -> int:
    import asyncio
    import sys

    from collector.home import Home
    from collector.serve import Collector, serve
    from collector.starting import read_config, set_up_log, stop_on_signals
    from telemetry.clock import SystemClock
    from telemetry.report import Report

    home = Home(arguments.home.absolute())
    config = read_config(home, arguments.config, arguments.listen, arguments.agents_listen)
    set_up_log()
    clock = SystemClock()

    def started(collector: Collector) -> None:
        sys.stderr.write(f"console: {'  '.join(collector.console_urls)}\n")
        sys.stderr.write(f"agents:  {'  '.join(collector.agent_urls)}\n")
        sys.stderr.flush()

    async def main() -> None:
        await serve(home, config, clock, Report(clock), stop_on_signals(), started)

    asyncio.run(main())
    return 0
