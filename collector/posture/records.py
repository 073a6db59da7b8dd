"""Scores, indicators, warnings and observations as stored records, for trends, dashboards and replay.

Events of the dataset ``tengwang.posture``. An id is made of what the record is about and of its time, which is the
start of an interval: whichever collector leads writes the same, and a second time is a repeat. Only an observation
has ``tengwang.unit.id``: a score of a unit is no sign of life from it, and must not be counted as one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import msgspec

from collector.inventory_index import Indexed
from collector.posture.indicator import Book
from collector.posture.outlook import Outlook
from collector.posture.score import Deduction, Scores
from collector.query import Kind
from collector.store import Record
from telemetry.event import Event, Value, event

DATASET = "tengwang.posture"
MAX_SHARES = 5


class Observation(msgspec.Struct, frozen=True):
    """What has no event of its own: an agent's records that are missing, the days of retention."""

    name: str
    value: float
    agent: str = ""
    agent_name: str = ""
    unit: str = ""


def of_scores(scores: Scores, book: Book, index: Indexed) -> Iterator[Record]:
    """One for each score; and one for each indicator of each unit and of the whole."""
    for score in scores.every():
        doc: Event = {"tengwang.posture.state": score.state, "tengwang.posture.colour": score.colour}
        doc["tengwang.posture.detail"] = msgspec.json.encode(
            {
                "deductions": [_brief(deduction) for deduction in score.deductions],
                "blind": score.blind,
                "units": score.units,
                "seen": score.seen,
                "agents": score.agents,
                "agents_up": score.agents_up,
            }
        ).decode()
        if score.score is not None:
            doc["tengwang.posture.score"] = score.score
        yield _record(scores.at_ms, "score", score.scope, score.subject, "", doc, index)
    for score in (scores.whole, *scores.own.values()):
        points = {deduction.indicator: deduction.points for deduction in score.deductions}
        for indicator in book.indicators:
            if indicator.id in score.values:
                doc = {
                    "tengwang.posture.value": score.values[indicator.id],
                    "tengwang.posture.deduction": points.get(indicator.id, 0.0),
                    "rule.name": indicator.title_en,
                    "tengwang.rule.name.zh": indicator.title_zh,
                }
                yield _record(scores.at_ms, "indicator", score.scope, score.subject, indicator.id, doc, index)


def of_outlooks(outlooks: Iterable[Outlook], book: Book, index: Indexed) -> Iterator[Record]:
    """One for each rule, with all that it found."""
    titles = {rule.id: rule.title for rule in book.warnings}
    for outlook in outlooks:
        title = titles[outlook.warning]
        worst = outlook.findings[0].colour if outlook.findings else "none"
        doc: Event = {
            "tengwang.posture.colour": worst,
            "tengwang.posture.value": float(len(outlook.findings)),
            "tengwang.posture.detail": msgspec.json.encode(outlook).decode(),
            "rule.name": title.en,
            "tengwang.rule.name.zh": title.zh,
        }
        yield _record(outlook.at_ms, "outlook", "all", "all", outlook.warning, doc, index)


def of_observations(observations: Iterable[Observation], at_ms: int, index: Indexed) -> Iterator[Record]:
    for one in observations:
        doc: Event = {"tengwang.posture.value": one.value}
        if one.agent:
            doc |= {"agent.id": one.agent, "agent.name": one.agent_name}
        if one.unit:
            doc["tengwang.unit.id"] = one.unit
        scope, subject = ("unit", one.unit) if one.unit else ("all", one.agent or "all")
        yield _record(at_ms, "observation", scope, subject, one.name, doc, index)


def _record(at_ms: int, action: str, scope: str, subject: str, indicator: str, more: Event, index: Indexed) -> Record:
    about = (action, scope, subject, indicator, str(more.get("agent.id", "")), str(at_ms))
    name = hashlib.blake2b("\0".join(about).encode(), digest_size=16).hexdigest()
    doc = event(at_ms, DATASET, action, kind="state" if action == "outlook" else "metric")
    doc |= {"event.id": name, "tengwang.posture.scope": scope, "tengwang.posture.subject": subject}
    if indicator:
        doc["tengwang.posture.indicator"] = indicator
    if scope in ("unit", "branch"):
        doc |= _of_unit(index, subject)
    elif scope == "zone":
        doc["tengwang.zone"] = subject
    elif scope == "level":
        doc["tengwang.unit.level"] = subject
    doc |= more
    return Record(Kind.EVENT, name, doc)


def _of_unit(index: Indexed, id: str) -> dict[str, Value]:
    unit = index.unit(id)
    return {"tengwang.unit.name": unit.name, "tengwang.unit.level": unit.level.value} if unit is not None else {}


def _brief(deduction: Deduction) -> Deduction:
    return msgspec.structs.replace(deduction, shares=deduction.shares[:MAX_SHARES])
