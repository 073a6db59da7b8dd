"""For commands that work on the store of a collector, whether it runs at this moment or not.

Both stores take several processes at once, so nothing has to be stopped. Such a command listens on nothing, and has
no part in receiving.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import logging
from collections.abc import Iterator
from pathlib import Path

from collector.home import DEFAULT, Home
from collector.services import Services
from telemetry.clock import SystemClock
from telemetry.report import Report


def add_home(parser: argparse.ArgumentParser) -> None:
    """``--home`` and ``--config``, the same for every command."""
    parser.add_argument("--home", type=Path, default=Path(DEFAULT), help=f"the collector's --home ({DEFAULT})")
    parser.add_argument("--config", type=Path, help="its configuration file, where that is not in its home")


@contextlib.contextmanager
def services(arguments: argparse.Namespace) -> Iterator[Services]:
    """The parts of the collector with this home; closed at the end. Raises ConfigError."""
    from collector.starting import read_config
    from collector.wiring import make_services

    log = logging.getLogger("tengwang")
    before = log.level
    log.setLevel(logging.ERROR)  # what a collector would log is not the command's answer
    try:
        home = Home(arguments.home.absolute())
        config = read_config(home, arguments.config)
        home.make()
        clock = SystemClock()
        made = make_services(home, config, clock, Report(clock))
        try:
            yield made
        finally:
            made.store.close()
    finally:
        log.setLevel(before)


def who() -> str:
    """The person at the keyboard, for the audit."""
    try:
        return f"{getpass.getuser()} (command line)"
    except (KeyError, OSError):
        return "command line"
