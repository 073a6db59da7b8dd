"""The collector's directory: what is in it, who may use it, and whose it is."""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path
from typing import TextIO

from telemetry.errors import ConfigError

DEFAULT = "var"


class Home:
    """``<home>/collector``: data/, ca/, tls/, id, lock, and tengwang.toml where there is one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "collector"

    @property
    def config(self) -> Path | None:
        """The configuration file, where there is one."""
        path = self.path / "tengwang.toml"
        return path if path.exists() else None

    def make(self) -> None:
        """Raises ConfigError where it can not be written."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(exist_ok=True, mode=0o700)
            probe = self.path / f".probe.{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            hint = "choose a directory that this user may write with --home"
            raise ConfigError.one(str(self.path), f"can not be written: {error.strerror}", hint) from error

    def lock(self) -> TextIO:
        """Held as long as the file is open. Raises ConfigError where another collector runs with this home."""
        file = (self.path / "lock").open("a+", encoding="ascii")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            owner = file.read(20).strip()
            file.close()
            hint = "stop it, or choose another directory with --home"
            raise ConfigError.one(str(self.path), f"a collector runs here already (process {owner})", hint) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        return file

    def collector_id(self) -> str:
        """Stable over restarts; tells this collector's ledgers from those of others on the same store."""
        path = self.path / "id"
        try:
            return path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            made = secrets.token_hex(4)
            path.write_text(made + "\n", encoding="ascii")
            return made

    def within(self, text: str) -> Path:
        """A path of the configuration: relative ones are below this directory."""
        return Path(os.path.normpath(self.path / Path(text).expanduser()))
