"""What comes of a match: alerts of the rule, hits for the correlations that it is a part of, proofs of an end.

Not every event that a correlation looks at is kept: of a value that is known, one sighting a day says that it is still
there, of a heartbeat four in its time. A proof is kept when it is needed: after an alert of its key here and for keys
of open incidents soon, else once an hour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from collector.detect.alert import alert
from collector.detect.correlation import OF_NUMBERS, Correlation, Kind
from collector.detect.hit import BASE, BEAT, PROOF, SEEN, hit, time_of
from collector.detect.key import group, joined, key, known
from collector.detect.memory import Recent
from collector.detect.rule import Proof, Rule
from collector.detect.values import number, text
from collector.query import Kind as RecordKind
from collector.store import Record
from telemetry.event import Event
from telemetry.report import Report

DAY_MS = 86_400_000
PROOF_OPEN_MS = 300_000
PROOF_IDLE_MS = 3_600_000
"""Of hundreds of interfaces that are up nothing is wanted while none was down."""
MAX_SEEN = 200_000
MAX_BEATS = 100_000
MAX_PROOFS = 100_000
MAX_ALERTED = 10_000
MAX_VALUES = 16
MAX_VALUE = 1_000
GREATEST = 1e300

Make = Callable[[Event], Iterator[Record]]
Watched = Callable[[], frozenset[str]]


class Outcomes:
    """For one thread. What is remembered outlives a reload of the rules."""

    def __init__(self, collector: str, watched: Watched, report: Report) -> None:
        self._collector = collector
        self._watched = watched
        self._report = report
        self._seen = Recent(MAX_SEEN)
        self._beats = Recent(MAX_BEATS)
        self._proofs = Recent(MAX_PROOFS)
        self._alerted = Recent(MAX_ALERTED)

    def evicted(self) -> dict[str, int]:
        """What was forgotten for want of room, by what it was."""
        return {"seen": self._seen.evicted, "beats": self._beats.evicted, "proofs": self._proofs.evicted}

    def of_rule(self, rule: Rule, users: tuple[Correlation, ...]) -> Make:
        """What to do with an event that the rule matches."""
        makers = [self._maker(rule, one) for one in users]

        def make(event: Event) -> Iterator[Record]:
            if rule.info.raises:
                yield self._alert(rule, event)
            for maker in makers:
                yield from maker(event)

        return make

    def of_proof(self, proof: Proof) -> Make:
        def make(event: Event) -> Iterator[Record]:
            if not known(proof.by, event):
                return
            about = key(proof.family, proof.by, event)
            open_ = about in self._alerted or about in self._watched()
            gap = min(PROOF_OPEN_MS, proof.quiet_ms // 4) if open_ else PROOF_IDLE_MS
            if self._proofs.due((about, proof.rule), time_of(event), str(event.get("event.id", "")), gap):
                yield hit(PROOF, proof.rule, proof.rule, about, "", event, self._collector, proof.by)

        return make

    def _alert(self, rule: Rule, event: Event) -> Record:
        made = alert(rule, event, self._collector)
        self._report.count("tengwang_alerts_total", level=rule.info.level)
        about = str(made["tengwang.alert.key"])
        self._alerted.due(about, 0, "", 0)
        self._proofs.forget((about, rule.info.id))
        return Record(RecordKind.ALERT, str(made["event.id"]), made)

    def _maker(self, rule: Rule, one: Correlation) -> Make:
        by = tuple(one.field_of(name, rule.info.id) for name in one.group_by)
        fields = (*by, *one.info.by, *one.fields)

        def make(event: Event) -> Iterator[Record]:
            about = group(by, event)
            if about is None:
                return
            at, source = time_of(event), str(event.get("event.id", ""))
            if one.kind is Kind.ABSENCE:
                if self._beats.due((one.id, about), at, source, one.timespan_ms // 4):
                    yield hit(BEAT, one.id, rule.info.id, about, "", event, self._collector, fields)
                return
            for value in values_of(one, event):
                if one.kind is Kind.FIRST_SEEN:
                    if self._seen.due((one.id, about, value), at, source, DAY_MS):
                        yield hit(SEEN, one.id, rule.info.id, about, value, event, self._collector, fields)
                else:
                    yield hit(BASE, one.id, rule.info.id, about, value, event, self._collector, fields)

        return make


def values_of(one: Correlation, event: Mapping[str, object]) -> list[str]:
    """What a hit counts for: the empty text where the hit itself is counted, nothing where the event has no value."""
    if not one.fields:
        return [""]
    if len(one.fields) > 1:
        parts = [event.get(name) for name in one.fields]
        return [] if None in parts else [joined([str(part) for part in parts])]
    value = event.get(one.fields[0])
    made = []
    for item in value[:MAX_VALUES] if isinstance(value, list) else [value]:
        if one.kind in OF_NUMBERS:
            counted = number(item)
            if counted is not None and abs(counted) < GREATEST:  # also not a number that is none
                made.append(repr(counted))
        elif item not in (None, ""):
            said = text(item)
            made.append(said if len(said) <= MAX_VALUE else joined([said]))
    return made
