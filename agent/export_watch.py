"""All domains of all exporters of one input: found for each datagram, looked at each second, told each minute.

A gap in an exporter's sequence is told as ``export_gap`` and is a loss in the ledger. What this host's kernel dropped
is in the ledger already, and is seen as a gap soon after: so much of a gap is not counted a second time.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator

from agent.export_session import Session
from agent.exporters import DATASET, Exporter
from agent.input import Context
from agent.losses import Losses
from telemetry.event import Event, event

TELL_S = 10.0
"""How often at most the gaps of one domain are told."""
STATUS_S = 60.0
FORGET_S = 3600.0
PER_RECORD = frozenset({"netflow5", "ipfix"})
"""Their sequence numbers count records, those of the others datagrams."""


class Domain:
    """A session, and whose it is."""

    __slots__ = ("exporter", "number", "pending", "session", "told_at")

    def __init__(self, exporter: Exporter, number: int) -> None:
        self.exporter, self.number = exporter, number
        self.session = Session()
        self.pending = 0
        self.told_at = float("-inf")


class Watch:
    """``get`` for every datagram, ``tick`` each second, ``flush`` at the end. At most ``most`` domains are held."""

    def __init__(self, name: str, context: Context, losses: Losses, most: int, clock_s: float, wait_s: float) -> None:
        self._name, self._context, self._losses, self._most = name, context, losses, most
        self._clock_ms, self._wait_s = clock_s * 1000, wait_s
        self._domains: dict[Hashable, Domain] = {}
        self._credit = 0
        self._status_at = context.clock.monotonic() + STATUS_S

    def __len__(self) -> int:
        return len(self._domains)

    def items(self) -> Iterator[tuple[Hashable, Domain]]:
        return iter(self._domains.items())

    def get(self, key: Hashable, exporter: Exporter, number: int) -> Domain:
        held = self._domains.pop(key, None)
        if held is None:
            if len(self._domains) >= self._most:
                self._forget(next(iter(self._domains)))
                self._context.report.count("tengwang_input_cut_total", input=self._name)
            held = Domain(exporter, number)
        held.exporter = exporter
        self._domains[key] = held
        return held

    def remove(self, key: Hashable) -> None:
        if key in self._domains:
            self._forget(key)

    def dropped(self, datagrams: int) -> None:
        """The kernel dropped so many, and they are in the ledger."""
        self._credit += datagrams

    def tick(self, now: float) -> None:
        for held in self._domains.values():
            self._look(held, now)
        if now >= self._status_at:
            self._status_at, self._credit = now + STATUS_S, 0
            self._tell_status(now)
            for key in [k for k, h in self._domains.items() if now - h.session.heard > FORGET_S]:
                self._forget(key)

    def flush(self) -> None:
        now = self._context.clock.monotonic()
        for held in self._domains.values():
            held.told_at = float("-inf")
            held.session.give_up_all()
            self._look(held, now)
            self._look(held, now)
        self._tell_status(now)

    def _look(self, held: Domain, now: float) -> None:
        session = held.session
        session.expire(now - self._wait_s)
        if session.given_up:
            self._context.report.count(
                "tengwang_input_refused_total", session.given_up, input=self._name, reason="no_template"
            )
            self._losses.note(session.given_up)
            session.given_up = 0
        if lost := session.sequence.take():
            session.lost += lost
            held.pending += lost
            self._losses.note(self._beyond_credit(session, lost))
        if held.pending and now - held.told_at >= TELL_S:
            held.told_at = now
            made = self._event(held, "export_gap", "event")
            made["tengwang.exporter.lost"], held.pending = held.pending, 0
            made["tengwang.exporter.lost_unit"] = unit_of(session)
            self._context.emit(made)
        skew = session.skew_ms
        # leaving the flag takes half of what raising it takes, so a clock at the bound does not flap
        flagged = abs(skew) > (self._clock_ms / 2 if session.flagged else self._clock_ms)
        if flagged != session.flagged:
            session.flagged = flagged
            made = self._event(held, "clock_skew" if flagged else "clock_right", "event")
            made["tengwang.exporter.skew"] = skew
            self._context.emit(made)

    def _beyond_credit(self, session: Session, lost: int) -> int:
        each = max(session.records / max(session.datagrams, 1), 1.0) if unit_of(session) == "records" else 1.0
        covered = min(self._credit, math.ceil(lost / each))
        self._credit -= covered
        return max(lost - round(covered * each), 0)

    def _tell_status(self, now: float) -> None:
        for held in self._domains.values():
            session = held.session
            if now - session.heard > STATUS_S * 2:
                continue
            made = self._event(held, "status", "metric")
            made["tengwang.exporter.datagrams"], made["tengwang.exporter.records"] = session.datagrams, session.records
            made["tengwang.exporter.lost"], made["tengwang.exporter.lost_unit"] = session.lost, unit_of(session)
            made["tengwang.exporter.malformed"], made["tengwang.exporter.waiting"] = session.malformed, session.waiting
            made["tengwang.exporter.templates"] = len(session.templates)
            made["tengwang.flow.sampling_rate"] = session.rate
            made["tengwang.flow.sampling_source"] = session.rate_source
            if session.uptime_ms >= 0:
                made["tengwang.exporter.uptime"] = session.uptime_ms // 1000
            if session.clocked:
                made["tengwang.exporter.skew"] = session.skew_ms
            self._context.emit(made)
            session.datagrams = session.records = session.lost = session.malformed = 0

    def _event(self, held: Domain, action: str, kind: str) -> Event:
        made = event(self._context.clock.now_ms(), DATASET, action, kind=kind)
        made["observer.ip"] = held.exporter.address
        if held.exporter.device:
            made["tengwang.device.id"] = held.exporter.device
        made["tengwang.input.type"] = self._name
        made["tengwang.exporter.protocol"], made["tengwang.exporter.domain"] = held.session.protocol, held.number
        return made

    def _forget(self, key: Hashable) -> None:
        held = self._domains.pop(key)
        held.session.give_up_all()
        held.told_at = float("-inf")
        now = self._context.clock.monotonic()
        self._look(held, now)
        self._look(held, now)


def unit_of(session: Session) -> str:
    return "records" if session.protocol in PER_RECORD else "datagrams"
