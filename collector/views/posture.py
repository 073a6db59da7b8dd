"""Posture for a reader: scores in tree order with names and people, what explains each, and where that is seen."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlencode

import msgspec

from collector.duration import seconds
from collector.posture import facts
from collector.posture.indicator import COLOURS, Indicator
from collector.posture.outlook import Finding, Outlook
from collector.posture.score import CEILING, FLOOR, Deduction, Score, Scores
from collector.posture.score import score as make_scores
from collector.posture.tree import Tree, tree
from collector.query import Aggregate, ByTerm, ByTime, Equals, Latest, Measure
from collector.services import Services
from collector.views.moment import moment
from telemetry.clock import iso

DATASET = "tengwang.posture"
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
LATELY_MS = 3 * HOUR_MS
TREND_MS = 7 * DAY_MS
TREND_STEP_MS = 6 * HOUR_MS
MEDIAN = Measure("percentile", "tengwang.posture.score", 50.0)
PAGES = {"events": "/events", "alerts": "/alerts"}


class ShareView(msgspec.Struct, frozen=True):
    unit: str
    name: str
    name_en: str
    points: float
    value: float


class DeductionView(msgspec.Struct, frozen=True):
    """One deduction. ``indicator`` is ``ceiling`` or ``floor`` where one of those changes the sum."""

    indicator: str
    title_zh: str
    title_en: str
    points: float
    value: float
    counted_in: str
    cap: float
    capped: bool
    because: str
    evidence: str
    """Path of the page that shows the records behind it; empty where there are none."""
    shares: tuple[ShareView, ...] = ()


class IndicatorView(msgspec.Struct, frozen=True):
    """An indicator that was measured here, or (``value`` None) that nobody could measure."""

    indicator: str
    title_zh: str
    title_en: str
    about_zh: str
    about_en: str
    value: float | None
    counted_in: str
    attribute: str
    direction: str
    threshold: float
    target: float | None
    target_year: int | None
    source: str
    date: str
    evidence: str


class ScoreView(msgspec.Struct, frozen=True):
    """``score`` is null where nothing measures. ``branch`` is the score of a unit together with all below it."""

    scope: str
    subject: str
    name: str
    name_en: str
    level: str
    parent: str
    depth: int
    person: str
    score: float | None
    branch: float | None
    state: str
    colour: str
    branch_colour: str
    units: int
    seen: int
    agents: int
    agents_up: int
    blind: tuple[str, ...]
    blind_inputs: tuple[str, ...]
    worst: str
    """Id of the indicator that takes most; empty where none does."""
    worst_zh: str
    worst_en: str


class Posture(msgspec.Struct, frozen=True):
    at: datetime.datetime | None
    whole: ScoreView
    levels: tuple[ScoreView, ...]
    zones: tuple[ScoreView, ...]
    units: tuple[ScoreView, ...]
    """In tree order."""


class PostureDetail(msgspec.Struct, frozen=True):
    """One score, explained: ``100 - sum(points)`` of ``lines`` is the score."""

    at: datetime.datetime | None
    score: ScoreView
    lines: tuple[DeductionView, ...]
    values: tuple[IndicatorView, ...]


class Early(msgspec.Struct, frozen=True):
    """What one early warning found last."""

    warning: str
    title_zh: str
    title_en: str
    about_zh: str
    about_en: str
    method: str
    at: datetime.datetime | None
    colour: str
    judged: int
    short: int
    findings: tuple[Finding, ...]


class Computed(msgspec.Struct, frozen=True):
    """Scores with the tree that they are of."""

    scores: Scores
    tree: Tree
    took_s: float = 0.0


def computed(services: Services, at_ms: int) -> Computed:
    """Ask the store and score. Raises Transient."""
    started = services.clock.monotonic()
    book, made = services.posture.current(), tree(services.inventory.current())
    scores = make_scores(book, facts.gather(services.store, book.indicators, at_ms), made)
    return Computed(scores, made, services.clock.monotonic() - started)


def posture(services: Services, found: Computed) -> Posture:
    def views(some: Sequence[Score]) -> tuple[ScoreView, ...]:
        return tuple(_score(services, found, one) for one in some)

    scores = found.scores
    return Posture(
        moment(scores.at_ms),
        _score(services, found, scores.whole),
        views(list(scores.levels.values())),
        views(list(scores.zones.values())),
        views(list(scores.own.values())),
    )


def detail(services: Services, found: Computed, scope: str, subject: str) -> PostureDetail | None:
    """None where there is no such thing."""
    one = found.scores.find(scope, subject)
    if one is None:
        return None
    lines = tuple(_line(services, found, one, deduction) for deduction in one.deductions)
    values = []
    for indicator in services.posture.current().indicators:
        if indicator.id in one.values or indicator.id in one.blind:
            values.append(_value(indicator, one))
    return PostureDetail(moment(found.scores.at_ms), _score(services, found, one), lines, tuple(values))


def evidence(indicator: Indicator, one: Score) -> str:
    """Where the records are that the indicator looked at."""
    measure = indicator.measure
    if measure.kind == "incidents":
        asked = {"state": "open"} if measure.bad and "state:" in measure.bad[0] else {"state": "any"}
        return "/incidents?" + urlencode({**asked, "unit": one.subject} if one.scope == "unit" else asked)
    terms = [measure.query]
    if len(measure.bad) == 1:
        # where more is better, what is wanted is what is missing
        terms.append(f"-{measure.bad[0]}" if indicator.direction == "higher" else measure.bad[0])
    own = {"unit": "unit:{}", "branch": "tengwang.unit.path:{}", "zone": "zone:{}", "level": "tengwang.unit.level:{}"}
    if one.scope in own and DATASET not in measure.query:
        terms.append(own[one.scope].format(one.subject))
    since = max(0, one.at_ms - seconds(measure.window) * 1000)
    query = {"q": " ".join(term for term in terms if term), "since": iso(since), "until": iso(one.at_ms)}
    return f"{PAGES[measure.kind]}?{urlencode(query)}"


def trends(services: Services, scope: str, at_ms: int) -> dict[str, tuple[float | None, ...]]:
    """Median score of each subject of a scope in steps of six hours, the oldest first; None where there was none."""
    first = (at_ms - TREND_MS) // TREND_STEP_MS * TREND_STEP_MS
    where = (
        Equals("event.dataset", (DATASET,)),
        Equals("event.action", ("score",)),
        Equals("tengwang.posture.scope", (scope,)),
    )
    rows = services.store.aggregate(
        Aggregate(
            first,
            at_ms + 1,
            where,
            by=(ByTerm("tengwang.posture.subject"), ByTime(TREND_STEP_MS)),
            measures=(MEDIAN,),
            limit=50_000,
        )
    )
    steps = list(range(first, at_ms + 1, TREND_STEP_MS))
    found: dict[str, dict[int, float]] = {}
    for row in rows:
        if not math.isnan(row.values[0]):  # it was blind all the time
            found.setdefault(str(row.keys[0]), {})[int(row.keys[1])] = row.values[0]
    return {subject: tuple(held.get(step) for step in steps) for subject, held in found.items()}


def history(services: Services, scope: str, subject: str, at_ms: int) -> tuple[tuple[int, float | None], ...]:
    """(time, score) of one subject by the hour over a week; None where it was blind or nothing was written."""
    first = (at_ms - TREND_MS) // HOUR_MS * HOUR_MS
    where = (
        Equals("event.dataset", (DATASET,)),
        Equals("event.action", ("score",)),
        Equals("tengwang.posture.scope", (scope,)),
        Equals("tengwang.posture.subject", (subject,)),
    )
    rows = services.store.aggregate(
        Aggregate(first, at_ms + 1, where, by=(ByTime(HOUR_MS),), measures=(MEDIAN,), limit=1000)
    )
    held = {int(row.keys[0]): row.values[0] for row in rows if not math.isnan(row.values[0])}
    return tuple((step, held.get(step)) for step in range(first, at_ms + 1, HOUR_MS))


def early(services: Services, at_ms: int) -> tuple[Early, ...]:
    """What the early warnings found last before ``at_ms``, the worst first; a rule that has not run has no time."""
    where = (Equals("event.dataset", (DATASET,)), Equals("event.action", ("outlook",)))
    rows = services.store.latest(
        Latest(max(0, at_ms - LATELY_MS), at_ms + 1, ("tengwang.posture.indicator",), where, limit=200)
    )
    known: dict[str, Outlook] = {}
    for row in rows:
        try:
            outlook = msgspec.json.decode(str(row.doc.get("tengwang.posture.detail", "")), type=Outlook)
        except msgspec.DecodeError:
            continue
        known[outlook.warning] = outlook
    made = []
    for rule in services.posture.current().warnings:
        found = known.get(rule.id)
        made.append(
            Early(
                rule.id,
                rule.title_zh,
                rule.title_en,
                rule.about_zh,
                rule.about_en,
                rule.method,
                moment(found.at_ms) if found else None,
                found.findings[0].colour if found and found.findings else "none",
                found.judged if found else 0,
                found.short if found else 0,
                found.findings if found else (),
            )
        )
    rank: dict[str, int] = {"none": -1, **{colour: at for at, colour in enumerate(COLOURS)}}
    return tuple(sorted(made, key=lambda e: (-rank[e.colour], e.warning)))


def finding_evidence(finding: Finding) -> str:
    return f"{PAGES.get(finding.kind, '/events')}?{urlencode({'q': finding.evidence, 'since': '-7d'})}"


def path(scope: str, subject: str) -> str:
    return f"/posture/{scope}/{quote(subject, safe='')}"


LEVEL_NAMES: Mapping[str, tuple[str, str]] = {
    "city": ("市级", "City"),
    "county": ("县（区）级", "County"),
    "township": ("乡镇（街道）", "Township"),
    "village": ("村（社区）", "Village"),
}


def _score(services: Services, found: Computed, one: Score) -> ScoreView:
    place = found.tree.place(one.subject) if one.scope in ("unit", "branch") else None
    branch = found.scores.branches.get(one.subject) if place is not None else None
    name, name_en = one.subject, one.subject
    if place is not None:
        name, name_en = place.name, place.name_en
    elif one.scope == "level":
        name, name_en = LEVEL_NAMES.get(one.subject, (one.subject, one.subject))
    elif one.scope == "zone" and (zone := services.inventory.current().zone(one.subject)) is not None:
        name, name_en = zone.name, zone.name_en or zone.name
    elif one.scope == "all":
        name, name_en = "全网", "The whole network"
    worst = one.deductions[0].indicator if one.deductions else ""
    title = _titles(services, worst) if worst else ("", "")
    return ScoreView(
        one.scope,
        one.subject,
        name,
        name_en,
        place.level if place else "",
        place.parent if place else "",
        place.depth if place else 0,
        place.person if place else "",
        one.score,
        branch.score if branch else one.score,
        one.state,
        one.colour,
        branch.colour if branch else one.colour,
        one.units,
        one.seen,
        one.agents,
        one.agents_up,
        one.blind,
        one.blind_inputs,
        worst,
        *title,
    )


def _titles(services: Services, indicator: str) -> tuple[str, str]:
    if indicator == CEILING:
        return "封顶", "Ceiling"
    if indicator == FLOOR:
        return "保底", "Floor"
    known = services.posture.current().indicator(indicator)
    return (known.title_zh, known.title_en) if known else (indicator, indicator)


def _line(services: Services, found: Computed, one: Score, deduction: Deduction) -> DeductionView:
    known = services.posture.current().indicator(deduction.indicator)
    zh, en = _titles(services, deduction.indicator)
    if deduction.because:
        because = _titles(services, deduction.because)
        zh, en = f"{zh}：{because[0]}", f"{en}: {because[1]}"
    shares = []
    for share in deduction.shares:
        place = found.tree.place(share.unit)
        names = (place.name, place.name_en) if place else (share.unit, share.unit)
        shares.append(ShareView(share.unit, *names, share.points, share.value))
    return DeductionView(
        deduction.indicator,
        zh,
        en,
        deduction.points,
        deduction.value,
        known.counted_in if known else "number",
        known.cap if known else 0.0,
        deduction.capped,
        deduction.because,
        evidence(known, one) if known else "",
        tuple(shares),
    )


def _value(indicator: Indicator, one: Score) -> IndicatorView:
    return IndicatorView(
        indicator.id,
        indicator.title_zh,
        indicator.title_en,
        indicator.about_zh,
        indicator.about_en,
        one.values.get(indicator.id),
        indicator.counted_in,
        indicator.attribute,
        indicator.direction,
        indicator.threshold,
        indicator.target,
        indicator.target_year,
        indicator.source,
        indicator.date,
        evidence(indicator, one),
    )
