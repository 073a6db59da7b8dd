"""``/units``: the tree of units with what the platform sees of each."""

from __future__ import annotations

import msgspec

from collector.api._operation import Nothing, Operation
from collector.query import Kind
from collector.services import Services
from collector.site import Site, Who
from collector.views.agents import agents
from collector.views.readiness import readiness, shares
from collector.views.units import DAY_MS, HOUR_MS, Counts, LevelView, UnitView, by_unit, levels, units


class UnitList(msgspec.Struct, frozen=True):
    """``units`` in tree order; ``levels`` is the coverage of city, county, township and village."""

    units: tuple[UnitView, ...]
    levels: tuple[LevelView, ...]


def _units(services: Services) -> UnitList:
    counts = Counts(
        by_unit(services, Kind.EVENT, HOUR_MS), by_unit(services, Kind.ALERT, DAY_MS), shares(readiness(services))
    )
    made = units(services.inventory.current(), agents(services), counts)
    return UnitList(made, levels(made))


async def every(site: Site, _who: Who, _: Nothing) -> UnitList:
    return await site.answers.ask(lambda: _units(site.services))


OPERATIONS = (
    Operation("/units", "list_units", "units", "The units as a tree, with coverage by level", Nothing, UnitList, every),
)
