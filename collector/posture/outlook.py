"""Early warning: the rules of ``form: warning`` asked of the store for one moment.

Each rule looks at many series (a unit, an interface, a certificate). What has a colour is a finding; how many series
were judged, and of how many there is not enough data, stands beside it, so that silence is never taken for calm.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping

import msgspec

from collector import search_text
from collector.duration import seconds
from collector.posture.baseline import BEIJING_MS, HOUR_MS, deviation
from collector.posture.forecast import reach, trend
from collector.posture.indicator import COLOURS, Book, Colour, WarningRule
from collector.query import Aggregate, ByTerm, ByTime, Equals, Kind, Latest, Measure
from collector.store import Store
from telemetry.clock import EPOCH, parse_iso
from telemetry.event import Event

DAY_MS = 24 * HOUR_MS
CHUNK_MS = 7 * DAY_MS
MAX_ROWS = 50_000
MAX_LINKS = 64
"""Interfaces that are looked at closely: the busiest of yesterday."""
MAX_FINDINGS = 100
POSTURE = "tengwang.posture"
UNIT = "tengwang.unit.id"


class Finding(msgspec.Struct, frozen=True):
    """One series that has a colour. ``value`` is what the colours of the rule are about; the rest explains it."""

    warning: str
    unit: str
    subject: str
    colour: Colour
    value: float
    observed: float
    expected: float
    low: float
    high: float
    evidence: str
    """A search text for ``kind`` that shows the records behind it."""
    kind: str = "events"


class Outlook(msgspec.Struct, frozen=True):
    """One rule at one moment."""

    warning: str
    at_ms: int
    findings: tuple[Finding, ...]
    judged: int
    short: int
    """Series of which there is not enough data."""
    cut: bool = False


class _Notes:
    """Collects findings, worst first, bounded."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.judged = self.short = 0
        self.cut = False

    def outlook(self, rule: WarningRule, at_ms: int) -> Outlook:
        rank = {colour: at for at, colour in enumerate(COLOURS)}
        self.findings.sort(key=lambda f: (-rank[f.colour], f.unit, f.subject))
        kept = tuple(self.findings[:MAX_FINDINGS])
        cut = self.cut or len(kept) < len(self.findings)
        return Outlook(rule.id, at_ms, kept, self.judged, self.short, cut)


def look(store: Store, book: Book, at_ms: int) -> tuple[Outlook, ...]:
    """Every rule. Blocks on the store; raises Transient."""
    methods: Mapping[str, Callable[[Store, Book, WarningRule, int], Outlook]] = {
        "baseline": _baseline,
        "capacity": _capacity,
        "expiry": _expiry,
        "target": _target,
    }
    return tuple(methods[rule.method](store, book, rule, at_ms) for rule in book.warnings)


def _baseline(store: Store, _book: Book, rule: WarningRule, at_ms: int) -> Outlook:
    notes = _Notes()
    end = at_ms // HOUR_MS * HOUR_MS
    last, first = end - HOUR_MS, end - seconds(rule.window) * 1000 // HOUR_MS * HOUR_MS - HOUR_MS
    measure = Measure("sum", rule.field) if rule.field else Measure("count")
    where = search_text.parse(rule.query)
    values: dict[str, dict[int, float]] = {}
    asked = Aggregate(first, end, where, Kind(rule.kind), measures=(measure,))
    for unit, hour, value in _hourly(store, notes, asked, UNIT):
        values.setdefault(unit, {})[hour] = value
    sighted = (
        Equals("event.dataset", (POSTURE,)),
        Equals("event.action", ("score",)),
        Equals("tengwang.posture.scope", ("unit",)),
        Equals("tengwang.posture.state", ("known", "partly")),
    )
    seen: dict[str, set[int]] = {}
    for unit, hour, _ in _hourly(store, notes, Aggregate(first, end, sighted), "tengwang.posture.subject"):
        seen.setdefault(unit, set()).add(hour)
    for unit in sorted(seen):
        held = values.get(unit, {})
        found = deviation({hour: held.get(hour, 0.0) for hour in seen[unit]}, last, rule.minimum)
        if found is None or not found.enough:
            notes.short += 1
            continue
        notes.judged += 1
        far = abs(found.deviations) if rule.field else found.deviations
        colour = rule.colours.of(far)
        if colour != "none":
            spread = (found.median - found.spread, found.median + found.spread)
            evidence = f"{rule.query} unit:{unit}".strip()
            notes.findings.append(
                Finding(rule.id, unit, "", colour, far, found.value, found.median, *spread, evidence, rule.kind)
            )
    return notes.outlook(rule, at_ms)


