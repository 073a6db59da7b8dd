"""A secret that a person configured: as it is, or where it stands, so that it is not in the process list."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from telemetry.errors import ConfigError

MAX_BYTES = 4096


def read(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """``file:PATH`` is the file's text without the line end, ``env:NAME`` a variable, anything else itself.

    Raises ConfigError that names the place, never what is in it.
    """
    kind, _, where = text.partition(":")
    if kind == "env":
        if where not in environment:
            raise ConfigError.one("secret", f"the environment has no variable {where!r}")
        return environment[where]
    if kind != "file":
        return text
    try:
        with Path(where).open("rb") as stream:
            return stream.read(MAX_BYTES).decode().rstrip("\r\n")
    except OSError as error:
        raise ConfigError.one(where, f"can not be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError.one(where, "is not UTF-8 text") from None
