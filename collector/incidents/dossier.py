"""Everything that is known of one incident, put together for its report and for the API."""

from __future__ import annotations

from collector.incidents.clocks import Countdown, clocks
from collector.incidents.evidence import evidence
from collector.incidents.model import Incident
from collector.incidents.report import Sources
from collector.services import Services
from telemetry.errors import Permanent


def incident(services: Services, id: str) -> Incident:
    """Raises Permanent ``unknown_incident``."""
    found = services.desk.get(id)
    if found is None:
        raise Permanent("unknown_incident", f"there is no incident {id[:64]!r}")
    return found


def countdowns(services: Services, of: Incident) -> tuple[Countdown, ...]:
    """Its reporting clocks now."""
    return clocks(of, services.regulations, services.clock.now_ms(), services.config.operations.operator)


def sources(services: Services, id: str) -> Sources:
    """What its report is made from. Blocks on the store."""
    found = incident(services, id)
    return Sources(
        incident=found,
        entries=services.desk.history(id),
        evidence=evidence(services.store, found),
        inventory=services.inventory.current(),
        rule=services.desk.rules(found.rule),
        clocks=countdowns(services, found),
        now_ms=services.clock.now_ms(),
    )