def _hourly(store: Store, notes: _Notes, query: Aggregate, field: str) -> Iterator[tuple[str, int, float]]:
    """A week at a time, so that no answer has more groups than a store gives."""
    for start in range(query.since_ms, query.until_ms, CHUNK_MS):
        part = msgspec.structs.replace(
            query,
            since_ms=start,
            until_ms=min(start + CHUNK_MS, query.until_ms),
            by=(ByTerm(field), ByTime(HOUR_MS)),
            limit=MAX_ROWS,
        )
        rows = store.aggregate(part)
        notes.cut = notes.cut or len(rows) == MAX_ROWS
        for row in rows:
            yield str(row.keys[0]), int(row.keys[1]), row.values[0]


LEAST_MS = 5 * 60_000
"""Readings that are nearer to each other say too little of an hour."""
COUNTERS = ("tengwang.interface.in_octets", "tengwang.interface.out_octets")
SPEED = "tengwang.interface.speed"
LINK = ("tengwang.device.id", "tengwang.interface.index")


def _capacity(store: Store, _book: Book, rule: WarningRule, at_ms: int) -> Outlook:
    """The busiest hour of each whole day, of each link that was used for a tenth of the limit yesterday."""
    notes = _Notes()
    interfaces = (Equals("event.dataset", ("tengwang.snmp",)), Equals("event.action", ("interface",)))
    names = {
        (str(f.doc[LINK[0]]), int(str(f.doc[LINK[1]]))): f.doc
        for f in store.latest(Latest(max(0, at_ms - DAY_MS), at_ms, LINK, interfaces, limit=10_000))
    }
    ends = tuple(Measure(op, name) for name in (*COUNTERS, "@timestamp") for op in ("min", "max"))
    yesterday = Aggregate(
        max(0, at_ms - DAY_MS), at_ms, interfaces, by=tuple(map(ByTerm, LINK)), measures=(*ends, Measure("max", SPEED))
    )
    rows = store.aggregate(msgspec.structs.replace(yesterday, limit=MAX_ROWS))
    used = sorted(
        ((_used(row.values), (str(row.keys[0]), int(row.keys[1]))) for row in rows), key=lambda u: (-u[0], u[1])
    )
    close = [link for share, link in used if share >= rule.limit / 10]
    notes.judged, notes.cut = len(used) - len(close), len(close) > MAX_LINKS
    midnight = (at_ms + BEIJING_MS) // DAY_MS * DAY_MS - BEIJING_MS
    for device, index in close[:MAX_LINKS]:
        one = (*interfaces, Equals(LINK[0], (device,)), Equals(LINK[1], (index,)))
        query = Aggregate(
            max(0, midnight - seconds(rule.window) * 1000),
            midnight,
            one,
            by=(ByTime(HOUR_MS),),
            measures=(*ends, Measure("max", SPEED)),
            limit=MAX_ROWS,
        )
        days: dict[int, float] = {}
        for row in store.aggregate(query):
            day = (int(row.keys[0]) + BEIJING_MS) // DAY_MS
            days[day] = max(days.get(day, 0.0), _used(row.values))
        found = trend([(float(day), share) for day, share in days.items()], rule.minimum)
        if found is None:
            notes.short += 1
            continue
        notes.judged += 1
        when = reach(found, rule.limit)
        colour = rule.colours.of(when.likely) if when.likely is not None else "none"
        if colour != "none" and when.likely is not None:
            doc: Event = names.get((device, index), {})
            subject = f"{device} {doc.get('tengwang.interface.name', index)}"
            early, late = when.earliest or 0.0, when.latest if when.latest is not None else when.likely
            evidence = f"dataset:tengwang.snmp action:interface device:{device} tengwang.interface.index:{index}"
            unit = str(doc.get(UNIT, ""))
            notes.findings.append(
                Finding(rule.id, unit, subject, colour, when.likely, found.level, rule.limit, early, late, evidence)
            )
    return notes.outlook(rule, at_ms)


