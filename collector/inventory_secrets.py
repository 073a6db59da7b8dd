"""Credentials with their secrets filled in: ``file:PATH`` in the inventory is read from that file.

A relative path is relative to the inventory file. The file belongs to whoever runs the collector and to nobody else,
as for an SSH key; its last line end is not part of the secret.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from collector.inventory import SECRETS, Credential, Inventory
from collector.inventory_files import Documents
from telemetry.errors import Problem
from telemetry.work import SnmpCredential

PREFIX = "file:"
MAX_BYTES = 4096


def resolve(
    inventory: Inventory, documents: Documents
) -> tuple[Mapping[str, SnmpCredential], list[Path], list[Problem]]:
    """Credentials by id, the secret files that were looked at, and what is wrong; no problem holds a secret."""
    made: dict[str, SnmpCredential] = {}
    paths: list[Path] = []
    problems: list[Problem] = []
    for index, credential in enumerate(inventory.credentials):
        values = {name: getattr(credential, name) for name in SnmpCredential.__struct_fields__}
        for name in SECRETS:
            if not values[name].startswith(PREFIX):
                continue
            path = documents.folder("credentials", index) / values[name].removeprefix(PREFIX)
            paths.append(path)
            values[name], message, hint = _read(path)
            if message:
                problems.append(documents.problem("credentials", index, (name,), f"{path}: {message}", hint))
        made[credential.id] = SnmpCredential(**values)
    return made, paths, problems


def _read(path: Path) -> tuple[str, str, str]:
    try:
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                return "", "is not a file", ""
            if about.st_mode & 0o077:
                return "", f"others can read it (mode {stat.S_IMODE(about.st_mode):04o})", f"chmod 600 {path}"
            data = file.read(MAX_BYTES + 1)
        text = data.decode().rstrip("\r\n")
    except OSError as error:
        return "", f"can not be read: {error.strerror}", "write the secret into it, mode 0600"
    except ValueError:
        return "", "is not one line of UTF-8 text", ""
    if not text or len(data) > MAX_BYTES or "\n" in text:
        return "", "is not one line of text", "the secret alone, on one line"
    return text, "", ""


def is_secret(credential: Credential, name: str) -> bool:
    """Whether a field of a credential must not be shown; a path to a secret may."""
    value = getattr(credential, name)
    return name in SECRETS and bool(value) and not value.startswith(PREFIX)
