"""Rules and correlations over recorded events, in the events' own time and without a store: for twins and replay."""

from __future__ import annotations

from collections.abc import Sequence

from collector.detect.correlate import Correlator
from collector.detect.correlation import Kind as Correlates
from collector.detect.detector import Matching
from collector.detect.outcome import Outcomes
from collector.detect.ruleset import Ruleset
from collector.detect.watch import GRACE_MS
from collector.operation import News
from collector.query import Aggregate, Kind, Latest, Row, Search
from collector.store import Found, Health, Page, Record, State, Written
from telemetry.event import Event
from telemetry.report import Report


class NoStore:
    """Holds nothing and takes everything: what a correlator has when there was nothing before."""

    def write(self, records: Sequence[Record], repeat: bool = False) -> Written:  # noqa: ARG002 - the store's seam
        return Written(len(records), 0)

    def search(self, query: Search) -> Page:  # noqa: ARG002
        return Page(())

    def aggregate(self, query: Aggregate) -> Sequence[Row]:  # noqa: ARG002
        return ()

    def latest(self, query: Latest) -> Sequence[Found]:  # noqa: ARG002
        return ()

    def get(self, kind: Kind, id: str) -> Found | None:  # noqa: ARG002
        return None

    def read_state(self, key: str) -> State:
        return State(key, b"", 0)

    def write_state(self, key: str, value: bytes, version: int) -> int:  # noqa: ARG002
        return version + 1

    def delete_state(self, key: str) -> None:
        pass

    def list_state(self, prefix: str) -> Sequence[State]:  # noqa: ARG002
        return ()

    def expire(self, now_ms: int) -> Sequence[str]:  # noqa: ARG002
        return ()

    def health(self) -> Health:
        return Health(writable=True)

    def close(self) -> None:
        pass


class Rehearsal:
    """``play`` events in the order in which they are to arrive; ``end`` lets the time after the last one pass."""

    def __init__(self, ruleset: Ruleset, report: Report, collector: str = "") -> None:
        self._ruleset = ruleset
        self._matching = Matching(ruleset, Outcomes(collector, frozenset, report))
        self._correlator = Correlator(NoStore(), lambda: ruleset, report, collector)
        self._now_ms = -1

    def play(self, event: Event) -> list[Record]:
        """What the event raises, and what has become due up to its time. It has its id."""
        return self.follow(self._matching.detect(event), event)

    def follow(self, judged: Sequence[Record], event: Event) -> list[Record]:
        """The same where the event was judged already."""
        at = event.get("@timestamp")
        for record in judged:
            record.doc.setdefault("event.ingested", at if isinstance(at, int) else 0)
        return [*judged, *self._step(at if isinstance(at, int) else 0, judged)]

    def end(self, after_ms: int | None = None) -> list[Record]:
        """By default so long that every window is over; but nobody is absent because a recording ends."""
        if self._now_ms < 0:
            return []
        spans = [one.timespan_ms for one in self._ruleset.correlations if one.kind is not Correlates.ABSENCE]
        if after_ms is None:
            after_ms = 2 * max(spans) + GRACE_MS if spans and not self._absences() else 0
        return self._step(self._now_ms + after_ms, ())

    def _absences(self) -> bool:
        return any(one.kind is Correlates.ABSENCE for one in self._ruleset.correlations)

    def _step(self, now_ms: int, judged: Sequence[Record]) -> list[Record]:
        if self._now_ms < 0:
            self._correlator.begin(now_ms)
        self._now_ms = max(self._now_ms, now_ms)
        news = News(self._now_ms, hits=[record for record in judged if record.kind is Kind.HIT])
        before = len(news.hits)
        self._correlator.step(news)
        return [*news.alerts, *news.hits[before:]]
