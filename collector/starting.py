"""What every command that starts a collector does first."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from pathlib import Path

import msgspec

from collector.config import CollectorConfig, load
from collector.home import Home
from telemetry.errors import ConfigError


def read_config(
    home: Home, file: Path | None, listen: list[str] | None = None, agents_listen: list[str] | None = None
) -> CollectorConfig:
    """The configuration of a home, with what the command line says in its place. Raises ConfigError."""
    if file is not None and not file.exists():
        raise ConfigError.one(str(file), "there is no such file", "tengwang dump-config > FILE makes one")
    config = load(file if file is not None else home.config)
    problems = []
    for table, name, value in (("console", "--listen", listen), ("agents", "--agents-listen", agents_listen)):
        if value:
            section = getattr(config, table)
            try:
                changed = msgspec.structs.replace(section, listen=tuple(value))
                config = msgspec.structs.replace(config, **{table: changed})
            except ValueError as error:
                problems.extend(ConfigError.one(name, str(error)).problems)
    if problems:
        raise ConfigError(problems)
    return config


def set_up_log(level: int = logging.INFO) -> None:
    """One line a notice on standard error, times in UTC. Libraries speak only when something is wrong."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("tengwang").setLevel(level)


def stop_on_signals() -> asyncio.Event:
    """Set by SIGTERM and SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
