"""Adds from the inventory whose event it is: unit, zone, owner and asset; and the units and zones of both ends.

The subject is the asset that the event names (``tengwang.asset.id``, ``tengwang.device.id``, or the domain or device
that was checked), else the unit whose segment was seen, where that is the agent's own or below it (a router's agent
sees the segments of several), else the unit that the agent was enrolled for. What an agent itself says of units,
zones and owners is not believed: it is taken out first.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from collector.enricher import EnricherContext
from collector.inventory import Device, System
from collector.inventory_index import Indexed
from telemetry.event import Event

ENDS = (
    ("source.ip", "tengwang.source.unit", "tengwang.source.zone"),
    ("destination.ip", "tengwang.destination.unit", "tengwang.destination.zone"),
)
MAX_REMEMBERED = 100_000
MAX_PREFIXES = 8


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of the enricher ``inventory``."""

    ends: Annotated[
        bool, msgspec.Meta(description="also add unit and zone of source.ip and destination.ip, by longest prefix")
    ] = True


class InventoryEnricher:
    """Fields of a unit or an asset are made once per inventory, so an event costs a few look-ups and one update."""

    def __init__(self, config: Config, context: EnricherContext) -> None:
        self._ends = ENDS if config.ends else ()
        self._context = context
        self._index = context.inventory.current()
        self._of_unit: dict[str, Event] = {}
        self._of_asset: dict[str, Event | None] = {}
        self._of_segment: dict[tuple[str, tuple[str, ...]], Event] = {}

    def enrich(self, event: Event) -> None:
        index = self._context.inventory.current()
        if index is not self._index:
            self._index, self._of_unit, self._of_asset, self._of_segment = index, {}, {}, {}
        for name in OURS.intersection(event):
            del event[name]
        event.update(self._subject(index, event))
        for ip, unit, zone in self._ends:
            address = event.get(ip)
            if type(address) is str and (prefix := index.lookup(address)) is not None:
                if prefix.unit is not None:
                    event[unit] = prefix.unit
                if prefix.zone is not None:
                    event[zone] = prefix.zone

    def _subject(self, index: Indexed, event: Event) -> Event:
        for name in ("tengwang.asset.id", "tengwang.device.id", "tengwang.check.subject"):
            key = event.get(name)
            if type(key) is not str:
                continue
            if key in self._of_asset:
                fields = self._of_asset[key]
            else:
                asset = index.device(key) or index.system(key) or index.system_of_domain(key)
                fields = _asset_fields(index, asset) if asset is not None else None
                if len(self._of_asset) < MAX_REMEMBERED:
                    self._of_asset[key] = fields
            if fields is not None:
                return fields
        unit = self._context.unit_of_agent(str(event.get("agent.id", "")))
        segment = event.get("tengwang.segment.prefixes")
        if type(segment) is list:
            return self._of_the_segment(index, unit, tuple(map(str, segment[:MAX_PREFIXES])))
        return self._unit(index, unit)

    def _of_the_segment(self, index: Indexed, unit: str, segment: tuple[str, ...]) -> Event:
        """An agent is believed only where its segment lies within its own unit."""
        key = (unit, segment)
        made = self._of_segment.get(key)
        if made is None:
            made = self._unit(index, unit)
            found = [index.lookup(prefix.partition("/")[0]) for prefix in segment]
            for prefix in found:
                if prefix is not None and prefix.unit is not None and prefix.unit in index.below(unit):
                    zone = {"tengwang.zone": prefix.zone} if prefix.zone is not None else {}
                    made = {**self._unit(index, prefix.unit), **zone}
                    break
            if len(self._of_segment) < MAX_REMEMBERED:
                self._of_segment[key] = made
        return made

    def _unit(self, index: Indexed, unit: str) -> Event:
        made = self._of_unit.get(unit)
        if made is None:
            made = _unit_fields(index, unit)
            if len(self._of_unit) < MAX_REMEMBERED:
                self._of_unit[unit] = made
        return made


def _unit_fields(index: Indexed, id: str) -> Event:
    """A unit that the inventory does not have (any more) keeps its id: nothing is lost from sight."""
    unit = index.unit(id)
    if unit is None:
        return {"tengwang.unit.id": id} if id else {}
    fields: Event = {
        "tengwang.unit.id": unit.id,
        "tengwang.unit.name": unit.name,
        "tengwang.unit.level": unit.level.value,
        "tengwang.unit.path": list(index.path(id)),
    }
    if (zone := index.zone_of_unit(id)) is not None:
        fields["tengwang.zone"] = zone
    return fields


def _asset_fields(index: Indexed, asset: Device | System) -> Event:
    fields = _unit_fields(index, asset.unit)
    fields |= {"tengwang.asset.id": asset.id, "tengwang.asset.name": asset.name, "tengwang.asset.cii": asset.cii}
    if asset.level is not None:
        fields["tengwang.asset.level"] = asset.level
    if (zone := index.zone_of(asset)) is not None:
        fields["tengwang.zone"] = zone
    if asset.responsible is not None:
        fields["tengwang.owner.authority"] = asset.responsible.authority
        fields["tengwang.owner.operator"] = asset.responsible.operator
        fields["tengwang.owner.user"] = asset.responsible.user
    return fields


OURS = frozenset(
    f"tengwang.{name}"
    for group, names in (
        ("unit", ("id", "name", "level", "path")),
        ("asset", ("name", "level", "cii")),
        ("owner", ("authority", "operator", "user")),
        ("source", ("unit", "zone")),
        ("destination", ("unit", "zone")),
    )
    for name in (f"{group}.{name}" for name in names)
) | {"tengwang.zone"}
"""The fields that only this enricher may write. ``tengwang.asset.id`` is also an agent's, to name the subject."""


def build(config: Config, context: EnricherContext) -> InventoryEnricher:
    return InventoryEnricher(config, context)
