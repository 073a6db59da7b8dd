"""The correlator: the leader's first part. Hits of all collectors in, correlated alerts out.

What it keeps is a view of the store: ``begin`` reads the hits that the windows of its rules reach back to, and which
alerts were raised about them, so a restart or a take-over loses nothing and raises nothing twice. An alert is written
first and told to the other parts after; what the store did not take is written with the next step.

An alert of a correlation that another one correlates is a hit for that one, in the same step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from collector.detect.absences import FORGET_MS, Absences
from collector.detect.correlated import correlated, over
from collector.detect.correlation import Correlation, Kind
from collector.detect.firsts import Firsts
from collector.detect.hit import BASE, BEAT, SEEN, time_of
from collector.detect.key import group
from collector.detect.outcome import values_of
from collector.detect.ruleset import Ruleset
from collector.detect.watch import GRACE_MS, LATE_MS, Hit, Watch
from collector.detect.windows import Windows
from collector.operation import News
from collector.query import Condition, Equals, Latest, Range, Search
from collector.query import Kind as RecordKind
from collector.store import INGESTED, Record, Store
from telemetry.event import Event
from telemetry.report import Report

PAGE = 5_000
MAX_LATEST = 10_000
MAX_READ = 1_000_000
MAX_PENDING = 10_000
DAY_MS = 86_400_000
AHEAD_MS = 2 * DAY_MS
ROLES = {Kind.FIRST_SEEN: SEEN, Kind.ABSENCE: BEAT}


class Correlator:
    """A part of the operations (collector/operation.py); for one thread."""

    name = "correlate"

    def __init__(self, store: Store, ruleset: Callable[[], Ruleset], report: Report, collector: str) -> None:
        self._store = store
        self._ruleset = ruleset
        self._report = report
        self._collector = collector
        self._using: Ruleset | None = None
        self._watches: dict[str, tuple[Correlation, Watch]] = {}
        self._raised: set[str] = set()
        """Ids of alerts that were in the store when this collector began."""
        self._pending: list[Record] = []
        self._evicted = 0

    def begin(self, now_ms: int) -> None:
        """Read what is needed from the store; what should have been raised already is raised with the next step."""
        self._pending = []
        self._load(now_ms)

    def step(self, news: News) -> None:
        if self._ruleset() is not self._using:
            self._load(news.now_ms)
        for record in news.hits:
            self._take(record)
        self._pending += self._due(news.now_ms)
        self._count_evicted()
        if len(self._pending) > MAX_PENDING:  # the store is away for long; what it has yet to get is found again
            self._report.count("tengwang_correlation_evicted_total", len(self._pending) - MAX_PENDING)
            del self._pending[:-MAX_PENDING]
        if not self._pending:
            return
        for refusal in self._store.write(self._pending).refused:
            self._report.error("correlate", f"the store would not take {refusal.record.id}: {refusal.reason}")
        for record in self._pending:
            (news.alerts if record.kind is RecordKind.ALERT else news.hits).append(record)
        self._pending = []

    def _take(self, record: Record) -> None:
        doc = record.doc
        if doc.get("tengwang.hit.role") not in (BASE, SEEN, BEAT):
            return
        known = self._watches.get(str(doc.get("tengwang.hit.rule")))
        if known is not None:
            events = doc.get("tengwang.alert.event_ids")
            self._give(known, record, str(events[0]) if isinstance(events, list) and events else "")

    def _give(self, known: tuple[Correlation, Watch], record: Record, event: str) -> None:
        doc = record.doc
        arrived = doc.get(INGESTED)
        at_ms = time_of(doc)
        hit = Hit(
            at_ms,
            record.id,
            str(doc.get("rule.id", "")),
            str(doc.get("tengwang.hit.value", "")),
            event,
            arrived if isinstance(arrived, int) else at_ms,
        )
        known[1].take(str(doc.get("tengwang.hit.group", "")), hit, doc)

    def _due(self, now_ms: int) -> Iterator[Record]:
        """Correlations stand after their parts, so one round is enough."""
        using = self._using or Ruleset()
        for correlation, watch in self._watches.values():
            for finding in watch.due(now_ms):
                if finding.proves_end:
                    yield over(finding, self._collector, now_ms)
                    continue
                alert = correlated(finding, self._collector, now_ms)
                for user in using.used_by.get(correlation.id, ()):
                    self._chain(user, correlation, alert)
                if correlation.info.raises and alert.id not in self._raised:
                    self._report.count("tengwang_alerts_total", level=correlation.info.level)
                    yield alert

    def _chain(self, user: Correlation, of: Correlation, alert: Record) -> None:
        about = group([user.field_of(name, of.id) for name in user.group_by], alert.doc)
        if about is None or user.id not in self._watches:
            return
        for value in values_of(user, alert.doc):
            doc: Event = {**alert.doc, "tengwang.hit.group": about, "tengwang.hit.value": value}
            self._give(self._watches[user.id], Record(RecordKind.HIT, f"{alert.id}{value}", doc), alert.id)

    def _count_evicted(self) -> None:
        evicted = sum(watch.evicted for _, watch in self._watches.values())
        if evicted > self._evicted:
            self._report.count("tengwang_correlation_evicted_total", evicted - self._evicted)
            self._report.warn("correlate", "more hits or groups than are kept in memory: the oldest count no more")
        self._evicted = evicted

    def _load(self, now_ms: int) -> None:
        """Everything again, from the store."""
        using = self._ruleset()
        used = [one for one in using.correlations if not one.info.idle]
        reach = max((one.timespan_ms for one in used if one.kind not in ROLES), default=0) * 2 + GRACE_MS + LATE_MS
        self._watches = {one.id: (one, _watch(one, now_ms, now_ms - reach)) for one in used}
        self._evicted = 0
        self._raised = set()
        if used:
            self._read_hits(used, now_ms, reach)
            self._read_alerts(used, now_ms, reach)
        self._using = using

    def _read_hits(self, used: list[Correlation], now_ms: int, reach: int) -> None:
        windows = tuple(one.id for one in used if one.kind not in ROLES)
        if windows:
            where = (Equals("tengwang.hit.role", (BASE,)), Equals("tengwang.hit.rule", windows))
            self._read(now_ms - reach, now_ms, where)
            late = (*where, Range(INGESTED, now_ms - reach))
            self._read(now_ms - 8 * DAY_MS, now_ms - reach, late, 0)
        for one in used:
            where = (Equals("tengwang.hit.role", (ROLES.get(one.kind, ""),)), Equals("tengwang.hit.rule", (one.id,)))
            if one.kind is Kind.FIRST_SEEN:
                self._read(now_ms - one.timespan_ms - 2 * DAY_MS, now_ms, where)
            elif one.kind is Kind.ABSENCE:
                query = Latest(
                    now_ms - FORGET_MS, now_ms + AHEAD_MS, ("tengwang.hit.group",), where, RecordKind.HIT, MAX_LATEST
                )
                for found in self._store.latest(query):
                    self._take(Record(RecordKind.HIT, found.id, found.doc))

    def _read(self, since_ms: int, until_ms: int, where: tuple[Condition, ...], ahead: int = AHEAD_MS) -> None:
        after, read = "", 0
        while read < MAX_READ:
            query = Search(max(since_ms, 0), until_ms + ahead, where, RecordKind.HIT, PAGE, True, after)
            page = self._store.search(query)
            for row in page.rows:
                self._take(Record(RecordKind.HIT, row.id, row.doc))
            read += len(page.rows)
            after = page.after
            if not after:
                return
        self._report.warn("correlate", f"more than {MAX_READ} hits to read again: the newest are left out")

    def _read_alerts(self, used: list[Correlation], now_ms: int, reach: int) -> None:
        since = max([reach, *(one.timespan_ms + DAY_MS for one in used if one.kind is Kind.FIRST_SEEN)])
        since = max([since, *(FORGET_MS for one in used if one.kind is Kind.ABSENCE)])
        where = (Equals("rule.id", tuple(one.id for one in used)),)
        after = ""
        while True:
            query = Search(max(now_ms - since, 0), now_ms + AHEAD_MS, where, RecordKind.ALERT, PAGE, True, after)
            page = self._store.search(query)
            for row in page.rows:
                self._raised.add(row.id)
                doc = row.doc
                known = self._watches.get(str(doc.get("rule.id")))
                if known is not None:
                    at = time_of(doc)
                    known[1].known(str(doc.get("tengwang.hit.group", "")), at, str(doc.get("tengwang.hit.value", "")))
            after = page.after
            if not after or len(self._raised) > MAX_READ:
                return


def _watch(one: Correlation, now_ms: int, floor_ms: int) -> Watch:
    if one.kind is Kind.FIRST_SEEN:
        return Firsts(one, now_ms - DAY_MS)
    return Absences(one, now_ms) if one.kind is Kind.ABSENCE else Windows(one, floor_ms)
