"""A unit that a person named, held against the inventory."""

from __future__ import annotations

import difflib

from collector.inventory_source import InventorySource
from telemetry.errors import ConfigError


def known_unit(inventory: InventorySource, unit: str | None) -> str:
    """The unit's id. Raises ConfigError where the inventory does not have it, with the nearest one it has.

    Where nothing is registered yet any name is taken, for the inventory may come after the first agent.
    """
    units = {u.id for u in inventory.current().inventory.units}
    path = str(inventory.folder)
    if unit is None:
        known = ", ".join(sorted(units)[:10])
        raise ConfigError.one("--unit", "is missing", f"one of: {known}" if units else "the unit's id")
    if not units or unit in units:
        return unit
    near = difflib.get_close_matches(unit, units, 1)
    hint = f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(sorted(units)[:10])
    raise ConfigError.one(path, f"there is no unit {unit!r}", hint)
