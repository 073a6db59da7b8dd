"""``/on-call``: who is on call now and next, who stands in for whom, and what became of every page."""

from __future__ import annotations

import datetime

from aiohttp import web

from collector.access.roles import Role
from collector.console.render import page, reader
from collector.console.view import ZONES
from collector.security import needs, record
from collector.site import Site, Who
from collector.views import incidents, oncall
from telemetry.clock import EPOCH
from telemetry.errors import Permanent


async def show(request: web.Request, site: Site, who: Who) -> web.StreamResponse:
    return await _page(request, site, who)


async def add(request: web.Request, site: Site, who: Who) -> web.StreamResponse:
    """Somebody stands in for a while; times are those of the reader's clock on the wall."""
    form = {key: str(value) for key, value in (await request.post()).items()}
    zone = ZONES[reader(request).zone][0]
    try:
        begin, end = _moment(form.get("from", ""), zone), _moment(form.get("until", ""), zone)
        begin = begin or site.services.clock.now_ms()
        duty, note = site.services.paging.duty, form.get("note", "")
        made = await site.answers.ask(
            lambda: duty.add(form.get("rotation", ""), form.get("person", ""), begin, end, who.name, note)
        )
    except Permanent as error:
        await record(request, site, "override-add", "failure", who, error.reason)
        return await _page(request, site, who, 400, error.detail)
    await record(request, site, "override-add", "success", who, f"{made.rotation}: {made.person}")
    raise web.HTTPSeeOther("/on-call")


async def remove(request: web.Request, site: Site, who: Who) -> web.StreamResponse:
    name = request.match_info["override"]
    try:
        gone = await site.answers.ask(lambda: site.services.paging.duty.remove(name))
    except Permanent as error:
        return await _page(request, site, who, 400, error.detail)
    await record(request, site, "override-remove", "success", who, f"{gone.rotation}: {gone.person}")
    raise web.HTTPSeeOther("/on-call")


async def change_page(request: web.Request, site: Site, who: Who) -> web.StreamResponse:
    """A dead letter: sent once more, or seen to."""
    form = {key: str(value) for key, value in (await request.post()).items()}
    outbox, name, act = site.services.paging.outbox, form.get("page", "")[:300], form.get("act", "")
    change = {"again": outbox.revive, "seen": outbox.see}.get(act)
    if change is None:
        raise Permanent("bad_request", f"{act[:32]!r} can not be done to a page")
    try:
        await site.answers.ask(lambda: change(name, who.name))
    except Permanent as error:
        return await _page(request, site, who, 400, error.detail)
    await record(request, site, f"page-{act}", "success", who, name)
    raise web.HTTPSeeOther("/on-call")


async def _page(request: web.Request, site: Site, who: Who, status: int = 200, mistake: str = "") -> web.StreamResponse:
    found = await site.answers.ask(lambda: oncall.oncall(site.services))
    return page(
        request,
        "oncall.html",
        status,
        found=found,
        mistake=mistake,
        acts=who.role.allows(Role.OPERATOR),
        people=incidents.people(site.services),
        languages_zone=reader(request).zone_name,
    )


def _moment(text: str, zone: datetime.tzinfo) -> int:
    """Of ``2026-11-26T08:30``; 0 for nothing. Raises Permanent ``bad_time``."""
    if not text.strip():
        return 0
    try:
        local = datetime.datetime.fromisoformat(text.strip()).replace(tzinfo=zone)
        return int((local - EPOCH) // datetime.timedelta(milliseconds=1))
    except (ValueError, OverflowError) as error:
        raise Permanent("bad_time", f"{text[:32]!r} is not a time") from error


ROUTES = (
    web.get("/on-call", needs(Role.VIEWER, show)),
    web.post("/on-call/overrides", needs(Role.OPERATOR, add)),
    web.post("/on-call/overrides/{override}/remove", needs(Role.OPERATOR, remove)),
    web.post("/on-call/pages", needs(Role.OPERATOR, change_page)),
)
