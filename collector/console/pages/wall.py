"""``/wall``: the whole situation on a screen at the wall, read from across the room; it keeps itself up to date."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from collector.access.roles import Role
from collector.console import gauges, parts, scores
from collector.console.render import page
from collector.duration import seconds
from collector.incidents import dossier
from collector.incidents.clocks import Countdown, Phase
from collector.incidents.model import Incident, State
from collector.security import needs
from collector.site import Site, Who
from collector.views import incidents
from collector.views import posture as views
from collector.views.posture import ScoreView

RANKED = 10
SHOWN = 7
WAITING = "incidents-unacknowledged"
"""The indicator that says how long an incident may wait for someone to take it."""


RUNNING = (Phase.RUNNING, Phase.WARNING, Phase.OVERDUE)


class Row(msgspec.Struct, frozen=True):
    """One open incident. ``due_ms`` is when it should have been acknowledged; 0 where it was.

    ``clock`` is the reporting clock that runs out first.
    """

    incident: Incident
    due_ms: int
    clock: Countdown | None


async def wall(request: web.Request, site: Site, _who: Who) -> web.StreamResponse:
    now, answer, trend, warned, listed = await asyncio.gather(
        parts.situation(site),
        scores.scores(site),
        scores.trends(site, "all"),
        scores.early(site),
        site.answers.panel(("incidents", "open", "", ""), lambda: incidents.listing(site.services), fresh_s=1),
    )
    made = views.posture(site.services, answer.value) if answer.value is not None else None
    whole = answer.value.scores.whole if answer.value is not None else None
    found: tuple[Any, ...] = (answer, trend, warned, listed)
    return page(
        request,
        "wall.html",
        now=now,
        p=made,
        values=whole.values if whole is not None else {},
        ranking=_ranking(made.units if made is not None else ()),
        trend=(trend.value or {}).get("all", ()),
        early=[e for e in warned.value or () if e.colour != "none"],
        judged=any(e.judged for e in warned.value or ()),
        funnel=listed.value.funnel if listed.value is not None else (),
        rows=[
            Row(i, _due(site, i), _clock(site, i))
            for i in (listed.value.rows if listed.value is not None else ())[:SHOWN]
        ],
        more=max(0, len(listed.value.rows) - SHOWN) if listed.value is not None else 0,
        units={u.id: (u.name, u.name_en) for u in site.services.inventory.current().inventory.units},
        people=incidents.people(site.services),
        pending=now.pending or any(one.pending for one in found),
        errors=tuple(dict.fromkeys((*now.errors, *(one.error for one in found if one.error)))),
        gauges=gauges,
    )


def _ranking(units: tuple[ScoreView, ...]) -> list[ScoreView]:
    """The lowest scores first, then those that nobody sees."""
    seen = sorted((u for u in units if u.score is not None), key=lambda u: (u.score or 0.0, u.name))
    return (seen + [u for u in units if u.score is None])[:RANKED]


def _due(site: Site, incident: Incident) -> int:
    indicator = site.services.posture.current().indicator(WAITING)
    stale = indicator.measure.stale if indicator is not None else None
    waits = incident.state in (State.FOUND, State.NOTIFIED) and incident.level in ("medium", "high", "critical")
    if stale is None or not waits:
        return 0
    return incident.found_ms + seconds(stale) * 1000


def _clock(site: Site, incident: Incident) -> Countdown | None:
    running = [c for c in dossier.countdowns(site.services, incident) if c.phase in RUNNING]
    return min(running, key=lambda clock: clock.due_ms, default=None)


ROUTES = (web.get("/wall", needs(Role.VIEWER, wall)),)
