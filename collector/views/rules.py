"""The rules in use, with how often each has hit lately, and what is wrong with those that are not in use."""

from __future__ import annotations

from pathlib import Path

import msgspec

from collector.detect import RuleInfo
from collector.query import Aggregate, ByTerm, Kind, Measure
from collector.services import Services
from collector.shipped import rules as shipped_rules
from telemetry.verdict import Text

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
MAX_RULES = 5_000
MAX_FILE = 200_000


class RuleView(msgspec.Struct, frozen=True):
    """One rule and its hits. ``area`` is the folder it lies in."""

    info: RuleInfo
    area: str
    file: str
    hits_day: int = 0
    hits_week: int = 0
    last_ms: int = 0


class ClassCount(msgspec.Struct, frozen=True):
    """One class of GB/T 20986, and how many active rules look for it."""

    category: str
    title: Text
    rules: int
    hits_week: int


def rules(services: Services) -> tuple[RuleView, ...]:
    """By area and file; each rule with its alerts of a day and of a week."""
    now = services.clock.now_ms()
    week = _hits(services, now - WEEK_MS, now)
    day = _hits(services, now - DAY_MS, now)
    made = []
    for info in services.detector.rules():
        area, file = place(info.path)
        count, last = week.get(info.id, (0, 0))
        made.append(RuleView(info, area, file, day.get(info.id, (0, 0))[0], count, last))
    return tuple(sorted(made, key=lambda rule: (rule.area, rule.file, rule.info.id)))


def classes(found: tuple[RuleView, ...]) -> tuple[ClassCount, ...]:
    """What is looked for, most rules first; also which classes nobody looks for is seen here."""
    titles = {rule.info.category: rule.info.category_title for rule in found}
    made = [
        ClassCount(
            category,
            title,
            sum(not r.info.idle for r in found if r.info.category == category),
            sum(r.hits_week for r in found if r.info.category == category),
        )
        for category, title in titles.items()
    ]
    return tuple(sorted(made, key=lambda one: (-one.rules, one.category)))


def place(path: str) -> tuple[str, str]:
    """Folder and file of a rule, as a person names them: ``ndp``, ``ndp/rogue_router_advertisement.yml``."""
    try:
        inside = Path(path).relative_to(shipped_rules())
    except ValueError:
        return Path(path).parent.name, path
    return inside.parent.as_posix(), inside.as_posix()


def source(info: RuleInfo) -> str:
    """The text of the rule's file as it is now, cut to a bound; empty where it went."""
    try:
        with Path(info.path).open(encoding="utf-8", errors="replace") as file:
            return file.read(MAX_FILE)
    except OSError:
        return ""


def _hits(services: Services, since_ms: int, until_ms: int) -> dict[str, tuple[int, int]]:
    query = Aggregate(
        since_ms,
        until_ms + 60_000,
        kind=Kind.ALERT,
        by=(ByTerm("rule.id"),),
        measures=(Measure("count"), Measure("max", "@timestamp")),
        limit=MAX_RULES,
    )
    return {str(row.keys[0]): (int(row.values[0]), int(row.values[1])) for row in services.store.aggregate(query)}
