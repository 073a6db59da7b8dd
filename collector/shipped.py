"""Where the data that comes with the program is: in the wheel under collector/data, in a checkout at its top."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def rules() -> Path:
    """Our own rules."""
    return _folder("rules", "rules")


def playbooks() -> Path:
    """Our own playbooks."""
    return rules() / "playbooks"


def inventory() -> Path:
    """The example inventory."""
    return _folder("inventory", "deploy/inventory")


def dashboards() -> Path:
    """Grafana dashboards and their provisioning."""
    return _folder("dashboards", "dashboards")


def _folder(installed: str, checkout: str) -> Path:
    data = _PACKAGE / "data" / installed
    return data if data.is_dir() else _PACKAGE.parent / checkout
