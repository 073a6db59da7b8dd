"""What a notifier is: the seam between collector/notifiers/* and the outbox that calls them.

A notifier carries one short text to one person or one address. It is called from a thread of its own, so it may
block; it never decides whom to tell or when to try again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from telemetry.clock import Clock
from telemetry.report import Report

LONGEST_S = 60
"""No notifier may take longer over one message: then another collector may have taken it over."""


class Receipt(msgspec.Struct, frozen=True):
    """What the other side says later of a message that it took. ``id`` is one of ``Sent.receipts``."""

    id: str
    delivered: bool
    detail: str = ""


@dataclass(frozen=True)
class NotifierContext:
    """``home`` is the collector's own directory: secret files are looked for there."""

    home: Path
    clock: Clock
    report: Report
    receipt: Callable[[Receipt], None] = lambda _: None
    """May be called from any thread, also before ``notify`` has returned."""


class Channel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options that every notifier has."""

    name: Annotated[
        str,
        Meta(
            description="by which people and steps of an escalation name it; its type where it is empty",
            pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?\Z",
        ),
    ] = ""
    per_minute: Annotated[int, Meta(description="messages a minute at most, the gravest first", ge=1, le=6000)] = 30
    timeout_s: Annotated[float, Meta(description="longest time for one message, in seconds", ge=1, le=LONGEST_S)] = 15.0


class Recipient(msgspec.Struct, frozen=True):
    """A person of the inventory, as far as a notifier needs."""

    person: str
    name: str
    phone: str = ""
    email: str = ""
    language: str = "zh-CN"


class Message(msgspec.Struct, frozen=True):
    """``id`` is the same for every try, so a receiver can tell a repeat: Message-ID, Idempotency-Key, MSGID."""

    id: str
    to: Recipient
    subject: str
    text: str
    """At most a few lines, in the recipient's language; ``link`` is part of it."""
    link: str = ""
    level: str = "high"
    incident: str = ""
    created_ms: int = 0
    data: dict[str, str | int] = {}
    """For programs (webhook): rule, unit, state, count ..."""


class Sent(msgspec.Struct, frozen=True):
    """Taken by the other side. ``receipts`` are its own ids for it where it will say later what became of it."""

    receipts: tuple[str, ...] = ()
    parts: int = 1


class Notifier(Protocol):
    """``notify`` raises Transient (try again later) or Permanent (this will never go this way: fall back)."""

    def notify(self, message: Message) -> Sent: ...

    def close(self) -> None: ...
