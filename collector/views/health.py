"""The collector itself: does it take events, and where not, why not and what to do."""

from __future__ import annotations

import datetime

import msgspec

from collector.services import Services
from collector.store import Health
from collector.views.moment import moment
from telemetry import __version__
from telemetry.errors import Transient


class StoreView(msgspec.Struct, frozen=True):
    engine: str
    writable: bool
    detail: str
    records: int
    bytes: int
    oldest_day: str
    newest_day: str
    down_since: datetime.datetime | None = None


class ProblemView(msgspec.Struct, frozen=True):
    """Something a person should put right: in the inventory, the rules, or here."""

    area: str
    where: str
    message: str
    hint: str


class NoticeView(msgspec.Struct, frozen=True):
    time: datetime.datetime | None
    level: str
    key: str
    message: str
    count: int


class HealthView(msgspec.Struct, frozen=True):
    """``status``: ok, degraded (it works, and something needs a person), or down (it acknowledges nothing)."""

    status: str
    collector: str
    version: str
    started: datetime.datetime | None
    store: StoreView
    inventory_version: str
    problems: tuple[ProblemView, ...]


def health(services: Services) -> HealthView:
    store = store_view(services)
    problems = tuple(problems_of(services))
    status = "down" if not store.writable else "degraded" if problems else "ok"
    return HealthView(
        status,
        services.collector_id,
        __version__,
        moment(services.started_ms),
        store,
        str(services.inventory.version),
        problems,
    )


def store_view(services: Services) -> StoreView:
    """What the store says now; where the collector stopped acknowledging, the reason that made it stop."""
    standing = services.standing
    try:
        h = services.store.health()
    except Transient as error:
        h = Health(False, str(error))
    if h.writable and not standing.writable:
        h = msgspec.structs.replace(standing.health, writable=False)
    since = moment(standing.down_since_ms)
    return StoreView(h.engine, h.writable, h.detail, h.records, h.bytes, h.oldest_day, h.newest_day, since)


def problems_of(services: Services) -> list[ProblemView]:
    found = []
    for area, problems in (
        ("inventory", services.inventory.problems()),
        ("rules", services.detector.problems()),
        ("posture", services.posture.problems()),
    ):
        for p in problems:
            where = f"{p.path}:{p.line}" if p.line else p.path
            found.append(ProblemView(area, where, f"{p.key}: {p.message}" if p.key else p.message, p.hint))
    for trouble in services.paging.dead_man.troubles:
        if trouble.code != "no_channel":
            found.append(ProblemView("paging", "/on-call", trouble.text.en, trouble.detail))
    return found


def notices(services: Services) -> tuple[NoticeView, ...]:
    """The newest warnings and errors of the log."""
    return tuple(
        NoticeView(moment(n.at_ms), n.level, n.key, n.message, n.count)
        for n in services.report.notices()
        if n.level in ("warning", "error", "critical")
    )
