"""A desk on a real store, for tests: alerts by hand, time by hand, the leader's loop by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from collector.audit import Trail
from collector.clock_notes import ClockNotes
from collector.feed import Feed
from collector.incidents.desk import Desk
from collector.incidents.facts import RuleFacts
from collector.incidents.group import Group
from collector.incidents.model import Incident
from collector.inventory import Inventory
from collector.inventory_index import Indexed
from collector.lease import Lease
from collector.operation import News, Part
from collector.operations import Operations
from collector.query import Kind
from collector.standing import Standing
from collector.store import Record, Store, StoreContext
from collector.stores import sqlite
from telemetry.clock import ManualClock
from telemetry.event import Event, event
from telemetry.report import Report
from telemetry.verdict import Text
from tests.collector.inventory_text import RIGHT

MINUTE = 60_000
RULE = RuleFacts("rule-1", Text("规则一", "Rule one"), "high", "network-attack", ("tengwang.ndp",), 30 * MINUTE)
WITH_PROOF = RuleFacts("rule-2", Text("规则二", "Rule two"), "medium", "hidden-danger", (), 10 * MINUTE, proof=True)
RULES: Mapping[str, RuleFacts] = {rule.id: rule for rule in (RULE, WITH_PROOF)}

REGISTERED = Indexed(msgspec.yaml.decode(RIGHT, type=Inventory))


def sqlite_at(folder: Path, clock: ManualClock) -> Store:
    return sqlite.build(sqlite.Config(reserve_mb=0), StoreContext(folder, clock, Report(clock)))


def alert(
    key: str, at_ms: int, number: int = 1, rule: str = RULE.id, collector: str = "c1", fields: Event | None = None
) -> Record:
    """Always the same for the same key, time and number."""
    name = hashlib.blake2b(f"{rule}{key}{at_ms}{number}".encode(), digest_size=16).hexdigest()
    facts = RULES[rule]
    doc: Event = event(at_ms, "tengwang.alert", rule, kind="alert")
    doc.update(
        {
            "event.id": name,
            "event.ingested": at_ms,
            "rule.id": rule,
            "rule.name": facts.title.en,
            "tengwang.rule.name.zh": facts.title.zh,
            "rule.level": facts.level,
            "rule.category": facts.category,
            "tengwang.alert.key": key,
            "tengwang.alert.event_ids": [f"{name}-event"],
            "tengwang.collector.id": collector,
            "tengwang.unit.id": "city",
            "agent.id": "agent-1",
            "source.ip": "fe80::bad",
            "source.mac": "02:00:00:00:00:0b",
        }
    )
    doc.update(fields or {})
    return Record(Kind.ALERT, name, doc)


def proof(key: str, at_ms: int, rule: str = WITH_PROOF.id, collector: str = "c1") -> Record:
    name = hashlib.blake2b(f"proof{rule}{key}{at_ms}".encode(), digest_size=16).hexdigest()
    doc: Event = event(at_ms, "tengwang.hit", rule)
    doc.update(
        {
            "event.id": name,
            "event.ingested": at_ms,
            "tengwang.hit.role": "proof",
            "tengwang.hit.rule": rule,
            "tengwang.hit.group": key,
            "tengwang.collector.id": collector,
        }
    )
    return Record(Kind.HIT, name, doc)


class Bench:
    """One collector's side: its own clock, caches and leader's loop on a store that may be shared."""

    def __init__(self, store: Store, clock: ManualClock, name: str = "c1", inventory: Indexed | None = None) -> None:
        self.store, self.clock, self.name = store, clock, name
        self.report = Report(clock)
        self.known = inventory or REGISTERED
        self.desk = Desk(
            store=store,
            inventory=lambda: self.known,
            clock=clock,
            report=self.report,
            trail=Trail(store, clock, self.report),
            rules=RULES.get,
            collector_id=name,
        )
        self.feed = Feed()
        self.clock_notes = ClockNotes(store, name)
        self.lease = Lease(store, clock, name)
        self.group = Group(self.desk, store, clock, self.report)

    def operations(self, parts: Iterable[Part] | None = None) -> Operations:
        return Operations(
            store=self.store,
            standing=Standing(self.clock, self.report),
            lease=self.lease,
            feed=self.feed,
            clock_notes=self.clock_notes,
            parts=tuple(parts) if parts is not None else (self.group,),
            clock=self.clock,
            report=self.report,
        )

    def give(self, *alerts: Record) -> None:
        """To the part "group" alone, as new."""
        self.store.write(alerts)
        self.group.step(News(self.clock.now_ms(), list(alerts)))

    def only(self) -> Incident:
        """The one incident that there is."""
        (found,) = self.desk.docket.all(0)
        return found
