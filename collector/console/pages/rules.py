"""``/rules``: what is looked for, what each rule found lately, and which are not in use and why."""

from __future__ import annotations

from aiohttp import web

from collector.access.roles import Role
from collector.console import charts
from collector.console.render import page, reader
from collector.query import Equals, Kind
from collector.security import needs
from collector.site import Site, Who
from collector.views import rules
from collector.views.events import Between, histogram, search
from collector.views.health import problems_of

NEWEST = 10


async def every(request: web.Request, site: Site, _who: Who) -> web.StreamResponse:
    answer = await site.answers.panel("rules", lambda: rules.rules(site.services), fresh_s=5)
    found = answer.value or ()
    return page(
        request,
        "rules.html",
        answer=answer,
        areas=_by_area(found),
        classes=rules.classes(found),
        problems=[p for p in problems_of(site.services) if p.area == "rules"],
    )


async def one(request: web.Request, site: Site, _who: Who) -> web.StreamResponse:
    name = request.match_info["rule"]
    info = next((r for r in site.services.detector.rules() if r.id == name), None)
    if info is None:
        raise web.HTTPNotFound(text="there is no such rule in use")
    services, now = site.services, site.services.clock.now_ms()
    span = Between(now - rules.WEEK_MS, now + 60_000)
    where = (Equals("rule.id", (name,)),)
    bars = await site.answers.panel(("rule-bars", name), lambda: histogram(services, span, where, Kind.ALERT))
    newest = await site.answers.panel(
        ("rule-alerts", name), lambda: search(services, span, where, Kind.ALERT, NEWEST)[0]
    )
    text = await site.answers.ask(lambda: rules.source(info))
    return page(
        request,
        "rule.html",
        rule=info,
        area=rules.place(info.path)[0],
        file=rules.place(info.path)[1],
        answer=bars,
        chart=charts.histogram(reader(request), bars.value, "/alerts", f"rule.id:{name}") if bars.value else None,
        newest=newest.value or (),
        source=text,
    )


def _by_area(found: tuple[rules.RuleView, ...]) -> dict[str, list[rules.RuleView]]:
    areas: dict[str, list[rules.RuleView]] = {}
    for rule in found:
        areas.setdefault(rule.area, []).append(rule)
    return areas


ROUTES = (
    web.get("/rules", needs(Role.VIEWER, every)),
    web.get("/rules/{rule}", needs(Role.VIEWER, one)),
)
