"""Whose an incident is, and how grave: from the asset, its unit and its zone. Pure.

谁主管谁负责、谁运营谁负责、谁使用谁负责: the operator is told first, then who uses it, then who is in charge.
"""

from __future__ import annotations

import msgspec

from collector.detect.rule import SEVERITY
from collector.inventory import Device, System
from collector.inventory_index import Indexed
from telemetry.event import Event

LEVELS = tuple(SEVERITY)
MAX_OWNERS = 10


class Raising(msgspec.Struct, frozen=True):
    """What makes an incident graver than its rule says: each of these by one level."""

    asset_level: int = 3
    """等保 level from which on; 6: never."""
    cii: bool = True
    zones: frozenset[str] = frozenset()


DEFAULT = Raising()


def asset_of(inventory: Indexed, alert: Event) -> Device | System | None:
    for name in ("tengwang.asset.id", "tengwang.device.id", "tengwang.check.subject"):
        key = alert.get(name)
        if isinstance(key, str) and key:
            found = inventory.device(key) or inventory.system(key) or inventory.system_of_domain(key)
            if found is not None:
                return found
    return None


def level(alert: Event, asset: Device | System | None, raising: Raising) -> str:
    """The rule's level, raised by what the asset and its zone are; at most critical. A hint is never raised."""
    said = str(alert.get("rule.level", "medium"))
    at = LEVELS.index(said) if said in LEVELS else LEVELS.index("medium")
    if at == 0:
        return LEVELS[0]
    grave = asset is not None and asset.level is not None and asset.level >= raising.asset_level
    at += grave or (raising.cii and is_cii(alert, asset))
    at += str(alert.get("tengwang.zone", "")) in raising.zones
    return LEVELS[min(at, len(LEVELS) - 1)]


def is_cii(alert: Event, asset: Device | System | None) -> bool:
    return bool(asset.cii) if asset is not None else alert.get("tengwang.asset.cii") is True


def owners(inventory: Indexed, alert: Event, asset: Device | System | None) -> tuple[str, ...]:
    """Person ids: operator, user and authority of the asset; else the people of its unit, or of the next above."""
    named: list[str] = []
    if asset is not None and asset.responsible is not None:
        named = [asset.responsible.operator, asset.responsible.user, asset.responsible.authority]
    else:
        for role in ("operator", "user", "authority"):
            if isinstance(who := alert.get(f"tengwang.owner.{role}"), str):
                named.append(who)
    if not named:
        unit = str(alert.get("tengwang.unit.id", "")) or (asset.unit if asset is not None else "")
        for above in reversed(inventory.path(unit)):
            named = [person.id for person in inventory.inventory.people if person.unit == above]
            if named:
                break
    return tuple(dict.fromkeys(name for name in named if inventory.person(name) is not None))[:MAX_OWNERS]
