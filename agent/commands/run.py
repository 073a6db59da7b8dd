"""Run the agent until it is told to stop (SIGTERM, Ctrl-C).

Reads HOME/agent.toml where it is there; without it every input runs with its defaults. The agent must be enrolled.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from agent.home import DEFAULT

HELP = "run the agent until it is told to stop"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", type=Path, default=DEFAULT, help="folder of this agent (default: %(default)s)")
    parser.add_argument("--config", type=Path, help="configuration (default: HOME/agent.toml)")


def run(arguments: argparse.Namespace) -> int:
    from agent import config, program
    from agent.home import Home
    from telemetry.clock import SystemClock
    from telemetry.report import Report

    home = Home(arguments.home)
    settings = config.load(arguments.config or home.config)
    logging.basicConfig(
        stream=sys.stderr, level=settings.config.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s"
    )
    for chatty in ("apscheduler", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    clock = SystemClock()
    return program.run(home, settings, clock, Report(clock))
