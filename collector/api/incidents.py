"""``/incidents``: what was found, how far it is, everything on its record; and what people do with it."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from collector.access.roles import Role
from collector.api._operation import Operation
from collector.api._period import Limit, Since
from collector.incidents import dossier, report
from collector.incidents.clocks import Countdown
from collector.incidents.model import Entry, Grade, Incident, State, Subject
from collector.services import Services
from collector.site import Site, Who
from collector.views.events import instant
from collector.views.moment import moment
from telemetry.verdict import Text

Id = Annotated[str, Meta(description="Id of the incident", max_length=64, examples=["0123456789abcdef01234567"])]
Sentence = Annotated[str, Meta(min_length=1, max_length=4000, description="Why, in words; it stays on record")]
Level = Literal["", "informational", "low", "medium", "high", "critical"]


class IncidentsAsked(msgspec.Struct, frozen=True):
    state: Annotated[tuple[State, ...], Meta(max_length=7, description="In one of these states; all where none")] = ()
    unit: Annotated[str, Meta(max_length=64, description="Of this unit or one below it")] = ""
    level: Annotated[Level, Meta(description="At least so grave")] = ""
    since: Since = "-366d"
    limit: Limit = 100


class IncidentAsked(msgspec.Struct, frozen=True):
    incident: Id


class ReportAsked(msgspec.Struct, frozen=True):
    incident: Id
    language: Annotated[report.Language, Meta(description="Of the draft")] = "zh-CN"


class NoteGiven(msgspec.Struct, frozen=True):
    incident: Id
    text: Annotated[str, Meta(min_length=1, max_length=4000, description="The note")]


class HandoverGiven(msgspec.Struct, frozen=True):
    incident: Id
    to: Annotated[str, Meta(min_length=1, max_length=64, description="Id of a person of the inventory")]


class GradeGiven(msgspec.Struct, frozen=True):
    incident: Id
    grade: Annotated[Grade, Meta(description="The grade that a person confirms; it starts the reporting clocks")]


class ReportedGiven(msgspec.Struct, frozen=True):
    incident: Id
    clock: Annotated[str, Meta(min_length=1, max_length=64, description="Which of its clocks, by id")]
    note: Annotated[str, Meta(max_length=4000, description="How, to whom, under which number")] = ""


class CloseGiven(msgspec.Struct, frozen=True):
    """``reason`` may only be left out where the incident is being verified: measured to be over."""

    incident: Id
    reason: Annotated[str, Meta(max_length=4000, description="Why it is closed")] = ""


class ReasonGiven(msgspec.Struct, frozen=True):
    incident: Id
    reason: Sentence


class SuppressGiven(msgspec.Struct, frozen=True):
    incident: Id
    reason: Sentence
    minutes: Annotated[int, Meta(ge=0, le=366 * 1440, description="From now on; 0 ends it")]


class MergeGiven(msgspec.Struct, frozen=True):
    incident: Id
    into: Id


class SplitGiven(msgspec.Struct, frozen=True):
    incident: Id
    alerts: Annotated[tuple[str, ...], Meta(min_length=1, max_length=256, description="Ids of alerts")]


class RecordLine(msgspec.Struct, frozen=True):
    """One line of the record."""

    at: datetime.datetime | None
    by: str
    action: str
    note: str
    data: dict[str, str | int | float | bool | list[str]]


class ReportingClock(msgspec.Struct, frozen=True):
    """A duty to report. ``phase``: waiting, running, warning, overdue or done; ``ours``: false where others have it."""

    id: str
    title: Text
    to: Text
    phase: str
    ours: bool
    due: datetime.datetime | None
    done: datetime.datetime | None
    article: str
    source: str


class IncidentSummary(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    title: Text
    rule: str
    category: str
    level: str
    state: str
    grade: str
    unit: str
    unit_name: str
    zone: str
    subject: Subject
    owners: tuple[str, ...]
    assignee: str
    count: int
    reopened: int
    first: datetime.datetime | None
    found: datetime.datetime | None
    last: datetime.datetime | None
    acknowledged: datetime.datetime | None
    acknowledged_by: str
    contained: datetime.datetime | None
    verifying: datetime.datetime | None
    closed: datetime.datetime | None
    suppressed_until: datetime.datetime | None
    blind: str
    merged_into: str
    key: str
    revision: int


class IncidentList(msgspec.Struct, frozen=True):
    """Newest first."""

    incidents: tuple[IncidentSummary, ...]


class IncidentAnswer(msgspec.Struct, frozen=True):
    """``entries``: the newest lines of the record; ``/history`` has all."""

    incident: IncidentSummary
    entries: tuple[RecordLine, ...]
    clocks: tuple[ReportingClock, ...]
    alerts: tuple[str, ...]


class IncidentHistory(msgspec.Struct, frozen=True):
    entries: tuple[RecordLine, ...]


class ReportDraft(msgspec.Struct, frozen=True):
    """What is not known is marked in the text."""

    text: str


def summary(one: Incident) -> IncidentSummary:
    return IncidentSummary(
        id=one.id,
        title=one.title,
        rule=one.rule,
        category=one.category,
        level=one.level,
        state=one.state.value,
        grade=one.grade.value if one.grade else "",
        unit=one.unit,
        unit_name=one.unit_name,
        zone=one.zone,
        subject=one.subject,
        owners=one.owners,
        assignee=one.assignee,
        count=one.count,
        reopened=one.reopened,
        first=moment(one.first_ms),
        found=moment(one.found_ms),
        last=moment(one.last_ms),
        acknowledged=moment(one.acknowledged_ms),
        acknowledged_by=one.acknowledged_by,
        contained=moment(one.contained_ms),
        verifying=moment(one.verifying_ms),
        closed=moment(one.closed_ms),
        suppressed_until=moment(one.suppressed_until_ms),
        blind=one.blind,
        merged_into=one.merged_into,
        key=one.key,
        revision=one.revision,
    )


def line(entry: Entry) -> RecordLine:
    return RecordLine(moment(entry.at_ms), entry.by, entry.action, entry.note, entry.data)


def clock(one: Countdown) -> ReportingClock:
    return ReportingClock(
        one.id,
        Text(one.title.zh, one.title.en),
        Text(one.to.zh, one.to.en),
        one.phase.value,
        one.ours,
        moment(one.due_ms),
        moment(one.done_ms),
        one.article,
        one.source,
    )


def whole(services: Services, one: Incident) -> IncidentAnswer:
    clocks = tuple(map(clock, dossier.countdowns(services, one)))
    return IncidentAnswer(summary(one), tuple(map(line, one.entries)), clocks, one.sample)


async def every(site: Site, _who: Who, asked: IncidentsAsked) -> IncidentList:
    services = site.services
    since = instant(asked.since, services.clock.now_ms())
    found = await site.answers.ask(lambda: services.desk.list(asked.state, asked.unit, asked.level, since, asked.limit))
    return IncidentList(tuple(map(summary, found)))


async def one(site: Site, _who: Who, asked: IncidentAsked) -> IncidentAnswer:
    return await site.answers.ask(lambda: whole(site.services, dossier.incident(site.services, asked.incident)))


async def history(site: Site, _who: Who, asked: IncidentAsked) -> IncidentHistory:
    found = await site.answers.ask(lambda: site.services.desk.history(asked.incident))
    return IncidentHistory(tuple(map(line, found)))


async def drafted(site: Site, _who: Who, asked: ReportAsked) -> ReportDraft:
    services = site.services
    return await site.answers.ask(
        lambda: ReportDraft(report.draft(dossier.sources(services, asked.incident), asked.language))
    )


async def _changed(site: Site, change: Callable[[], Incident]) -> IncidentAnswer:
    """The desk writes the audit record."""
    return await asyncio.to_thread(lambda: whole(site.services, change()))


async def acknowledge(site: Site, who: Who, asked: IncidentAsked) -> IncidentAnswer:
    return await _changed(site, lambda: site.services.desk.acknowledge(asked.incident, who.name))


async def handle(site: Site, who: Who, asked: IncidentAsked) -> IncidentAnswer:
    return await _changed(site, lambda: site.services.desk.handle(asked.incident, who.name))


async def note(site: Site, who: Who, asked: NoteGiven) -> IncidentAnswer:
    return await _changed(site, lambda: site.services.desk.note(asked.incident, who.name, asked.text))


async def hand_over(site: Site, who: Who, asked: HandoverGiven) -> IncidentAnswer:
    return await _changed(site, lambda: site.services.desk.hand_over(asked.incident, who.name, asked.to))


async def grade(site: Site, who: Who, asked: GradeGiven) -> IncidentAnswer:
    return await _changed(site, lambda: site.services.desk.grade(asked.incident, who.name, asked.grade))


async def reported(site: Site, who: Who, asked: ReportedGiven) -> IncidentAnswer:
    desk = site.services.desk
    return await _changed(site, lambda: desk.reported(asked.incident, who.name, asked.clock, asked.note))


async def close(site: Site, who: Who, asked: CloseGiven) -> IncidentAnswer:
    return await _changed(site, lambda: site.services.desk.close(asked.incident, who.name, asked.reason))


async def false_positive(site: Site, who: Who, asked: ReasonGiven) -> IncidentAnswer:
    return await _changed(site, lambda: site.services.desk.false_positive(asked.incident, who.name, asked.reason))


async def reopen(site: Site, who: Who, asked: ReasonGiven) -> IncidentAnswer:
    return await _changed(site, lambda: site.services.desk.reopen(asked.incident, who.name, asked.reason))


async def suppress(site: Site, who: Who, asked: SuppressGiven) -> IncidentAnswer:
    until = site.services.clock.now_ms() + asked.minutes * 60_000
    desk = site.services.desk
    return await _changed(site, lambda: desk.suppress(asked.incident, who.name, until, asked.reason))


async def merge(site: Site, who: Who, asked: MergeGiven) -> IncidentAnswer:
    return await _changed(site, lambda: site.services.desk.merge(asked.incident, asked.into, who.name))


async def split(site: Site, who: Who, asked: SplitGiven) -> IncidentAnswer:
    return await _changed(site, lambda: site.services.desk.split(asked.incident, asked.alerts, who.name))


TAG, ONE = "incidents", "/incidents/{incident}"
READ = (
    Operation(
        "/incidents",
        "list_incidents",
        TAG,
        "The open ones and what was closed lately",
        IncidentsAsked,
        IncidentList,
        every,
    ),
    Operation(ONE, "get_incident", TAG, "One, with its reporting clocks", IncidentAsked, IncidentAnswer, one),
    Operation(
        ONE + "/history", "get_incident_history", TAG, "Its whole record", IncidentAsked, IncidentHistory, history
    ),
    Operation(
        ONE + "/report", "draft_incident_report", TAG, "A draft of its report", ReportAsked, ReportDraft, drafted
    ),
)
CHANGES = (
    ("acknowledge", "Somebody has it now (签收)", IncidentAsked, acknowledge),
    ("handle", "Somebody works on it (处置)", IncidentAsked, handle),
    ("note", "Add a note", NoteGiven, note),
    ("handover", "Hand it over to another person", HandoverGiven, hand_over),
    ("grade", "Confirm its grade (分级)", GradeGiven, grade),
    ("reported", "Say that a report was made", ReportedGiven, reported),
    ("close", "Close it (归档); without a measurement only with a reason", CloseGiven, close),
    ("false-positive", "It was none (误报)", ReasonGiven, false_positive),
    ("reopen", "Open it again", ReasonGiven, reopen),
    ("suppress", "Page nobody about it for a while", SuppressGiven, suppress),
    ("merge", "Put all of it into another", MergeGiven, merge),
    ("split", "Make an incident of its own of some alerts", SplitGiven, split),
)
OPERATIONS = (
    *READ,
    *(
        Operation(
            f"{ONE}/{verb}",
            f"{verb.replace('-', '_')}_incident",
            TAG,
            says,
            takes,
            IncidentAnswer,
            act,  # type: ignore[arg-type]  # each with its own parameters
            Role.OPERATOR,
            "POST",
        )
        for verb, says, takes, act in CHANGES
    ),
)
