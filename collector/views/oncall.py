"""On-call for a reader: each rotation now and next, overrides, pages, channels, and what is wrong with paging."""

from __future__ import annotations

import msgspec

from collector.page import Page, PageState, Why
from collector.services import Services
from telemetry.verdict import Text

SHOWN = 100


class Shift(msgspec.Struct, frozen=True):
    """Who has it now (``source``: rotation, holiday or override), until when, and who is next; 0: no end in sight."""

    rotation: str
    name: str
    name_en: str
    time_zone: str
    person: str
    source: str
    holiday: str
    until_ms: int
    next_person: str


class StandIn(msgspec.Struct, frozen=True):
    id: str
    rotation: str
    person: str
    from_ms: int
    until_ms: int
    by: str
    note: str


class PageView(msgspec.Struct, frozen=True):
    """One page and what became of it; never its text or link: those are for the person alone."""

    id: str
    incident: str
    person: str
    why: Why
    level: str
    state: PageState
    channel: str
    created_ms: int
    settled_ms: int
    tries: int
    error: str
    seen_by: str


class ChannelView(msgspec.Struct, frozen=True):
    """A notifier of this collector; ``at_ms`` 0: nothing was sent by it since the start."""

    name: str
    at_ms: int
    ok: bool
    error: str


class TroubleView(msgspec.Struct, frozen=True):
    code: str
    text: Text
    detail: str
    since_ms: int


class OnCallView(msgspec.Struct, frozen=True):
    shifts: tuple[Shift, ...]
    overrides: tuple[StandIn, ...]
    pages: tuple[PageView, ...]
    dead: tuple[PageView, ...]
    channels: tuple[ChannelView, ...]
    troubles: tuple[TroubleView, ...]


def oncall(services: Services) -> OnCallView:
    paging, now = services.paging, services.clock.now_ms()
    shifts, overrides = [], []
    for turn in paging.duty.turns():
        rotation, holiday = turn.rotation, turn.now.holiday
        shifts.append(
            Shift(
                rotation.id,
                rotation.name,
                rotation.name_en,
                rotation.time_zone,
                turn.now.person,
                turn.now.source,
                holiday.name if holiday is not None else "",
                turn.next.at_ms if turn.next is not None else 0,
                turn.next.on_call.person if turn.next is not None else "",
            )
        )
        overrides += [
            StandIn(one.id, one.rotation, one.person, one.from_ms, one.until_ms, one.by, one.note)
            for one in turn.overrides
            if one.until_ms > now
        ]
    outcomes = paging.outbox.outcomes()
    channels = [ChannelView(name, *outcomes.get(name, (0, True, ""))) for name in paging.outbox.channels]
    return OnCallView(
        tuple(shifts),
        tuple(overrides),
        tuple(map(page_view, paging.outbox.all()[:SHOWN])),
        tuple(map(page_view, paging.outbox.dead()[:SHOWN])),
        tuple(channels),
        tuple(TroubleView(t.code, t.text, t.detail, t.since_ms) for t in paging.dead_man.troubles),
    )


def page_view(page: Page) -> PageView:
    return PageView(
        page.id,
        page.incident,
        page.person,
        page.why,
        page.level,
        page.state,
        page.sent_by or page.channel,
        page.created_ms,
        page.settled_ms,
        len(page.attempts),
        next((attempt.error for attempt in reversed(page.attempts) if attempt.error), ""),
        page.seen_by,
    )
