"""A posture part on a store, with a city small enough to think about."""

from __future__ import annotations

from pathlib import Path

from collector import shipped
from collector.audit import Trail
from collector.ca import Authority
from collector.inventory_source import InventorySource
from collector.ledger import Ledgers
from collector.live import Live
from collector.posture.part import Posture
from collector.posture.source import BookSource
from collector.registry import Registry
from collector.store import Store
from telemetry.clock import ManualClock
from telemetry.report import Report

INVENTORY = """units:
  - {id: city, name: 市, level: city}
  - {id: a, name: 甲, level: county, parent: city}
  - {id: b, name: 乙, level: county, parent: city}
"""


def posture(store: Store, home: Path, clock: ManualClock, name: str = "one") -> Posture:
    """As collector/wiring.py makes it; ``name`` is the collector's id."""
    report = Report(clock)
    folder = home / "inventory"
    folder.mkdir(exist_ok=True)
    (folder / "all.yml").write_text(INVENTORY, encoding="utf-8")
    authority = Authority.open(home / "ca", clock)
    return Posture(
        store=store,
        book=BookSource([shipped.rules()], report),
        inventory=InventorySource(folder, report),
        registry=Registry(store, clock, authority, Trail(store, clock, report), name),
        ledgers=Ledgers(store, name),
        live=Live(clock),
        clock=clock,
        report=report,
        retention_days=90,
    )
