"""``/posture``: every unit's score in the tree, and one score down to the records that explain it."""

from __future__ import annotations

import asyncio

from aiohttp import web

from collector.access.roles import Role
from collector.answers import Answer
from collector.console import gauges, scores
from collector.console.render import page
from collector.security import needs
from collector.site import Site, Who
from collector.views import posture as views
from collector.views.events import instant
from collector.views.posture import Computed, ScoreView
from telemetry.errors import Permanent


async def every(request: web.Request, site: Site, _who: Who) -> web.StreamResponse:
    at_ms, wrong = _asked(request, site)
    answer, of_units, of_all, warned = await asyncio.gather(
        scores.scores(site, at_ms), scores.trends(site, "unit"), scores.trends(site, "all"), scores.early(site)
    )
    made = views.posture(site.services, answer.value) if answer.value is not None else None
    whole = views.detail(site.services, answer.value, "all", "all") if answer.value is not None else None
    return page(
        request,
        "posture.html",
        answer=answer,
        p=made,
        whole=whole,
        early=warned.value or (),
        trend=of_units.value or {},
        trend_all=(of_all.value or {}).get("all", ()),
        at=request.query.get("at", "")[:40],
        at_ms=at_ms,
        wrong=wrong,
        gauges=gauges,
        link=views.path,
        where=views.finding_evidence,
        names=_names(answer),
    )


async def one(request: web.Request, site: Site, _who: Who) -> web.StreamResponse:
    scope, subject = request.match_info["scope"], request.match_info["subject"]
    at_ms, wrong = _asked(request, site)
    now = at_ms or site.services.clock.now_ms()
    answer, drawn = await asyncio.gather(
        scores.scores(site, at_ms),
        site.answers.panel(
            ("posture-history", scope, subject, at_ms),
            lambda: views.history(site.services, scope, subject, now),
            fresh_s=60,
        ),
    )
    found = views.detail(site.services, answer.value, scope, subject) if answer.value is not None else None
    if found is None and answer.known:
        raise web.HTTPNotFound(text="there is no such unit, zone or level")
    below: tuple[ScoreView, ...] = ()
    if answer.value is not None and found is not None and scope in ("unit", "branch"):
        children = set(answer.value.tree.children(subject))
        below = tuple(u for u in views.posture(site.services, answer.value).units if u.subject in children)
    return page(
        request,
        "posture_one.html",
        answer=answer,
        d=found,
        scope=scope,
        subject=subject,
        history=drawn.value or (),
        below=below,
        at=request.query.get("at", "")[:40],
        at_ms=at_ms,
        wrong=wrong,
        gauges=gauges,
        link=views.path,
    )


def _asked(request: web.Request, site: Site) -> tuple[int, str]:
    """The moment asked for, 0 for now; and what is wrong with it."""
    words = request.query.get("at", "").strip()[:40]
    if not words or words == "now":
        return 0, ""
    now = site.services.clock.now_ms()
    try:
        # a page that is asked again for the same words shall find its answer: whole minutes
        return min(instant(words, now), now) // 60_000 * 60_000, ""
    except Permanent as error:
        return 0, error.detail


def _names(answer: Answer[Computed]) -> dict[str, tuple[str, str]]:
    return {p.id: (p.name, p.name_en) for p in answer.value.tree.places} if answer.value is not None else {}


ROUTES = (
    web.get("/posture", needs(Role.VIEWER, every)),
    web.get("/posture/{scope}/{subject}", needs(Role.VIEWER, one)),
)
