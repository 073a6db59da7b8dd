"""A detector and a correlator over a real store, for tests: events in, alerts out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from collector.detect.correlate import Correlator
from collector.detect.detector import Detector, build
from collector.operation import News
from collector.query import Kind
from collector.store import Record, Store, StoreContext
from collector.stores.sqlite import Config
from collector.stores.sqlite import build as open_store
from telemetry.clock import ManualClock
from telemetry.event import Event
from telemetry.report import Report
from telemetry.validate import validate
from tests.collector.detect.sigma_text import HEAD, ID

NOW = 1_790_000_000_000
IDS = {name: f"{ID[:-4]}{number:04d}" for number, name in enumerate(["c", "a", "b", "d", "outer"])}


def base(name: str, port: int) -> str:
    head = HEAD.replace(ID, IDS[name])
    return f"{head}name: {name}\ndetection:\n  s:\n    destination.port: {port}\n  condition: s\n"


BASES = [base("a", 1), base("b", 2), base("d", 3)]


def correlation(block: str, name: str = "c", more: str = "") -> str:
    return f"title: {name}\nid: {IDS[name]}\nname: {name}\n{more}correlation: {{{block}}}\n"


class World:
    """One collector after the other on one store; each leads."""

    def __init__(self, home: Path, *correlations: str) -> None:
        self.clock = ManualClock(NOW)
        self.report = Report(self.clock)
        self.store: Store = open_store(Config(reserve_mb=0), StoreContext(home, self.clock, self.report))
        self.rules = home / "rules.yml"
        self.rules.write_text("---\n".join([*BASES, *correlations]), encoding="utf-8")
        self.alerts: list[Event] = []
        self.restart()

    def restart(self) -> None:
        self.detector: Detector = build([self.rules], self.report, self.clock, "collector-1")
        assert [str(p) for p in self.detector.problems()] == []
        self.correlator = Correlator(self.store, self.detector.ruleset, self.report, "collector-1")
        self.correlator.begin(self.clock.ms)

    def hits(self, events: Iterable[Event]) -> list[Record]:
        made = []
        for event in events:
            for record in self.detector.detect(event):
                validate(record.doc)
                record.doc.setdefault("event.ingested", self.clock.ms)
                made.append(record)
        return made

    def give(self, *events: Event, seconds: float = 0) -> list[Event]:
        """Detect, store, correlate, as the collector does; the correlated alerts."""
        records = self.hits(events)
        self.store.write(records)
        return self.step(records, seconds)

    def step(self, records: Iterable[Record] = (), seconds: float = 0) -> list[Event]:
        self.clock.advance(seconds)
        news = News(self.clock.ms, hits=[r for r in records if r.kind is Kind.HIT])
        self.correlator.step(news)
        for alert in news.alerts:
            validate(alert.doc)
            assert self.store.get(Kind.ALERT, alert.id) is not None
        self.proofs = [r.doc for r in news.hits if r.doc["tengwang.hit.role"] == "proof"]
        made = [alert.doc for alert in news.alerts]
        self.alerts += made
        return made


def event(number: int, port: int = 1, at: int = NOW, source: str = "10.0.0.1", **fields: object) -> Event:
    made: Event = {
        "@timestamp": at,
        "event.id": f"agent-1-{number}",
        "event.dataset": "tengwang.flow",
        "event.action": "flow",
        "agent.id": "agent-1",
        "source.ip": source,
        "destination.port": port,
    }
    made.update({name.replace("__", "."): value for name, value in fields.items()})  # type: ignore[misc]
    return made
