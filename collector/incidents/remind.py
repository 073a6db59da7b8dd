"""The part "clocks": before a reporting clock runs out somebody is told, and once more when it has run out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import msgspec

from collector.incidents import lifecycle
from collector.incidents.clocks import Countdown, Phase, clocks
from collector.incidents.desk import Desk
from collector.incidents.identity import SYSTEM
from collector.incidents.model import Entry, Incident
from collector.incidents.reporting import Operator, Regulation
from collector.operation import News
from telemetry.clock import Clock
from telemetry.errors import Permanent
from telemetry.report import Report

EVERY_S = 5.0


class Remind:
    name = "clocks"

    def __init__(
        self,
        desk: Desk,
        regulations: Callable[[], Sequence[Regulation]],
        operator: Operator,
        clock: Clock,
        report: Report,
    ) -> None:
        self._desk = desk
        self._regulations = regulations
        self._operator: Operator = operator
        self._clock = clock
        self._report = report
        self._looked_at = float("-inf")

    def begin(self, now_ms: int) -> None:
        del now_ms  # what was told stands in the incident itself
        self._looked_at = float("-inf")

    def step(self, news: News) -> None:
        if self._clock.monotonic() - self._looked_at < EVERY_S:
            return
        self._looked_at = self._clock.monotonic()
        for incident in self._desk.docket.all():
            for one in clocks(incident, self._regulations(), news.now_ms, self._operator):
                if not one.ours or one.phase not in (Phase.WARNING, Phase.OVERDUE):
                    continue
                if f"{one.id}:{one.phase}" not in incident.clocks:
                    try:
                        self._desk.change(incident.id, functools.partial(_told, one=one, now_ms=news.now_ms))
                    except Permanent as error:  # somebody else changed it meanwhile
                        self._report.info("clocks", f"{incident.id}: {error}")

    def running(self, incident: Incident, now_ms: int) -> bool:
        """Does somebody still have to report it? Then its document is kept."""
        return any(
            one.ours and one.phase is not Phase.DONE
            for one in clocks(incident, self._regulations(), now_ms, self._operator)
        )


def _told(incident: Incident, one: Countdown, now_ms: int) -> Incident:
    name = f"{one.id}:{one.phase}"
    if name in incident.clocks or f"{one.id}:done" in incident.clocks:
        return incident
    entry = Entry(
        now_ms,
        SYSTEM,
        "page_needed",
        one.title.zh,
        {
            "clock": one.id,
            "phase": one.phase.value,
            "due_ms": one.due_ms,
            "title_zh": one.title.zh,
            "title_en": one.title.en,
        },
    )
    return lifecycle.noted(msgspec.structs.replace(incident, clocks={**incident.clocks, name: now_ms}), entry)
