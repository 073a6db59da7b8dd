"""Facts to scores from 0 to 100, with the deductions that explain them. Pure: the same facts, the same scores.

A unit's own score is 100 less what its indicators take off. A group (a branch of the tree, a zone, a level, all of it)
has the mean of the scores of those of its units that are seen, so a large district is not worse for being large; its
deductions are the units' own, spread over them. ``100 - sum(points)`` is the score, always: where a ceiling or the
floor changes it, that is a line of its own.

Nothing measured is **blind** and has no score. Some of it measured is **partly**: the score is of what was seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from collector.posture.facts import Coverage, Fact, Facts
from collector.posture.indicator import Book, Colour, Indicator, Scale, Scope
from collector.posture.tree import Place, Tree

CEILING, FLOOR = "ceiling", "floor"
DIGITS = 4
MAX_SHARES = 20


class Share(msgspec.Struct, frozen=True):
    """What one unit adds to a deduction of a group."""

    unit: str
    points: float
    value: float


class Deduction(msgspec.Struct, frozen=True):
    """``indicator`` may also be ``ceiling`` (``because`` says of which indicator) or ``floor``."""

    indicator: str
    points: float
    value: float = 0.0
    total: float = 0.0
    capped: bool = False
    because: str = ""
    shares: tuple[Share, ...] = ()


class Score(msgspec.Struct, frozen=True):
    """``score`` is None where nothing measures. ``units`` of a group, of which ``seen`` have a score."""

    scope: str
    subject: str
    at_ms: int
    score: float | None
    state: str
    """known, partly or blind."""
    colour: Colour
    deductions: tuple[Deduction, ...] = ()
    values: Mapping[str, float] = {}
    """Of every indicator that was measured, also those that take nothing off."""
    blind: tuple[str, ...] = ()
    """Indicators that nobody here could answer."""
    units: int = 1
    seen: int = 1
    agents: int = 0
    agents_up: int = 0
    blind_inputs: tuple[str, ...] = ()


class Scores(msgspec.Struct, frozen=True):
    """By unit: its own, and the branch from it downwards. Zones and levels by id; and the whole."""

    at_ms: int
    own: Mapping[str, Score]
    branches: Mapping[str, Score]
    zones: Mapping[str, Score]
    levels: Mapping[str, Score]
    whole: Score

    def find(self, scope: str, subject: str) -> Score | None:
        if scope == "all":
            return self.whole
        of: Mapping[str, Mapping[str, Score]] = {
            "unit": self.own,
            "branch": self.branches,
            "zone": self.zones,
            "level": self.levels,
        }
        return of.get(scope, {}).get(subject)

    def every(self) -> list[Score]:
        found = [self.whole]
        for group in (self.levels, self.zones, self.branches, self.own):
            found += group.values()
        return found


def score(book: Book, facts: Facts, tree: Tree) -> Scores:
    """All scores of one moment."""
    made = _Scoring(book, facts)
    own = {
        place.id: made.one("unit", place, {i.id: facts.units[i.id].get(place.id) for i in book.indicators})
        for place in tree.places
    }
    branches = {
        place.id: made.group("branch", place.id, [own[name] for name in tree.below(place.id)]) for place in tree.places
    }
    levels = {
        level: made.group("level", level, [own[place.id] for place in tree.places if place.level == level])
        for level in tree.levels()
    }
    zones = {}
    for zone in sorted({*tree.zones(), *(key[0] for found in facts.zones.values() for key in found)}):
        members = []
        for place in tree.places:
            cells = {i.id: facts.zones[i.id].get((zone, place.id)) for i in book.indicators}
            if place.zone == zone or any(cell is not None for cell in cells.values()):
                members.append(made.one("zone", place, cells))
        zones[zone] = made.group("zone", zone, members)
    return Scores(facts.at_ms, own, branches, zones, levels, made.group("all", "all", list(own.values())))


class _Scoring:
    def __init__(self, book: Book, facts: Facts) -> None:
        self._book = book
        self._facts = facts
        self._by_id = {indicator.id: indicator for indicator in book.indicators}

    def one(self, scope: Scope, place: Place, found: Mapping[str, Fact | None]) -> Score:
        """A unit, or what of it stands in one zone."""
        coverage = self._facts.coverage.get(place.id, Coverage())
        deductions: list[Deduction] = []
        values: dict[str, float] = {}
        blind: list[str] = []
        for indicator in self._book.indicators:
            if scope not in indicator.scope:
                continue
            fact = found.get(indicator.id) or Fact()
            if not _measured(indicator, fact, coverage):
                if _missed(indicator, place, coverage):
                    blind.append(indicator.id)
                continue
            value = values[indicator.id] = _value(indicator, fact)
            points, capped = indicator.points(value)
            if points > 0:
                deductions.append(Deduction(indicator.id, round(points, DIGITS), value, fact.total, capped))
        seen = any(not indicator.sight and indicator.id in values for indicator in self._book.indicators)
        state = "known" if seen else "blind"
        if seen and (blind or coverage.blind_inputs or coverage.up < coverage.agents):
            state = "partly"
        return self._finish(
            Score(
                scope,
                place.id,
                self._facts.at_ms,
                None,
                state,
                "none",
                tuple(deductions),
                values,
                tuple(blind),
                1,
                int(seen),
                coverage.agents,
                coverage.up,
                coverage.blind_inputs,
            )
        )

    def group(self, scope: str, subject: str, members: Sequence[Score]) -> Score:
        seen = [member for member in members if member.score is not None]
        parts: dict[str, list[Share]] = {}
        for member in seen:
            for deduction in member.deductions:
                share = Share(member.subject, deduction.points, deduction.value)
                parts.setdefault(deduction.indicator, []).append(share)
        deductions = []
        for name, shares in parts.items():
            indicator = self._by_id.get(name)
            if indicator is not None and scope not in (*indicator.scope, "branch"):
                continue
            fact = self._of_all(name, [member.subject for member in members], subject if scope == "zone" else "")
            points = math.fsum(share.points for share in shares) / len(seen)
            shares.sort(key=lambda share: (-share.points, share.unit))
            value = _value(indicator, fact) if indicator is not None else 0.0
            deductions.append(
                Deduction(name, round(points, DIGITS), value, fact.total, shares=tuple(shares[:MAX_SHARES]))
            )
        values = {}
        for indicator in self._book.indicators:
            if scope == "all" and indicator.scope == ("all",):
                fact = self._facts.units[indicator.id].get("", Fact())
                if fact.total:
                    value = values[indicator.id] = _value(indicator, fact)
                    points, capped = indicator.points(value)
                    if points > 0 and seen:
                        deductions.append(Deduction(indicator.id, round(points, DIGITS), value, fact.total, capped))
            elif any(indicator.id in member.values for member in seen):
                measured = [member.subject for member in seen if indicator.id in member.values]
                fact = self._of_all(indicator.id, measured, subject if scope == "zone" else "")
                values[indicator.id] = _value(indicator, fact)
        states = {member.state for member in members}
        state = "blind" if not seen else "known" if states == {"known"} else "partly"
        return self._finish(
            Score(
                scope,
                subject,
                self._facts.at_ms,
                None,
                state,
                "none",
                tuple(deductions),
                values,
                tuple(sorted({name for member in members for name in member.blind})),
                len(members),
                len(seen),
                sum(member.agents for member in members),
                sum(member.agents_up for member in members),
                tuple(sorted({name for member in members for name in member.blind_inputs})),
            )
        )

    def _of_all(self, indicator: str, units: Iterable[str], zone: str) -> Fact:
        found = Fact()
        for unit in units:
            if zone:
                found += self._facts.zones.get(indicator, {}).get((zone, unit), Fact())
            else:
                found += self._facts.units.get(indicator, {}).get(unit, Fact())
        return found

    def _finish(self, made: Score) -> Score:
        """Order the lines, hold the ceiling and the floor, and read the number from the lines."""
        if made.state == "blind":
            return msgspec.structs.replace(made, deductions=())
        lines = sorted(made.deductions, key=lambda d: (-d.points, d.indicator))
        reached = _reached(lines)
        ceilings = [
            (indicator.ceiling, line.indicator)
            for line in lines
            if (indicator := self._by_id.get(line.indicator)) is not None and indicator.ceiling is not None
        ]
        scale: Scale = self._book.scale
        if ceilings and reached > min(ceilings)[0]:
            lowest, because = min(ceilings)
            above = [line for line in lines if line.indicator == CEILING]  # the units' own, spread over the group
            lines = [line for line in lines if line.indicator != CEILING]
            points = round(_reached(lines) - lowest, DIGITS)
            lines.append(Deduction(CEILING, points, because=because, shares=above[0].shares if above else ()))
            reached = _reached(lines)
        if reached < scale.floor:
            lines.append(Deduction(FLOOR, round(reached - scale.floor, DIGITS)))
            reached = _reached(lines)
        return msgspec.structs.replace(made, score=reached, colour=scale.colour(reached), deductions=tuple(lines))


def _reached(lines: Sequence[Deduction]) -> float:
    return round(100.0 - math.fsum(line.points for line in lines), DIGITS)


def _value(indicator: Indicator, fact: Fact) -> float:
    if indicator.measure.share:
        return round(100.0 * fact.value / fact.total, DIGITS) if fact.total else 0.0
    return round(fact.value, DIGITS)


def _measured(indicator: Indicator, fact: Fact, coverage: Coverage) -> bool:
    """A zero is only believed from someone who could have seen more."""
    if indicator.measure.share or (indicator.measure.take == "latest" and indicator.measure.kind == "events"):
        return fact.total > 0
    return fact.total > 0 or (indicator.measure.expects == "agents" and coverage.up > 0)


def _missed(indicator: Indicator, place: Place, coverage: Coverage) -> bool:
    expects = indicator.measure.expects
    return {
        "agents": coverage.up == 0,
        "devices": place.devices > 0,
        "systems": place.systems > 0,
        "nothing": False,
    }[expects]
