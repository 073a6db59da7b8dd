"""The inventory for a person's eyes, or for another program's; without secrets either way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from collector.inventory import SECRETS, Inventory
from collector.inventory_index import Indexed
from collector.inventory_secrets import is_secret

HIDDEN = "(hidden)"


def plain(inventory: Inventory) -> dict[str, Any]:
    """As JSON can hold it; a secret that is written in the inventory itself is hidden, a path to one is shown."""
    made: dict[str, Any] = msgspec.to_builtins(inventory)
    for credential, shown in zip(inventory.credentials, made["credentials"], strict=True):
        shown.update({name: HIDDEN for name in SECRETS if is_secret(credential, name)})
    return made


def tree(index: Indexed) -> Iterator[str]:
    """A line each: units indented by their place, then what stands at them."""
    for root in index.children(None):
        yield from _unit(index, root, "")


def _unit(index: Indexed, unit_id: str, indent: str) -> Iterator[str]:
    unit = index.unit(unit_id)
    if unit is None:
        return
    zone = index.zone_of_unit(unit_id)
    yield f"{indent}{unit.name} [{unit.id}] {unit.level}" + (f", zone {zone}" if zone else "")
    inner = indent + "  "
    yield from (f"{inner}prefix  {network}" for network in index.networks_of(unit_id))
    for device in index.inventory.devices:
        if device.unit == unit_id:
            polled = "" if device.credential else ", not polled (no credential)"
            yield f"{inner}device  {device.name} [{device.id}] {device.address}{polled}"
    for system in index.inventory.systems:
        if system.unit == unit_id:
            yield f"{inner}system  {system.name} [{system.id}] {', '.join(system.domains)}"
    for child in index.children(unit_id):
        yield from _unit(index, child, inner)
