"""``/incidents``: what is open and how far it is; one incident with its evidence, actions, clocks and record."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from collector.access.roles import Role
from collector.console.render import page, reader
from collector.incidents import dossier, report
from collector.incidents.lifecycle import is_open
from collector.incidents.model import Grade, Incident
from collector.security import needs
from collector.site import Site, Who
from collector.views import incidents
from telemetry.errors import Permanent

HOUR_MS = 3_600_000
Verb = Callable[[Site, Who, str, dict[str, str]], object]


async def every(request: web.Request, site: Site, _who: Who) -> web.StreamResponse:
    asked = {name: request.query.get(name, "")[:64] for name in ("state", "level", "unit")}
    asked["state"] = asked["state"] or "open"
    answer = await site.answers.panel(
        ("incidents", *asked.values()),
        lambda: incidents.listing(site.services, asked["state"], asked["unit"], asked["level"]),
        fresh_s=1,
    )
    view = reader(request)
    units = [(u.id, view.either(u.name, u.name_en)) for u in site.services.inventory.current().inventory.units]
    return page(
        request,
        "incidents.html",
        answer=answer,
        listing=answer.value,
        asked=asked,
        units=units,
        people=incidents.people(site.services),
        unit_of=_unit_of(request, site),
    )


async def one(request: web.Request, site: Site, who: Who) -> web.StreamResponse:
    name = request.match_info["incident"]
    found = await site.answers.ask(lambda: incidents.detail(site.services, name))
    if found is None:
        raise web.HTTPNotFound(text="there is no such incident")
    return page(
        request,
        "incident.html",
        i=found.incident,
        open=is_open(found.incident),
        evidence=found.evidence,
        entries=found.entries,
        rule=found.rule,
        actions=found.actions,
        clocks=dossier.countdowns(site.services, found.incident),
        acts=who.role.allows(Role.OPERATOR),
        grades=[grade.value for grade in Grade],
        people=incidents.people(site.services),
        unit_of=_unit_of(request, site),
    )


async def draft(request: web.Request, site: Site, _who: Who) -> web.StreamResponse:
    """The draft of the statutory report, as text to copy: what is known, and what is not."""
    name = request.match_info["incident"]
    if site.services.desk.get(name) is None:
        raise web.HTTPNotFound(text="there is no such incident")
    sources = await site.answers.ask(lambda: dossier.sources(site.services, name))
    language: report.Language = "zh-CN" if reader(request).zh else "en"
    return web.Response(text=report.draft(sources, language), content_type="text/plain", charset="utf-8")


async def packets(request: web.Request, site: Site, who: Who) -> web.StreamResponse:
    """What an agent sent as evidence, for Wireshark."""
    order = request.match_info["order"]
    try:
        view, data = await site.answers.ask(lambda: site.services.responses.packets(order, who.name))
    except Permanent as error:
        raise web.HTTPNotFound(text=error.detail) from error
    if view.incident != request.match_info["incident"]:
        raise web.HTTPNotFound(text="there is no such order of this incident")
    headers = {"Content-Disposition": f'attachment; filename="{view.incident[:32]}-{view.id}.pcapng"'}
    return web.Response(body=data, content_type="application/x-pcapng", headers=headers)


def _verb(act: Verb) -> Callable[[web.Request, Site, Who], Awaitable[web.StreamResponse]]:
    """A form of the page: do it, and show the incident again. What may not be done says why."""

    async def handler(request: web.Request, site: Site, who: Who) -> web.StreamResponse:
        name = request.match_info["incident"]
        form: dict[str, Any] = {key: str(value) for key, value in (await request.post()).items()}
        form["order"] = request.match_info.get("order", "")
        await asyncio.to_thread(act, site, who, name, form)
        raise web.HTTPSeeOther(f"/incidents/{name}")

    return handler


def _grade(site: Site, who: Who, name: str, form: dict[str, str]) -> Incident:
    try:
        grade = Grade(form.get("grade", ""))
    except ValueError as error:
        raise Permanent("bad_grade", f"a grade is one of: {', '.join(g.value for g in Grade)}") from error
    return site.services.desk.grade(name, who.name, grade)


def _suppress(site: Site, who: Who, name: str, form: dict[str, str]) -> Incident:
    hours = form.get("hours", "")
    if not hours.isdecimal() or not 1 <= int(hours) <= 720:
        raise Permanent("bad_hours", "1 to 720 hours")
    until = site.services.clock.now_ms() + int(hours) * HOUR_MS
    return site.services.desk.suppress(name, who.name, until, form.get("reason", ""))


VERBS: dict[str, Verb] = {
    "acknowledge": lambda site, who, name, _: site.services.desk.acknowledge(name, who.name),
    "handle": lambda site, who, name, _: site.services.desk.handle(name, who.name),
    "note": lambda site, who, name, form: site.services.desk.note(name, who.name, form.get("text", "")),
    "hand-over": lambda site, who, name, form: site.services.desk.hand_over(name, who.name, form.get("to", "")),
    "grade": _grade,
    "reported": lambda site, who, name, form: site.services.desk.reported(
        name, who.name, form.get("clock", ""), form.get("note", "")
    ),
    "suppress": _suppress,
    "merge": lambda site, who, name, form: site.services.desk.merge(name, form.get("into", "").strip(), who.name),
    "close": lambda site, who, name, form: site.services.desk.close(name, who.name, form.get("reason", "")),
    "false-positive": lambda site, who, name, form: site.services.desk.false_positive(
        name, who.name, form.get("reason", "")
    ),
    "reopen": lambda site, who, name, form: site.services.desk.reopen(name, who.name, form.get("reason", "")),
    "packets": lambda site, who, name, _: site.services.responses.fetch(name, who.name),
    "orders/{order}/approve": lambda site, who, _, form: site.services.responses.approve(form["order"], who.name),
    "orders/{order}/refuse": lambda site, who, _, form: site.services.responses.refuse(
        form["order"], who.name, form.get("reason", "")
    ),
    "orders/{order}/again": lambda site, who, _, form: site.services.responses.again(form["order"], who.name),
    "orders/{order}/withdraw": lambda site, who, _, form: site.services.responses.withdraw(form["order"], who.name),
}


def _unit_of(request: web.Request, site: Site) -> Callable[[Incident], str]:
    """The unit's name in the reader's language."""
    index, view = site.services.inventory.current(), reader(request)

    def name(incident: Incident) -> str:
        unit = index.unit(incident.unit)
        return view.either(unit.name, unit.name_en) if unit is not None else incident.unit_name or incident.unit or "—"

    return name


ROUTES = (
    web.get("/incidents", needs(Role.VIEWER, every)),
    web.get("/incidents/{incident}", needs(Role.VIEWER, one)),
    web.get("/incidents/{incident}/report", needs(Role.VIEWER, draft)),
    web.get("/incidents/{incident}/orders/{order}/packets", needs(Role.OPERATOR, packets)),
    *(web.post("/incidents/{incident}/" + path, needs(Role.OPERATOR, _verb(act))) for path, act in VERBS.items()),
)
