"""A page: one message to one person about one matter, and what became of it. Kept as ``page/<id>``, by compare-and-set.

The id is made of what it is about (incident, round, step, person), so it is created once, whoever decides so how often.
``message_id`` is made of the id: every try, also one by another collector, is the same message to whoever takes it.

    waiting ── claimed, given to a notifier ──▶ sent ── receipt ──▶ delivered
       │  ▲ tried again, or by the next channel │
       │  └─────────────────────────────────────┴── a receipt says that it did not arrive
       ├──▶ not_needed   somebody acknowledged before it went out
       └──▶ dead         no channel took it in time: a person must see to it
"""

from __future__ import annotations

import enum
import hashlib

import msgspec

PREFIX = "page/"
MAX_ATTEMPTS = 24
TRIES = 2
"""On one channel before the next one has its turn."""
RETRY_MS = 4_000
PAUSE_MS = 20_000
LONGEST_PAUSE_MS = 300_000
CLAIM_MS = 90_000
"""So long a collector may take over one message; then another one tries the same message again."""


class PageState(enum.StrEnum):
    WAITING = "waiting"
    SENT = "sent"
    DELIVERED = "delivered"
    NOT_NEEDED = "not_needed"
    DEAD = "dead"


class Why(enum.StrEnum):
    """What a person is told for."""

    ESCALATION = "escalation"
    HANDED_OVER = "handed_over"
    ACTION = "action"
    CLOCK = "clock"
    COVERAGE = "coverage"
    NOTICE = "notice"


class Attempt(msgspec.Struct, frozen=True):
    at_ms: int
    channel: str
    collector: str
    error: str = ""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    incident: str
    person: str
    why: Why
    round: int = 0
    created_ms: int
    level: str
    subject: str
    text: str
    link: str = ""
    data: dict[str, str | int] = {}
    channels: tuple[str, ...] = ()
    at: int = 0
    """Which of the channels has its turn."""
    tries: int = 0
    """On this channel, in this cycle."""
    cycles: int = 0
    closed: tuple[str, ...] = ()
    """Channels that will never take it."""
    next_ms: int = 0
    claimed_by: str = ""
    claimed_until_ms: int = 0
    state: PageState = PageState.WAITING
    sent_ms: int = 0
    sent_by: str = ""
    """The channel that took it."""
    receipts: tuple[str, ...] = ()
    """Ids that a receipt is still to come for."""
    settled_ms: int = 0
    attempts: tuple[Attempt, ...] = ()
    seen_by: str = ""
    """Who has seen that it is dead."""

    @property
    def channel(self) -> str:
        return self.channels[self.at] if self.at < len(self.channels) else ""

    @property
    def message_id(self) -> str:
        return message_id(self.id)


def page_id(incident: str, round_: int, step: str, person: str) -> str:
    """``step`` is the number of a step, or a word for what is no step of an escalation."""
    return f"{incident}/{round_}/{step}/{person}"


def message_id(id: str) -> str:
    return hashlib.blake2b(id.encode(), digest_size=16).hexdigest()


def encode(page: Page) -> bytes:
    return msgspec.json.encode(page)


def decode(data: bytes) -> Page:
    """Raises msgspec.DecodeError."""
    return msgspec.json.decode(data, type=Page)


def claimed(page: Page, collector: str, now_ms: int) -> Page:
    return msgspec.structs.replace(page, claimed_by=collector, claimed_until_ms=now_ms + CLAIM_MS)


def may_claim(page: Page, channel: str, now_ms: int) -> bool:
    """Is it this channel's turn now, and does nobody else have it in hand?"""
    return (
        page.state is PageState.WAITING
        and page.channel == channel
        and page.next_ms <= now_ms
        and (not page.claimed_by or page.claimed_until_ms <= now_ms)
    )


def taken(page: Page, now_ms: int, receipts: tuple[str, ...]) -> Page:
    """A channel took it."""
    return msgspec.structs.replace(
        _tried(page, now_ms, ""),
        state=PageState.SENT,
        sent_ms=now_ms,
        sent_by=page.channel,
        receipts=receipts,
        settled_ms=now_ms,
    )


def received(page: Page, receipt: str, delivered: bool, detail: str, now_ms: int, give_up_ms: int) -> Page:
    """A receipt came: delivered when all of its parts are; not delivered sends it the next way."""
    if receipt not in page.receipts or page.state is not PageState.SENT:
        return page
    if not delivered:
        back = msgspec.structs.replace(page, state=PageState.WAITING, settled_ms=0, receipts=())
        return failed(back, now_ms, f"not delivered: {detail}", give_up_ms, final=True)
    left = tuple(one for one in page.receipts if one != receipt)
    state = PageState.SENT if left else PageState.DELIVERED
    return msgspec.structs.replace(page, receipts=left, state=state, settled_ms=now_ms)


def failed(page: Page, now_ms: int, error: str, give_up_ms: int, *, final: bool = False) -> Page:
    """A channel did not take it: again, by the next channel, or after a pause from the first one; else dead."""
    page = _tried(page, now_ms, error)
    closed = tuple(dict.fromkeys((*page.closed, page.channel))) if final else page.closed
    page = msgspec.structs.replace(page, closed=closed, tries=page.tries + 1)
    if now_ms - page.created_ms >= give_up_ms or not set(page.channels) - set(closed):
        return settled(page, PageState.DEAD, now_ms)
    if not final and page.tries < TRIES:
        return msgspec.structs.replace(page, next_ms=now_ms + RETRY_MS)
    later = [at for at in range(page.at + 1, len(page.channels)) if page.channels[at] not in closed]
    if later:
        return msgspec.structs.replace(page, at=later[0], tries=0, next_ms=now_ms)
    first = next(at for at, channel in enumerate(page.channels) if channel not in closed)
    pause = min(PAUSE_MS << min(page.cycles, 8), LONGEST_PAUSE_MS)
    return msgspec.structs.replace(page, at=first, tries=0, cycles=page.cycles + 1, next_ms=now_ms + pause)


def settled(page: Page, state: PageState, now_ms: int) -> Page:
    return msgspec.structs.replace(page, state=state, settled_ms=now_ms, claimed_by="", claimed_until_ms=0)


def revived(page: Page, now_ms: int, channels: tuple[str, ...]) -> Page:
    """A person wants a dead page sent once more; it stays the same message."""
    return msgspec.structs.replace(
        page,
        state=PageState.WAITING,
        created_ms=now_ms,
        channels=channels or page.channels,
        at=0,
        tries=0,
        cycles=0,
        closed=(),
        next_ms=now_ms,
        settled_ms=0,
        seen_by="",
    )


def _tried(page: Page, now_ms: int, error: str) -> Page:
    attempt = Attempt(now_ms, page.channel, page.claimed_by, error[:300])
    attempts = (*page.attempts, attempt)[-MAX_ATTEMPTS:]
    return msgspec.structs.replace(page, attempts=attempts, claimed_by="", claimed_until_ms=0)
