"""What an enricher is: the seam between collector/enrichers/* and the collector's pipeline."""

from __future__ import annotations

from typing import Protocol

from telemetry.event import Event


class Enricher(Protocol):
    """Adds fields to one event in place. Never raises for what the event holds; called for every event, so fast."""

    def enrich(self, event: Event) -> None: ...
