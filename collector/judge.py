"""Enrich every event, then ask the rules: what a record goes through between the door and the store."""

from __future__ import annotations

from collections.abc import Sequence

from collector.detect import Detector
from collector.enricher import Enricher
from collector.store import Record
from telemetry.report import Report


class Judge:
    """A fault in an enricher or a rule is counted and logged; the event goes on as it is."""

    def __init__(self, enrichers: Sequence[Enricher], detector: Detector, report: Report) -> None:
        self._enrichers = tuple(enrichers)
        self._detector = detector
        self._report = report

    def judge(self, records: Sequence[Record]) -> list[Record]:
        """Adds fields to the events in place; returns the alerts and hits they raise: the same event, the same ids."""
        made: list[Record] = []
        enrichers, detect = self._enrichers, self._detector.detect
        for record in records:
            event = record.doc
            try:
                for enricher in enrichers:
                    enricher.enrich(event)
                for one in detect(event):
                    one.doc.setdefault("event.ingested", event["event.ingested"])
                    made.append(one)
            except Exception as error:  # noqa: BLE001 - a fault in one rule must not lose the event
                self._report.count("tengwang_judge_errors_total")
                self._report.error("judge", f"{record.id}: {type(error).__name__}: {error}")
        return made
