"""A secret that stands in a file of its own: readable by its owner alone, one line, never in a log."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from telemetry.errors import ConfigError

MAX_BYTES = 4096


def secret(home: Path, name: str, option: str) -> str:
    """The line in the file, relative to the collector's directory; empty for no file. Raises ConfigError."""
    if not name:
        return ""
    path = Path(os.path.normpath(home / Path(name).expanduser()))
    try:
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            data = file.read(MAX_BYTES + 1)
        text = data.decode().rstrip("\r\n")
    except OSError as error:
        raise ConfigError.one(f"{option} = {name!r}", f"{path} can not be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError.one(f"{option} = {name!r}", f"{path} is not UTF-8 text") from error
    if not stat.S_ISREG(about.st_mode) or about.st_mode & 0o077:
        raise ConfigError.one(f"{option} = {name!r}", f"{path} can be read by others", f"chmod 600 {path}")
    if not text or len(data) > MAX_BYTES or "\n" in text:
        raise ConfigError.one(f"{option} = {name!r}", f"{path} is not one line of text", "the secret alone")
    return text
