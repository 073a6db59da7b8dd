"""What rotations, holidays and escalations must be to each other and to the people: every problem, with path:line."""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Iterator

from collector.inventory import Inventory, Rotation, Shift
from collector.inventory_files import Documents
from telemetry import config
from telemetry.config import KeyPath
from telemetry.errors import Problem

OWNERS = "owners"
"""In a step: the people responsible for what the incident is about."""
EARLIEST, LATEST = 1990, 2200

Found = Iterator[Problem]


def seconds(text: str) -> int:
    """A checked length such as ``15m``."""
    return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


def check(inventory: Inventory, documents: Documents) -> list[Problem]:
    """Every problem between these entries and the rest of the inventory."""
    made: list[Problem] = []
    for part in (_ids, _rotations, _holidays, _escalations, _units):
        made.extend(part(inventory, documents))
    return made


def _ids(inventory: Inventory, documents: Documents) -> Found:
    """A step names rotations and people alike, so no two of them may share an id."""
    people = {person.id for person in inventory.people}
    for section in ("rotations", "escalations"):
        first: dict[str, str] = {}
        for index, item in enumerate(getattr(inventory, section)):
            if item.id in first:
                message = f"{item.id!r} is there twice"
                yield documents.problem(section, index, ("id",), message, f"first at {first[item.id]}")
            first.setdefault(item.id, documents.where(section, index))
    for index, rotation in enumerate(inventory.rotations):
        if rotation.id in people or rotation.id == OWNERS:
            yield documents.problem(
                "rotations", index, ("id",), f"{rotation.id!r} has another meaning already", "choose another id"
            )
    for index, person in enumerate(inventory.people):
        if person.id == OWNERS:
            yield documents.problem("people", index, ("id",), f"{OWNERS!r} has another meaning", "choose another id")


def _missing(
    inventory: Inventory, documents: Documents, section: str, index: int, field: KeyPath, id: str, targets: str
) -> Found:
    kinds = targets.split("/")
    known = {item.id for kind in kinds for item in getattr(inventory, kind)}
    if id not in known and not any(id in documents.broken[kind] for kind in kinds):
        hint = config.nearest(id, known) or f"add it under {kinds[0]}:, or take it out here"
        yield documents.problem(section, index, field, f"there is no {' or '.join(kinds)} entry {id!r}", hint)


def _rotations(inventory: Inventory, documents: Documents) -> Found:
    for index, rotation in enumerate(inventory.rotations):
        for at, name in enumerate(rotation.people):
            yield from _missing(inventory, documents, "rotations", index, ("people", at), name, "people")
        if not EARLIEST <= rotation.start.year <= LATEST:
            yield documents.problem("rotations", index, ("start",), f"{rotation.start} is not believable")
        if not _known_zone(rotation.time_zone):
            yield documents.problem(
                "rotations",
                index,
                ("time_zone",),
                f"{rotation.time_zone!r} is not a time zone",
                "e.g. Asia/Shanghai, Europe/Berlin or UTC",
            )
        yield from _length(rotation, index, documents)


def _length(rotation: Rotation, index: int, documents: Documents) -> Found:
    given = rotation.days or rotation.hours
    if rotation.shift is Shift.CUSTOM and not given:
        yield documents.problem("rotations", index, ("shift",), "a custom shift needs days or hours", "e.g. hours: 12")
    if rotation.shift is not Shift.CUSTOM and given:
        field = "days" if rotation.days else "hours"
        yield documents.problem("rotations", index, (field,), f"is not used with shift {rotation.shift}", "custom?")


def _known_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return False
    return True


def _holidays(inventory: Inventory, documents: Documents) -> Found:
    taken: dict[tuple[str, datetime.date], str] = {}
    for index, holiday in enumerate(inventory.holidays):
        yield from _missing(inventory, documents, "holidays", index, ("rotation",), holiday.rotation, "rotations")
        for at, name in enumerate(holiday.people):
            yield from _missing(inventory, documents, "holidays", index, ("people", at), name, "people")
        if not EARLIEST <= holiday.date.year <= LATEST:
            yield documents.problem("holidays", index, ("date",), f"{holiday.date} is not believable")
            continue
        here = documents.where("holidays", index)
        for offset in range(holiday.days):
            day = holiday.date + datetime.timedelta(days=offset)
            if taken.setdefault((holiday.rotation, day), here) != here:
                other = f"at {taken[holiday.rotation, day]}"
                yield documents.problem("holidays", index, ("date",), f"{day} is a holiday already", other)
                break


def _escalations(inventory: Inventory, documents: Documents) -> Found:
    for index, escalation in enumerate(inventory.escalations):
        before = -1
        for at, step in enumerate(escalation.steps):
            for number, name in enumerate(step.notify):
                if name != OWNERS:
                    where = ("steps", at, "notify", number)
                    yield from _missing(inventory, documents, "escalations", index, where, name, "rotations/people")
            if seconds(step.after) < before:
                message = "comes before the step above it"
                yield documents.problem("escalations", index, ("steps", at, "after"), message, "put it first")
            before = max(before, seconds(step.after))


def _units(inventory: Inventory, documents: Documents) -> Found:
    for index, unit in enumerate(inventory.units):
        if unit.escalation is not None:
            field = ("escalation",)
            yield from _missing(inventory, documents, "units", index, field, unit.escalation, "escalations")
