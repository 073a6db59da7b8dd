"""The part "group": alerts become incidents, the same ones whoever does it and however often.

Which incident takes the alerts of a key is a document of its own, changed by compare-and-set *before* the incident is
made; so two leaders at once, or one that died between two writes, make one incident of one key. How many alerts an
incident has is counted as they come. Where alerts are read again, after a take-over, those that are not newer than the
incident's newest count as had, and the store is asked how many there are.

A flood with ever new senders has ever new keys. From ``STORM`` incidents of one rule and unit in ten minutes on, what
is further found is one incident more, of that rule and unit as a whole.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence

import msgspec

from collector.incidents import grouping, lifecycle, suppression
from collector.incidents.desk import Desk
from collector.incidents.docket import TRIES
from collector.incidents.identity import SYSTEM, incident_id
from collector.incidents.model import Entry, Incident, State
from collector.incidents.suppression import Suppression
from collector.operation import News
from collector.query import Aggregate, Equals, Exists, Kind, Not, Range
from collector.query_normal import TIME_MAX
from collector.store import INGESTED, Conflict, Record, Store
from telemetry.clock import Clock
from telemetry.errors import Permanent, TengwangError, Transient
from telemetry.report import Report

STORM = 20
STORM_KEY = "storm|"
STORM_MS = 600_000
MAX_REMEMBERED = 50_000
HEAL_MS = 24 * 3_600_000
TIDY_S = 600.0
DAY_MS = 86_400_000

Earlier = dict[str, list[Incident]]


class Group:
    """``step`` for one thread."""

    name = "group"

    def __init__(
        self,
        desk: Desk,
        store: Store,
        clock: Clock,
        report: Report,
        *,
        reopen_ms: int = DAY_MS,
        keep_ms: int = 7 * DAY_MS,
        needed: Callable[[Incident, int], bool] = lambda _incident, _now_ms: False,
    ) -> None:
        """``needed``: is the document of this closed incident still needed at this time?"""
        self._desk = desk
        self._store = store
        self._clock = clock
        self._report = report
        self._reopen_ms = reopen_ms
        self._keep_ms = keep_ms
        self._needed = needed
        self._id_of: collections.OrderedDict[str, str] = collections.OrderedDict()
        self._made: dict[tuple[str, str], collections.deque[int]] = {}
        self._suppressions: list[Suppression] = []
        self._looked_at = float("-inf")
        self._tidied_at = float("-inf")

    def begin(self, now_ms: int) -> None:
        self._id_of.clear()
        self._made.clear()
        self._looked_at = float("-inf")
        healed = self._desk.docket.heal(now_ms - HEAL_MS)
        for incident in sorted(self._desk.docket.all(), key=lambda one: one.found_ms):
            if incident.merged_into:
                target = self._desk.get(incident.merged_into)
                if target is not None and lifecycle.is_open(target) and incident.key not in target.keys:
                    self._desk.absorb(incident)
                    healed += 1
            elif lifecycle.is_open(incident):
                self._remember(incident.key, incident.id)
            self._note_made(incident.rule, incident.unit, incident.found_ms)
        if healed:
            self._report.info("incidents", f"{healed} half-written change(s) of incidents were completed")

    def step(self, news: News) -> None:
        self._look_at_suppressions()
        with self._desk.docket.together():
            failed = self._place_all(news)
        if failed is not None:
            raise failed
        self._tidy(news.now_ms)

    def _place_all(self, news: News) -> Transient | None:
        """Key by key; what came in a storm together at the end. What the store could not take is told at the end."""
        failed: Transient | None = None
        earlier = self._earlier() if news.alerts else {}
        storms: dict[str, list[Record]] = {}
        for key, alerts in grouping.by_key(news.alerts).items():
            try:
                if whole := self._storm(key, alerts, news):
                    storms.setdefault(whole, []).extend(alerts)
                else:
                    self._place(key, alerts, news, earlier)
            except Transient as error:
                failed = error
            except (TengwangError, ValueError, TypeError, KeyError) as error:
                self._fault(alerts, error)
        for whole, alerts in storms.items():
            try:
                self._place(whole, sorted(alerts, key=lambda r: (grouping.happened(r.doc), r.id)), news, earlier)
            except Transient as error:
                failed = error
            except (TengwangError, ValueError, TypeError, KeyError) as error:
                self._fault(alerts, error)
        return failed

    def _earlier(self) -> Earlier:
        """The incidents that are over, by their keys: an alert that one of them has is not a new one's."""
        made: Earlier = {}
        for incident in self._desk.docket.all():
            if not lifecycle.is_open(incident):
                for key in (incident.key, *incident.keys):
                    made.setdefault(key, []).append(incident)
        return made

    def _fault(self, alerts: Sequence[Record], error: Exception) -> None:
        self._report.count("tengwang_alerts_not_grouped_total", len(alerts))
        self._report.error("group", f"{alerts[0].id}: {type(error).__name__}: {error}")

    def _place(self, key: str, alerts: Sequence[Record], news: News, earlier: Earlier) -> None:
        """These alerts of one key into the incident that takes them, or into a new one."""
        window = max(self._quiet_ms(alerts), self._reopen_ms)
        for _ in range(TRIES):
            name, version = self._pointer(key)
            found = self._following(name) if name else None
            if others := [one for one in earlier.get(key, ()) if found is None or one.id != found.id]:
                alerts = grouping.unseen(others, alerts)
            if found is not None and grouping.takes(found, window, news.now_ms):
                if alerts:
                    self._join(found, alerts, news)
                return
            if found is not None and news.again:
                alerts = grouping.unseen([found], alerts)
            if not alerts:
                return  # all of it belongs to incidents that were over long ago
            new = name
            if found is not None or not name or self._desk.get(name) is not None:
                new = incident_id(key, alerts[0].id)
                if new == name:
                    return  # a repeat of what began the incident that is over
                try:
                    self._desk.docket.point(key, new, version)
                except Conflict:
                    continue
            # else: somebody claimed the key and died before the incident was there
            if self._make(key, new, alerts, news.now_ms):
                return
        raise Transient(f"the incident of {key!r} is being changed by others")

    def _make(self, key: str, new: str, alerts: Sequence[Record], now_ms: int) -> bool:
        inventory = self._desk.inventory()
        incident, entry = grouping.started(key, alerts, inventory, self._desk.raising, now_ms, new)
        held = suppression.holding(self._suppressions, incident, inventory, now_ms)
        if held is not None:
            entry = Entry(now_ms, SYSTEM, "suppressed", held.reason, {"suppression": held.id, "by": held.by})
            incident = msgspec.structs.replace(incident, suppressed_until_ms=held.until_ms)
            incident = lifecycle.noted(incident, entry)
        if not self._desk.docket.create(incident, entry):
            return False
        self._remember(key, new)
        self._note_made(incident.rule, incident.unit, now_ms)
        self._report.count("tengwang_incidents_total", level=incident.level)
        return True

    def _join(self, found: Incident, alerts: Sequence[Record], news: News) -> None:
        back = found.state is not State.FALSE_POSITIVE

        def change(incident: Incident) -> Incident:
            some = grouping.unseen([incident], alerts) if news.again else alerts
            inventory, raising = self._desk.inventory(), self._desk.raising
            after = grouping.joined(incident, some, news.now_ms, inventory, raising, back)
            if news.again and len(some) < len(alerts) and not grouping.whole(after):
                after = self._counted(after, alerts)
            return self._suppressed(after, news.now_ms) if after.state is not incident.state else after

        after = self._desk.docket.change(found.id, change)
        if after.reopened > found.reopened:
            self._report.count("tengwang_incidents_reopened_total")

    def _suppressed(self, incident: Incident, now_ms: int) -> Incident:
        held = suppression.holding(self._suppressions, incident, self._desk.inventory(), now_ms)
        if held is None or incident.suppressed_until_ms >= held.until_ms:
            return incident
        entry = Entry(now_ms, SYSTEM, "suppressed", held.reason, {"suppression": held.id, "by": held.by})
        return lifecycle.noted(msgspec.structs.replace(incident, suppressed_until_ms=held.until_ms), entry)

    def _counted(self, incident: Incident, alerts: Sequence[Record]) -> Incident:
        """How many alerts the store has of it, where that is more; the same object where it is not.

        Of alerts before its first only what is not of the incident before it, which was over for ``reopen_ms`` then;
        where they are flagged, that is a clock set back and not a time long ago.
        """
        first = min(incident.first_ms, *(grouping.happened(alert.doc) for alert in alerts))
        incident_from = msgspec.structs.replace(incident, first_ms=max(first, incident.first_ms - self._reopen_ms))
        counted = count(self._store, incident_from, first)
        return msgspec.structs.replace(incident_from, count=counted) if counted > incident.count else incident

    def _pointer(self, key: str) -> tuple[str, int]:
        if (known := self._id_of.get(key)) is not None:
            self._id_of.move_to_end(key)
            found, _ = self._desk.docket.read(known)
            if found is not None and lifecycle.is_open(found):
                return known, 0
            del self._id_of[key]
        return self._desk.docket.pointer(key)

    def _following(self, name: str) -> Incident | None:
        """The incident, or the one that it was merged into, however often."""
        for _ in range(20):
            found, _ = self._desk.docket.read(name)
            if found is None or not found.merged_into:
                return found
            name = found.merged_into
        return None

    def _quiet_ms(self, alerts: Sequence[Record]) -> int:
        facts = self._desk.rules(grouping.text(alerts[0].doc, "rule.id"))
        return facts.quiet_ms if facts else 0

    def _storm(self, key: str, alerts: Sequence[Record], news: News) -> str:
        """The key of the rule and unit as a whole where this one came in a storm; else empty."""
        if key in self._id_of:
            return ""
        doc = alerts[0].doc
        rule, unit = grouping.text(doc, "rule.id"), grouping.text(doc, "tengwang.unit.id")
        whole = f"{STORM_KEY}{rule}|{unit}"
        made = self._made.get((rule, unit))
        if made is None or len(made) < STORM:
            return ""
        if news.now_ms - made[0] < STORM_MS:
            self._report.count("tengwang_incident_storms_total")
            return whole
        if news.again and (name := self._desk.docket.pointer(whole)[0]):
            found = self._following(name)
            if found is not None and not grouping.unseen([found], alerts):
                return whole
        return ""

    def _note_made(self, rule: str, unit: str, at_ms: int) -> None:
        if len(self._made) > MAX_REMEMBERED:
            self._made.clear()
        self._made.setdefault((rule, unit), collections.deque(maxlen=STORM)).append(at_ms)

    def _remember(self, key: str, name: str) -> None:
        self._id_of[key] = name
        if len(self._id_of) > MAX_REMEMBERED:
            self._id_of.popitem(last=False)

    def _look_at_suppressions(self) -> None:
        if self._clock.monotonic() - self._looked_at >= 2.0:
            self._suppressions = self._desk.suppressions.all()
            self._looked_at = self._clock.monotonic()

    def _tidy(self, now_ms: int) -> None:
        """Documents of what was closed long ago go; their records stay."""
        if self._clock.monotonic() - self._tidied_at < TIDY_S:
            return
        self._tidied_at = self._clock.monotonic()
        for incident in self._desk.docket.all():
            over = incident.state in (State.CLOSED, State.FALSE_POSITIVE)
            if over and now_ms - incident.closed_ms > self._keep_ms and not self._needed(incident, now_ms):
                try:
                    self._desk.docket.remove(incident)
                except Permanent as error:
                    self._report.error("incidents", str(error))
        self._desk.suppressions.tidy(now_ms)


def count(store: Store, incident: Incident, flagged_from_ms: int | None = None) -> int:
    """How many alerts of its keys lie in its time; 0 where that can not be told: after a split, and in a storm.

    The time of one that is flagged is its arrival, while a store finds it by its event's own.
    """
    if "#" in incident.key or incident.key.startswith(STORM_KEY) or any(e.action == "split" for e in incident.entries):
        return 0
    where = (Equals(grouping.KEY, (incident.key, *incident.keys)),)
    first, last = incident.first_ms, incident.last_ms + 1
    flagged_from = first if flagged_from_ms is None else flagged_from_ms
    flagged = (*where, Exists(grouping.FLAG), Range(INGESTED, flagged_from, last))
    asked = (
        Aggregate(first, last, (*where, Not(Exists(grouping.FLAG))), Kind.ALERT),
        Aggregate(0, TIME_MAX, flagged, Kind.ALERT),
    )
    return sum(int(rows[0].values[0]) for rows in map(store.aggregate, asked) if rows)
