"""What this agent must not forget of its orders, on disk before anything is done: what it has seen, what is in force.

An order is written down before its rules are set, so whatever happens between, the next run knows what to undo. What
was seen is kept until it could not be begun any more, by a day: then a replay is too late anyway.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from agent.home import write_private
from telemetry.errors import Permanent, Transient
from telemetry.order import Order
from telemetry.report import Report

DAY_MS = 86_400_000
MAX_SEEN = 10_000


class Seen(msgspec.Struct, frozen=True):
    """The newest order with an id. ``digest`` tells a repeat from another order with the same number."""

    serial: int
    digest: str
    until_ms: int


class Held(msgspec.Struct, frozen=True):
    """In force, or being made so: ``applied_ms`` is 0 until its rules are known to be there."""

    order: Order
    applied_ms: int = 0


class _File(msgspec.Struct, frozen=True):
    seen: dict[str, Seen] = {}
    held: dict[str, Held] = {}


class Memory:
    """For one thread. A file that can not be read counts as none, and is said; the rules then have no owner."""

    def __init__(self, path: Path, report: Report) -> None:
        self._path = path
        self._seen: dict[str, Seen] = {}
        self.held: dict[str, Held] = {}
        try:
            read = msgspec.json.decode(path.read_bytes(), type=_File)
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as error:
            report.error("orders", f"{path} can not be read ({type(error).__name__}); what was in force is undone")
            return
        self._seen, self.held = dict(read.seen), dict(read.held)

    def seen(self, id: str) -> Seen | None:
        return self._seen.get(id)

    def note(self, order: Order, digest: str, now_ms: int) -> None:
        """This order was seen, whatever comes of it. Raises Permanent ``too_many``, Transient (disk)."""
        kept = {i: one for i, one in self._seen.items() if one.until_ms + DAY_MS >= now_ms or i in self.held}
        self._seen = kept
        if order.id not in self._seen and len(self._seen) >= MAX_SEEN:
            raise Permanent("too_many", f"{MAX_SEEN} orders are remembered")
        before = self._seen.get(order.id)
        self._seen[order.id] = Seen(order.serial, digest, max(order.until_ms, order.not_after_ms))
        try:
            self.save()
        except Transient:
            if before is None:
                del self._seen[order.id]
            else:
                self._seen[order.id] = before
            raise

    def hold(self, held: Held) -> None:
        """Raises Transient where the disk takes nothing: then nothing may be begun."""
        before = self.held.get(held.order.id)
        self.held[held.order.id] = held
        try:
            self.save()
        except Transient:
            if before is None:
                del self.held[held.order.id]
            else:
                self.held[held.order.id] = before
            raise

    def drop(self, id: str) -> None:
        """Its rules are gone. A disk that takes nothing costs only that the next run looks again."""
        self.held.pop(id, None)
        try:
            self.save()
        except Transient:
            return

    def save(self) -> None:
        try:
            write_private(self._path, msgspec.json.encode(_File(self._seen, self.held)))
        except OSError as error:
            raise Transient(f"{self._path} can not be written: {error.strerror}") from error
