"""The inventory as it is now: read at the start, read again when a file changes, and never worse than it was.

Wrong files change nothing: the last good inventory stays in use, and ``problems`` says why the newer one is not.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from collector import inventory_check, inventory_files, inventory_secrets
from collector.inventory import Inventory
from collector.inventory_files import Documents
from collector.inventory_index import EMPTY, Indexed
from telemetry.errors import ConfigError, Problem
from telemetry.report import Report
from telemetry.work import SnmpCredential

Signature = tuple[tuple[str, int, int, int], ...]


class Examined(NamedTuple):
    """What a folder holds, how far it could be read, and everything that is wrong with it."""

    inventory: Inventory
    documents: Documents
    credentials: Mapping[str, SnmpCredential]
    secrets: list[Path]
    problems: list[Problem]


def examine(folder: Path) -> Examined:
    """Read and check every file of the folder; problems by path, then by line. Never raises.

    100,000 prefixes take 3.5 s of CPU; call it in a worker thread.
    """
    with _without_collection():
        inventory, documents, problems = inventory_files.read(folder)
        problems += inventory_check.check(inventory, documents)
        credentials, secrets, unreadable = inventory_secrets.resolve(inventory, documents)
    ordered = sorted([*problems, *unreadable], key=lambda p: (p.path, p.line))
    return Examined(inventory, documents, credentials, secrets, ordered)


@contextmanager
def _without_collection() -> Iterator[None]:
    """Reading makes millions of objects and no cycles; looking for cycles among them took two thirds of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def load(folder: Path) -> tuple[Inventory, Documents]:
    """The inventory and where each entry stands. Raises ConfigError with every problem at once."""
    examined = examine(folder)
    if examined.problems:
        raise ConfigError(examined.problems)
    return examined.inventory, examined.documents


class InventorySource:
    """One folder of inventory files. ``poll`` is for one thread at a time; ``current`` and ``problems`` for any."""

    def __init__(self, folder: Path, report: Report) -> None:
        self.folder = folder
        self._report = report
        self._indexed = EMPTY
        self._problems: list[Problem] = []
        self._signature: Signature | None = None
        self._secrets: list[Path] = []
        self.version = 0
        """Rises by one with every inventory that was taken; 0 until the first one."""
        self.poll()

    def current(self) -> Indexed:
        """The last good inventory; empty until there was one. Its identity changes when it does."""
        return self._indexed

    def problems(self) -> list[Problem]:
        """Why the newest files were not taken; empty where they were."""
        return self._problems

    def poll(self) -> bool:
        """Read again where a file came, went or changed; True where a new inventory was taken."""
        signature = self._sign()
        if signature == self._signature:
            return False
        examined = examine(self.folder)
        self._secrets = examined.secrets
        self._signature = self._sign()  # now with the secret files that it names
        if problems := examined.problems:
            self._problems = problems
            self._report.gauge("tengwang_inventory_problems", len(problems))
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            self._report.warn("inventory", f"not taken, the last good one stays in use: {problems[0]}{more}")
            return False
        self._indexed = Indexed(examined.inventory, examined.credentials)
        self._problems = []
        self.version += 1
        self._report.gauge("tengwang_inventory_problems", 0)
        for name in inventory_files.SECTIONS:
            self._report.gauge("tengwang_inventory_entries", len(getattr(self._indexed.inventory, name)), section=name)
        return True

    def _sign(self) -> Signature:
        """Changes when a file does, also one put in its place by rename or with its old time kept."""
        made = []
        for path in [*inventory_files.files(self.folder), *self._secrets]:
            try:
                about = path.stat()
                made.append((str(path), about.st_mtime_ns, about.st_size, about.st_ino))
            except OSError:
                made.append((str(path), 0, 0, 0))
        return tuple(made)
