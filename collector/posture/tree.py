"""The units as scoring needs them: level, zone, what is registered at each, and who answers for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from collector.inventory import Device, Level, Person, System
from collector.inventory_index import Indexed


class Place(msgspec.Struct, frozen=True):
    """One unit. ``devices`` are those that are polled, ``systems`` those that are checked."""

    id: str
    name: str
    name_en: str
    level: str
    parent: str
    zone: str
    depth: int
    devices: int
    systems: int
    person: str
    """Who answers for it: the operator of most of its assets, else the first person of the unit."""


class Tree:
    """Immutable. ``places`` are in tree order."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.places = tuple(places)
        self._by_id: Mapping[str, Place] = {place.id: place for place in self.places}
        self._children: dict[str, list[str]] = {}
        for place in self.places:
            self._children.setdefault(place.parent if place.parent in self._by_id else "", []).append(place.id)

    def place(self, id: str) -> Place | None:
        return self._by_id.get(id)

    def below(self, id: str) -> Iterator[str]:
        """The unit itself and all below it."""
        yield id
        for child in self._children.get(id, ()):
            yield from self.below(child)

    def children(self, id: str) -> tuple[str, ...]:
        return tuple(self._children.get(id, ()))

    def levels(self) -> tuple[str, ...]:
        have = {place.level for place in self.places}
        return tuple(level.value for level in Level if level.value in have)

    def zones(self) -> tuple[str, ...]:
        return tuple(sorted({place.zone for place in self.places if place.zone}))


def tree(index: Indexed) -> Tree:
    inventory = index.inventory
    devices = [device.unit for device in inventory.devices if device.credential]
    systems = [system.unit for system in inventory.systems]
    people = _people(index)
    places: list[Place] = []

    def add(unit_id: str, depth: int) -> None:
        unit = index.unit(unit_id)
        if unit is None:
            return
        person = people.get(unit_id)
        places.append(
            Place(
                id=unit.id,
                name=unit.name,
                name_en=unit.name_en or unit.name,
                level=unit.level.value,
                parent=unit.parent or "",
                zone=index.zone_of_unit(unit.id) or "",
                depth=depth,
                devices=devices.count(unit.id),
                systems=systems.count(unit.id),
                person=f"{person.name} {person.phone}".strip() if person else "",
            )
        )
        for child in index.children(unit_id):
            add(child, depth + 1)

    for root in index.children(None):
        add(root, 0)
    return Tree(places)


def _people(index: Indexed) -> dict[str, Person]:
    named: dict[str, list[str]] = {}
    assets: tuple[Device | System, ...] = (*index.inventory.devices, *index.inventory.systems)
    for asset in assets:
        if asset.responsible is not None:
            named.setdefault(asset.unit, []).append(asset.responsible.operator)
    found: dict[str, Person] = {}
    for unit, ids in named.items():
        person = index.person(max(sorted(set(ids)), key=ids.count))
        if person is not None:
            found[unit] = person
    for person in index.inventory.people:
        if person.unit is not None:
            found.setdefault(person.unit, person)
    return found
