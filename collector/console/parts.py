"""Questions that several pages ask, remembered under one key each."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from collector.answers import Answer
from collector.query import Aggregate, ByTerm, Kind
from collector.site import Site
from collector.store import Found
from collector.views import agents, devices, events, health, readiness, units
from collector.views.agents import AgentView
from collector.views.devices import DeviceView
from collector.views.events import Bar, Between
from collector.views.health import HealthView
from collector.views.readiness import AssetReadiness
from collector.views.units import LevelView, UnitView


async def all_agents(site: Site) -> Answer[tuple[AgentView, ...]]:
    return await site.answers.panel("agents", lambda: agents.agents(site.services))


async def all_devices(site: Site) -> Answer[tuple[DeviceView, ...]]:
    return await site.answers.panel("devices", lambda: devices.devices(site.services), fresh_s=5)


async def all_readiness(site: Site) -> Answer[tuple[AssetReadiness, ...]]:
    return await site.answers.panel("readiness", lambda: readiness.readiness(site.services), fresh_s=5)


async def collector_health(site: Site) -> Answer[HealthView]:
    return await site.answers.panel("health", lambda: health.health(site.services), fresh_s=5)


async def rate(site: Site, minutes: int, kind: Kind = Kind.EVENT) -> Answer[tuple[Bar, ...]]:
    """Counts of the last minutes, in 60 bars."""
    now = site.services.clock.now_ms()
    span = Between(now - minutes * 60_000, now)
    return await site.answers.panel(
        ("rate", minutes, kind), lambda: events.histogram(site.services, span, kind=kind), fresh_s=3
    )


async def counts(site: Site, kind: Kind, span_ms: int) -> Answer[dict[str, int]]:
    """Records by unit."""
    return await site.answers.panel(("by-unit", kind), lambda: units.by_unit(site.services, kind, span_ms), fresh_s=5)


async def alert_levels(site: Site) -> Answer[dict[str, int]]:
    """Alerts of the last day by rule level."""
    now = site.services.clock.now_ms()
    query = Aggregate(now - units.DAY_MS, now + 60_000, kind=Kind.ALERT, by=(ByTerm("rule.level"),))
    return await site.answers.panel(
        "alert-levels",
        lambda: {str(row.keys[0]): int(row.values[0]) for row in site.services.store.aggregate(query)},
        fresh_s=3,
    )


async def newest_alerts(site: Site) -> Answer[tuple[Found, ...]]:
    now = site.services.clock.now_ms()
    span = Between(now - 7 * units.DAY_MS, now + 60_000)
    return await site.answers.panel(
        "newest-alerts", lambda: events.search(site.services, span, (), Kind.ALERT, 6)[0], fresh_s=2
    )


class Situation(msgspec.Struct, frozen=True):
    """What the overview shows. ``pending``: the store is still at work on some of it."""

    agents: tuple[AgentView, ...]
    units: tuple[UnitView, ...]
    levels: tuple[LevelView, ...]
    assets: tuple[AssetReadiness, ...]
    bars: tuple[Bar, ...]
    events_known: bool
    alerts_known: bool
    events_hour: int
    alerts: tuple[Found, ...]
    alert_levels: dict[str, int]
    pending: bool
    errors: tuple[str, ...]


async def situation(site: Site) -> Situation:
    """Ask everything at once; what is not answered in time is left out and marked."""
    (found, ready, bars), (event_counts, alert_counts, by_level, newest) = await asyncio.gather(
        asyncio.gather(all_agents(site), all_readiness(site), rate(site, 60)),
        asyncio.gather(
            counts(site, Kind.EVENT, units.HOUR_MS),
            counts(site, Kind.ALERT, units.DAY_MS),
            alert_levels(site),
            newest_alerts(site),
        ),
    )
    answers: tuple[Answer[Any], ...] = (found, ready, bars, event_counts, alert_counts, by_level, newest)
    assets = ready.value or ()
    numbers = units.Counts(event_counts.value or {}, alert_counts.value or {}, readiness.shares(assets))
    tree = units.units(site.services.inventory.current(), found.value or (), numbers)
    return Situation(
        agents=found.value or (),
        units=tree,
        levels=units.levels(tree),
        assets=assets,
        bars=bars.value or (),
        events_known=bars.known,
        alerts_known=by_level.known,
        events_hour=sum(bar.count for bar in bars.value or ()),
        alerts=newest.value or (),
        alert_levels=by_level.value or {},
        pending=any(a.pending for a in answers),
        errors=tuple(dict.fromkeys(a.error for a in answers if a.error)),
    )
