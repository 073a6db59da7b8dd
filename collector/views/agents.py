"""The agents: are they there, what do they see, and does their ledger add up."""

from __future__ import annotations

import datetime
import enum

import msgspec

from collector.ledger import Account
from collector.query import Equals, Latest
from collector.registry import AgentRecord
from collector.services import Services
from collector.views.moment import moment, number, text
from telemetry.event import Event

UP_WITHIN_MS = 60_000
"""An agent reports its status every 10 s; six missed in a row are silence."""
LOOK_BACK_MS = 24 * 3_600_000


class Presence(enum.StrEnum):
    UP = "up"
    SILENT = "silent"
    NEVER = "never"
    REVOKED = "revoked"


class InputView(msgspec.Struct, frozen=True):
    """One input of an agent. ``blind``: it can not see here; ``advice`` says what would help."""

    type: str
    state: str
    reason: str
    advice: str
    lost: int
    since: datetime.datetime | None


class LedgerView(msgspec.Struct, frozen=True):
    """collected = stored + spooled + dropped; ``missing`` are numbers that nobody accounted for."""

    collected: int
    stored: int
    spooled: int
    dropped: int
    dropped_by_reason: dict[str, int]
    missing: int
    adds_up: bool


class AgentView(msgspec.Struct, frozen=True):
    id: str
    name: str
    unit: str
    unit_name: str
    presence: Presence
    cloned: bool
    address: str
    version: str
    host: str
    enrolled: datetime.datetime | None
    last_seen: datetime.datetime | None
    certificate_until: datetime.datetime | None
    memory_bytes: int
    cpu: float
    uptime_s: int
    clock_skew_ms: int
    ledger: LedgerView
    inputs: tuple[InputView, ...]

    @property
    def blind(self) -> tuple[InputView, ...]:
        return tuple(i for i in self.inputs if i.state in ("blind", "failing"))


def agents(services: Services) -> tuple[AgentView, ...]:
    """All that are enrolled, those with trouble first."""
    states = _newest(services, "input-state", ("agent.id", "tengwang.input.type"))
    status = {text(d, "agent.id"): d for d in _newest(services, "status", ("agent.id",))}
    made = [agent_view(services, r, states, status.get(r.id, {})) for r in services.registry.agents()]
    order = {Presence.SILENT: 0, Presence.NEVER: 1, Presence.UP: 2, Presence.REVOKED: 3}
    return tuple(sorted(made, key=lambda a: (order[a.presence], a.unit, a.name)))


def agent_view(services: Services, record: AgentRecord, states: list[Event], status: Event) -> AgentView:
    now = services.clock.now_ms()
    unit = services.inventory.current().unit(record.unit)
    return AgentView(
        id=record.id,
        name=record.name,
        unit=record.unit,
        unit_name=unit.name if unit else record.unit,
        presence=presence(record, now),
        cloned=record.cloned,
        address=record.address,
        version=record.version,
        host=record.host.name,
        enrolled=moment(record.enrolled_ms),
        last_seen=moment(record.last_seen_ms),
        certificate_until=moment(record.not_after_ms),
        memory_bytes=number(status, "process.memory.rss"),
        cpu=float(status.get("process.cpu.pct", 0.0)),  # type: ignore[arg-type]
        uptime_s=number(status, "process.uptime"),
        clock_skew_ms=number(status, "tengwang.time.skew"),
        ledger=ledger_view(services.ledgers.account(record.id)),
        inputs=tuple(sorted((_input(d) for d in states if d.get("agent.id") == record.id), key=lambda i: i.type)),
    )


def presence(record: AgentRecord, now_ms: int) -> Presence:
    if record.revoked:
        return Presence.REVOKED
    if not record.last_seen_ms:
        return Presence.NEVER
    return Presence.UP if now_ms - record.last_seen_ms <= UP_WITHIN_MS else Presence.SILENT


def ledger_view(account: Account) -> LedgerView:
    return LedgerView(
        account.collected,
        account.stored,
        account.spooled,
        sum(account.dropped.values()),
        dict(account.dropped),
        account.missing,
        account.adds_up,
    )


def _newest(services: Services, action: str, per: tuple[str, ...]) -> list[Event]:
    now = services.clock.now_ms()
    where = (Equals("event.dataset", ("tengwang.agent",)), Equals("event.action", (action,)))
    found = services.store.latest(Latest(now - LOOK_BACK_MS, now + 60_000, per, where))
    return [f.doc for f in found]


def _input(doc: Event) -> InputView:
    return InputView(
        text(doc, "tengwang.input.type"),
        text(doc, "tengwang.input.state"),
        text(doc, "event.reason") or text(doc, "message"),
        text(doc, "tengwang.input.advice"),
        number(doc, "tengwang.input.lost"),
        moment(number(doc, "@timestamp")),
    )
