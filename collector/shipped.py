"""Where the data that comes with the program is: in the wheel under collector/data, in a checkout at its top."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """The folder ``rules`` or ``dashboards``."""
    installed = _PACKAGE / "data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def rules() -> Path:
    """Our own rules."""
    return folder("rules")