def _used(values: tuple[float, ...]) -> float:
    """Percent of the speed, of the busier direction, between the first and the last reading.

    0 where the speed is not known or a counter began anew.
    """
    in_low, in_high, out_low, out_high, first, last, speed = values
    if not speed > 0 or not last - first >= LEAST_MS:
        return 0.0
    shares = [
        100 * 8000 * (high - low) / (last - first) / speed for low, high in ((in_low, in_high), (out_low, out_high))
    ]
    return max((share for share in shares if 0 <= share <= 105), default=0.0)


def _expiry(store: Store, _book: Book, rule: WarningRule, at_ms: int) -> Outlook:
    notes = _Notes()
    since = max(0, at_ms - seconds(rule.window) * 1000)
    per = ("tengwang.check.subject", "tengwang.check.id")
    for found in store.latest(Latest(since, at_ms, per, search_text.parse(rule.query), limit=10_000)):
        until = _expires(found.doc)
        if until is None:
            notes.short += 1
            continue
        notes.judged += 1
        days = (until - at_ms) / DAY_MS
        colour = rule.colours.of(days)
        if colour != "none":
            subject, unit = str(found.doc.get("tengwang.check.subject", "")), str(found.doc.get(UNIT, ""))
            evidence = f'{rule.query} tengwang.check.subject:"{subject}"'
            notes.findings.append(Finding(rule.id, unit, subject, colour, days, days, 0.0, days, days, evidence))
    return notes.outlook(rule, at_ms)


def _expires(doc: Event) -> int | None:
    """The earliest date in the evidence's ``expires``; None where the check saw none."""
    try:
        evidence = msgspec.json.decode(str(doc.get("tengwang.check.evidence", "")), type=dict[str, object])
        dates = evidence.get("expires", [])
        return min(parse_iso(str(text).split()[0]) for text in dates) if isinstance(dates, list) and dates else None
    except (msgspec.DecodeError, ValueError, IndexError, OverflowError):
        return None


def _target(store: Store, book: Book, rule: WarningRule, at_ms: int) -> Outlook:
    """Percentage points that the trend is short of the target at the end (in Beijing) of the target year."""
    notes = _Notes()
    indicator = book.indicator(rule.indicator)
    if indicator is None or indicator.target is None or indicator.target_year is None:
        return notes.outlook(rule, at_ms)
    where = (
        Equals("event.dataset", (POSTURE,)),
        Equals("event.action", ("indicator",)),
        Equals("tengwang.posture.indicator", (indicator.id,)),
        Equals("tengwang.posture.scope", ("all", "unit")),
    )
    query = Aggregate(
        max(0, at_ms - seconds(rule.window) * 1000),
        at_ms,
        where,
        by=(ByTerm("tengwang.posture.scope"), ByTerm("tengwang.posture.subject"), ByTime(DAY_MS)),
        measures=(Measure("sum", "tengwang.posture.value"), Measure("count")),
        limit=MAX_ROWS,
    )
    series: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in store.aggregate(query):
        point = (int(row.keys[2]) / DAY_MS, row.values[0] / row.values[1])
        series.setdefault((str(row.keys[0]), str(row.keys[1])), []).append(point)
    end = datetime.datetime(indicator.target_year + 1, 1, 1, tzinfo=datetime.UTC) - EPOCH
    left = max(0.0, (end // datetime.timedelta(milliseconds=1) - BEIJING_MS - at_ms) / DAY_MS)
    for (scope, subject), points in sorted(series.items()):
        found = trend(points, rule.minimum)
        if found is None:
            notes.short += 1
            continue
        notes.judged += 1
        low, likely, high = found.after(left) if found.certain else (found.level,) * 3
        bounded = min(100.0, max(0.0, likely)) if indicator.counted_in == "percent" else likely
        missed = indicator.target - bounded if indicator.direction == "higher" else bounded - indicator.target
        colour = rule.colours.of(missed)
        if colour != "none":
            evidence = f"dataset:{POSTURE} action:indicator tengwang.posture.indicator:{indicator.id}"
            evidence += f" tengwang.posture.scope:{scope}" + f" tengwang.posture.subject:{subject}"
            unit = subject if scope == "unit" else ""
            notes.findings.append(
                Finding(rule.id, unit, "", colour, missed, found.level, indicator.target, low, high, evidence)
            )
    return notes.outlook(rule, at_ms)
