"""What a notifier is: the seam between collector/notifiers/* and the outbox that calls them.

A notifier carries one short text to one person or one address. It is called from a thread of its own, so it may
block; it never decides whom to tell or when to try again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from telemetry.clock import Clock
from telemetry.report import Report


@dataclass(frozen=True)
class NotifierContext:
    """``home`` is the collector's own directory: ``file:PATH`` secrets are looked for there."""

    home: Path
    clock: Clock
    report: Report


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
    """Taken by the other side. ``receipt`` is its own id for it, where it gave one (SMPP message_id)."""

    receipt: str = ""
    parts: int = 1


class Notifier(Protocol):
    """``notify`` raises Transient (try again later) or Permanent (this will never go this way: fall back)."""

    def notify(self, message: Message) -> Sent: ...

    def close(self) -> None: ...
