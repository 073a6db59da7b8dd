"""Everything that the parts of a running collector share. Made once by collector/serve.py; nothing here changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from collector.audit import Trail
    from collector.ca import Authority
    from collector.clock_notes import ClockNotes
    from collector.config import CollectorConfig
    from collector.detect import Detector
    from collector.feed import Feed
    from collector.incidents.desk import Desk
    from collector.incidents.reporting import Regulation
    from collector.inventory_source import InventorySource
    from collector.lease import Lease
    from collector.ledger import Ledgers
    from collector.live import Live
    from collector.paging import Paging
    from collector.posture.source import BookSource
    from collector.registry import Registry
    from collector.response.responses import Responses
    from collector.standing import Standing
    from collector.store import Store
    from telemetry.clock import Clock
    from telemetry.report import Report


@dataclass(frozen=True)
class Services:
    """``store`` blocks: call it in a worker thread. ``standing`` says whether it takes events now."""

    clock: Clock
    report: Report
    store: Store
    standing: Standing
    inventory: InventorySource
    registry: Registry
    ledgers: Ledgers
    detector: Detector
    config: CollectorConfig
    collector_id: str
    started_ms: int
    live: Live
    feed: Feed
    clock_notes: ClockNotes
    home: Path
    """``<home>/collector``: everything that this collector keeps on disk."""
    authority: Authority
    trail: Trail
    desk: Desk
    """What may be done with incidents."""
    lease: Lease
    """Says whether this collector leads (collector/operations.py)."""
    regulations: tuple[Regulation, ...]
    """Reporting clocks: who has to report what how soon."""
    responses: Responses
    posture: BookSource
    """Indicators, warnings and the scale of scores."""
    paging: Paging
    """Tells people, and knows whom (collector/paging.py)."""
