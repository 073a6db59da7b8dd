"""``/on-call``: who is called now and next, stand-ins, what became of pages, and what is wrong with paging."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from collector.access.roles import Role
from collector.api._operation import Nothing, Operation
from collector.page import PageState, Why
from collector.site import Site, Who
from collector.views import oncall
from collector.views.moment import moment
from collector.views.oncall import ChannelView, PageView, TroubleView
from telemetry.clock import EPOCH

MS = datetime.timedelta(milliseconds=1)
Moment = Annotated[datetime.datetime, Meta(tz=True)]


class RotationNow(msgspec.Struct, frozen=True):
    """``source``: rotation, holiday or override; ``until`` is null where nobody else comes within a year."""

    rotation: str
    name: str
    time_zone: str
    person: str
    source: str
    until: datetime.datetime | None
    next_person: str


class Override(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    id: str
    rotation: str
    person: str
    from_: datetime.datetime | None
    until: datetime.datetime | None
    by: str
    note: str


class PageSent(msgspec.Struct, frozen=True):
    """One page; its text and link are for the person alone."""

    id: str
    incident: str
    person: str
    why: Why
    level: str
    state: PageState
    channel: str
    created: datetime.datetime | None
    settled: datetime.datetime | None
    tries: int
    error: str
    seen_by: str


class PagingChannel(msgspec.Struct, frozen=True):
    name: str
    last: datetime.datetime | None
    ok: bool
    error: str


class PagingTrouble(msgspec.Struct, frozen=True):
    code: str
    zh: str
    en: str
    detail: str
    since: datetime.datetime | None


class OnCall(msgspec.Struct, frozen=True):
    rotations: tuple[RotationNow, ...]
    overrides: tuple[Override, ...]
    pages: tuple[PageSent, ...]
    dead_letters: tuple[PageSent, ...]
    channels: tuple[PagingChannel, ...]
    troubles: tuple[PagingTrouble, ...]


class OverrideGiven(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    rotation: Annotated[str, Meta(min_length=1, max_length=64, description="Id of the rotation")]
    person: Annotated[str, Meta(min_length=1, max_length=64, description="Id of the person who stands in")]
    until: Annotated[Moment, Meta(description="When it ends; within 92 days")]
    from_: Annotated[Moment | None, Meta(description="When it begins; now where it is left out")] = None
    note: Annotated[str, Meta(max_length=500, description="Why")] = ""


class OverrideAsked(msgspec.Struct, frozen=True):
    override: Annotated[str, Meta(max_length=64, description="Id of the override")]


class PageGiven(msgspec.Struct, frozen=True):
    page: Annotated[str, Meta(min_length=1, max_length=300, description="Id of the page")]
    action: Annotated[Literal["again", "seen"], Meta(description="Send it once more, or say that it was seen to")]


async def tell(site: Site, _who: Who, _: Nothing) -> OnCall:
    found = await site.answers.ask(lambda: oncall.oncall(site.services))
    return OnCall(
        tuple(
            RotationNow(s.rotation, s.name, s.time_zone, s.person, s.source, moment(s.until_ms), s.next_person)
            for s in found.shifts
        ),
        tuple(map(_override, found.overrides)),
        tuple(map(_page, found.pages)),
        tuple(map(_page, found.dead)),
        tuple(map(_channel, found.channels)),
        tuple(map(_trouble, found.troubles)),
    )


async def add(site: Site, who: Who, given: OverrideGiven) -> Override:
    begin = _ms(given.from_) if given.from_ is not None else site.services.clock.now_ms()
    duty, trail = site.services.paging.duty, site.services.trail

    def do() -> Override:
        made = duty.add(given.rotation, given.person, begin, _ms(given.until), who.name, given.note)
        trail.write("override-add", "success", user=who.name, message=f"{made.rotation}: {made.person}")
        return _override(oncall.StandIn(made.id, made.rotation, made.person, begin, made.until_ms, made.by, made.note))

    return await site.answers.ask(do)


async def remove(site: Site, who: Who, asked: OverrideAsked) -> Override:
    def do() -> Override:
        gone = site.services.paging.duty.remove(asked.override)
        site.services.trail.write(
            "override-remove", "success", user=who.name, message=f"{gone.rotation}: {gone.person}"
        )
        stood = oncall.StandIn(gone.id, gone.rotation, gone.person, gone.from_ms, gone.until_ms, gone.by, gone.note)
        return _override(stood)

    return await site.answers.ask(do)


async def change(site: Site, who: Who, given: PageGiven) -> PageSent:
    outbox = site.services.paging.outbox

    def do() -> PageSent:
        changed = (outbox.revive if given.action == "again" else outbox.see)(given.page, who.name)
        site.services.trail.write(f"page-{given.action}", "success", user=who.name, message=given.page)
        return _page(oncall.page_view(changed))

    return await site.answers.ask(do)


def _ms(time: datetime.datetime) -> int:
    return (time - EPOCH) // MS


def _override(one: oncall.StandIn) -> Override:
    begin, end = moment(one.from_ms), moment(one.until_ms)
    return Override(one.id, one.rotation, one.person, begin, end, one.by, one.note)


def _page(p: PageView) -> PageSent:
    return PageSent(
        id=p.id,
        incident=p.incident,
        person=p.person,
        why=p.why,
        level=p.level,
        state=p.state,
        channel=p.channel,
        created=moment(p.created_ms),
        settled=moment(p.settled_ms),
        tries=p.tries,
        error=p.error,
        seen_by=p.seen_by,
    )


def _channel(c: ChannelView) -> PagingChannel:
    return PagingChannel(c.name, moment(c.at_ms), c.ok, c.error)


def _trouble(t: TroubleView) -> PagingTrouble:
    return PagingTrouble(t.code, t.text.zh, t.text.en, t.detail, moment(t.since_ms))


_O = Role.OPERATOR
OPERATIONS = (
    Operation("/on-call", "on_call", "on-call", "Who is on call, and what became of pages", Nothing, OnCall, tell),
    Operation(
        "/on-call/overrides",
        "add_override",
        "on-call",
        "Let somebody stand in",
        OverrideGiven,
        Override,
        add,
        _O,
        "POST",
    ),
    Operation(
        "/on-call/overrides/{override}/remove",
        "remove_override",
        "on-call",
        "End a stand-in",
        OverrideAsked,
        Override,
        remove,
        _O,
        "POST",
    ),
    Operation(
        "/on-call/pages", "change_page", "on-call", "See to a dead letter", PageGiven, PageSent, change, _O, "POST"
    ),
)
