"""The agent's folder: what lies where in it, and the lock that keeps two agents out of one.

agent.toml        configuration, written by a person; may be missing
identity/         key.pem (key and certificate), ca.pem, identity.json (0600 in 0700)
spool/            agent/spool.py
state/<input>/    what an input remembers
work.json         the last work from the collector; holds credentials (0600)
orders.json       orders that were seen, and those in force (agent/order_memory.py)
evidence.jsonl    who asked for packets of the evidence ring (state/packets/evidence), and how many were given
quarantine.jsonl  records that the collector refuses;  aside.jsonl  events that were none; both bounded
status.sock       answers ``tengwang-agent status``
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from telemetry.errors import ConfigError

DEFAULT = Path("/var/lib/tengwang-agent")


class Home:
    """Paths, and the lock while it is held."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.config = self.path / "agent.toml"
        self.identity = self.path / "identity"
        self.spool = self.path / "spool"
        self.state = self.path / "state"
        self.work = self.path / "work.json"
        self.orders = self.path / "orders.json"
        self.quarantine = self.path / "quarantine.jsonl"
        self.aside = self.path / "aside.jsonl"
        self.socket = self.path / "status.sock"
        self._lock = -1

    def make(self) -> None:
        """Raises ConfigError where the folder can not be made or written."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            for folder in (self.identity, self.spool, self.state):
                folder.mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            hint = "choose another with --home, or run as the user it belongs to"
            raise ConfigError.one(str(self.path), f"can not be used: {error.strerror}", hint) from error

    def lock(self) -> None:
        """Keep every other agent out until this process ends. Raises ConfigError where one is in."""
        self.make()
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            self._lock = -1
            hint = "stop it first, or give this one a --home of its own"
            raise ConfigError.one(str(self.path), "another tengwang-agent uses this folder", hint) from error

    def unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def write_private(path: Path, data: bytes) -> None:
    """Replace a file as a whole, readable by its owner only, durable when it returns. Raises OSError."""
    fresh = path.with_name(f".{path.name}.new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(fd, 0o600)
        with os.fdopen(fd, "wb", closefd=False) as file:
            file.write(data)
        os.fsync(fd)
    finally:
        os.close(fd)
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
