"""``/h/TOKEN``: an incident on a telephone, without login: what it is, the evidence, and what to do, with one thumb.

The link in a page is the whole authority: for one person and one incident, with an end, taken away when that person
hands over. Every request looks at it anew. A form also brings back the secret that this page planted in a cookie, so no
other site can send it. What is refused is counted and audited; the audit never has a link that still opens something.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiohttp import web

from collector.access.throttle import network_of
from collector.console.render import ENVIRONMENT, reader
from collector.console.view import COOKIES, View
from collector.incidents.lifecycle import is_open
from collector.incidents.model import Incident
from collector.response.texts import STATES, why_text
from collector.security import too_many
from collector.signed_link import PATH, Link
from collector.site import NONCE_COOKIE, SITE, WHO, Site, client_ip
from collector.store import Found
from collector.views import incidents
from telemetry.errors import Permanent

ENTRIES = 8
EVIDENCE = 4
MAX_PEOPLE = 300
FIELDS = (
    *("source.mac", "source.ip", "destination.ip", "destination.port", "dns.question.name", "tengwang.interface.name"),
    *("tengwang.device.id", "tengwang.check.subject", "tengwang.ndp.type", "tengwang.ndp.prefixes", "agent.name"),
)
"""Of an alert, in this order, where it has them."""


async def show(request: web.Request) -> web.StreamResponse:
    """Changes nothing, so a preview in a chat does no harm."""
    site = request.app[SITE]
    try:
        link = await _open(request, site)
    except Permanent as error:
        return await _refused(request, site, error)
    return await _page(request, site, link)


async def act(request: web.Request) -> web.StreamResponse:
    """One of the page's forms."""
    site = request.app[SITE]
    try:
        link = await _open(request, site)
    except Permanent as error:
        return await _refused(request, site, error)
    form = {key: str(value) for key, value in (await request.post()).items()}
    try:
        await asyncio.to_thread(_do, site, link, form)
    except Permanent as error:
        return await _page(request, site, link, 409, error.detail or error.reason)
    raise web.HTTPSeeOther(f"{PATH}{request.match_info['token']}")


def _do(site: Site, link: Link, form: Mapping[str, str]) -> None:
    services, name, by = site.services, link.incident, link.person
    match form.get("act", ""):
        case "acknowledge":
            services.desk.acknowledge(name, by)
        case "note":
            services.desk.note(name, by, form.get("text", ""))
        case "hand_over":
            to = form.get("to", "")
            if to == by:
                raise Permanent("not_allowed", "it is yours already")
            services.desk.hand_over(name, by, to)
            services.paging.links.revoke(name, by, "handed_over")
        case "approve" | "refuse" as what:
            order = form.get("order", "")[:128]
            if all(one.id != order for one in services.responses.of_incident(name)):
                raise Permanent("not_allowed", "this action is not of this incident")
            if what == "approve":
                services.responses.approve(order, by)
            else:
                services.responses.refuse(order, by)
        case other:
            raise Permanent("bad_request", f"{other[:32]!r} can not be done here")


async def _open(request: web.Request, site: Site) -> Link:
    token = request.match_info["token"]
    return await asyncio.to_thread(site.services.paging.links.open, token)


async def _page(
    request: web.Request, site: Site, link: Link, status: int = 200, mistake: str = ""
) -> web.StreamResponse:
    services = site.services
    found = await asyncio.to_thread(incidents.detail, services, link.incident)
    if found is None:
        return await _refused(request, site, Permanent("bad_link", "the incident is not there any more"))
    view = _view(request, site, link.person)
    incident = found.incident
    unit = services.inventory.current().unit(incident.unit)
    return _render(
        request,
        view,
        status,
        refused="",
        link=link,
        mistake=mistake,
        i=incident,
        open=is_open(incident),
        unit=view.either(unit.name, unit.name_en) if unit is not None else incident.unit_name,
        evidence=[(row, _facts(view, row)) for row in found.evidence[:EVIDENCE]],
        entries=found.entries[:ENTRIES],
        rule=found.rule,
        actions=found.actions,
        states=STATES,
        why_text=why_text,
        people=_people(site, incident),
        names=incidents.people(services),
    )


async def _refused(request: web.Request, site: Site, error: Permanent) -> web.StreamResponse:
    """Says what to do instead, and not whether there ever was such a link."""
    services, client = site.services, client_ip(request)
    if error.reason == "bad_link" and (wait := site.by_token.take(network_of(client))):
        return too_many(wait, request)
    services.report.count("tengwang_page_links_refused_total", reason=error.reason)
    refusal = services.trail.refusal
    await asyncio.to_thread(refusal, "page-link-refused", error.reason, client=client, message=error.detail)
    return _render(request, reader(request), 403, refused=error.reason)


def _render(request: web.Request, view: View, status: int, **values: Any) -> web.Response:
    nonce = request.cookies.get(NONCE_COOKIE, "")
    if not 20 <= len(nonce) <= 64:
        nonce = secrets.token_urlsafe(24)
    who = request.get(WHO)
    text = ENVIRONMENT.get_template("handle.html").render(
        v=view, t=view.t, csrf=who.csrf if who is not None and who.session else nonce, **values
    )
    answer = web.Response(text=text, content_type="text/html", charset="utf-8", status=status)
    answer.headers["Content-Language"] = view.language
    answer.headers["X-Robots-Tag"] = "noindex"
    answer.set_cookie(NONCE_COOKIE, nonce, path="/", httponly=True, samesite="Strict", secure=request.secure)
    return answer


def _view(request: web.Request, site: Site, person: str) -> View:
    """In the person's language, unless this browser has another one chosen."""
    view = reader(request)
    known = site.services.inventory.current().person(person)
    if known is None or request.cookies.get(COOKIES["language"]):
        return view
    return replace(view, language=known.language)


def _facts(view: View, row: Found) -> list[tuple[str, str]]:
    made = []
    for name in FIELDS:
        value = row.doc.get(name)
        if value not in (None, "", []):
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            made.append((view.label(name), text[:120]))
    return made[:6]


def _people(site: Site, incident: Incident) -> list[tuple[str, str]]:
    """Who it may be handed to: who is on call and who is responsible first."""
    index = site.services.inventory.current()
    first = [*site.services.paging.duty.on_call(site.services.clock.now_ms()).values(), *incident.owners]
    every = dict.fromkeys([*first, *(person.id for person in index.inventory.people)])
    known = [found for name in every if (found := index.person(name)) is not None]
    return [(person.id, person.name) for person in known[:MAX_PEOPLE]]


ROUTES = (
    web.get(PATH + "{token}", show),
    web.post(PATH + "{token}", act),
)
