"""What an enricher is: the seam between collector/enrichers/* and the collector's pipeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from collector.inventory_source import InventorySource
from telemetry.clock import Clock
from telemetry.event import Event
from telemetry.report import Report


@dataclass(frozen=True)
class EnricherContext:
    """What an enricher may use of the collector."""

    inventory: InventorySource
    unit_of_agent: Callable[[str], str]
    """The unit an agent was enrolled for, by agent id; empty for one that is not known."""
    report: Report
    clock: Clock


class Enricher(Protocol):
    """Adds fields to one event in place. Never raises for what the event holds; called for every event, so fast."""

    def enrich(self, event: Event) -> None: ...
