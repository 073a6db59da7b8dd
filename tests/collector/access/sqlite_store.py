"""A real embedded store in a directory of the test's own."""

from __future__ import annotations

from pathlib import Path

from collector.store import Store, StoreContext
from collector.stores import sqlite
from telemetry.clock import Clock
from telemetry.report import Report


def open_store(home: Path, clock: Clock) -> Store:
    return sqlite.build(sqlite.Config(), StoreContext(home, clock, Report(clock)))
