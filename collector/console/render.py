"""Templates to pages. Everything is escaped unless the program itself made it; an unknown name is an error."""

from __future__ import annotations

import hashlib
import importlib.resources
import json
from typing import Any

import jinja2
from aiohttp import web

from collector.access.roles import Role
from collector.console import charts
from collector.console.view import LANGUAGES, THEMES, ZONES, View, view_of
from collector.dead_man import Trouble
from collector.site import NONCE_COOKIE, SITE, WHO
from collector.views.events import summary
from telemetry.event import Event
from telemetry.fields import FIELDS, Type

FILES = importlib.resources.files("collector.console")
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def _static() -> dict[str, tuple[bytes, str]]:
    found = {}
    for entry in FILES.joinpath("static").iterdir():
        suffix = "." + entry.name.rpartition(".")[2]
        if suffix in TYPES:
            found[entry.name] = (entry.read_bytes(), TYPES[suffix])
    return found


STATIC = _static()
VERSION = hashlib.sha256(b"".join(name.encode() + STATIC[name][0] for name in sorted(STATIC))).hexdigest()[:12]
"""Part of every static address, so a browser may keep a file for ever and still gets the new one after an update."""


def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: FILES.joinpath("templates", name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals.update(
        charts=charts, static=f"/static/{VERSION}", Role=Role, LANGUAGES=LANGUAGES, THEMES=THEMES, ZONES=ZONES
    )
    made.globals["summary"] = summary
    made.globals["dates"] = frozenset(field.name for field in FIELDS if field.type is Type.DATE)
    made.filters["quoted"] = lambda value: '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    made.filters["pretty"] = lambda value: json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
    return made


ENVIRONMENT = _environment()
_menu_of: list[tuple[str, str, str]] = [
    ("/", "Overview", "overview"),
    ("/posture", "Posture", "posture"),
    ("/wall", "Wall", "wall"),
    ("/agents", "Agents", "agents"),
    ("/events", "Events", "events"),
    ("/incidents", "Incidents", "incidents"),
    ("/on-call", "On call", "oncall"),
    ("/alerts", "Alerts", "alerts"),
    ("/devices", "Devices", "devices"),
    ("/readiness", "Readiness", "readiness"),
    ("/rules", "Rules", "rules"),
    ("/aside", "Set aside", "aside"),
    ("/health", "Health", "health"),
]
_menu_of_admin = [("/audit", "Audit", "audit"), ("/users", "Users", "users")]


def page(request: web.Request, template: str, status: int = 200, **values: Any) -> web.Response:
    """Render a page for whoever asks. ``values`` are the template's own."""
    who = request.get(WHO)
    view = view_of(request, request.app[SITE].services.clock.now_ms(), who)
    menu = [*_menu_of, *(_menu_of_admin if who is not None and who.role is Role.ADMIN else [])]
    text = ENVIRONMENT.get_template(template).render(
        v=view,
        t=view.t,
        who=who,
        menu=menu if who is not None else [],
        csrf=who.csrf if who is not None else request.cookies.get(NONCE_COOKIE, ""),
        here="/" + request.path.strip("/").partition("/")[0],
        unit_name=lambda doc: _unit_name(request, view, doc),
        troubles=_troubles(request) if who is not None else (),
        **values,
    )
    answer = web.Response(text=text, content_type="text/html", charset="utf-8", status=status)
    answer.headers["Content-Language"] = view.language
    answer.headers["Vary"] = "Accept-Language, Cookie"
    return answer


def _troubles(request: web.Request) -> tuple[Trouble, ...]:
    """Why people can not be paged: on every page, for an open page may be the only way left. That no channel is
    configured at all is said on the on-call page."""
    found = request.app[SITE].services.paging.dead_man.troubles
    return tuple(trouble for trouble in found if trouble.code != "no_channel")


def _unit_name(request: web.Request, view: View, doc: Event) -> str:
    """The unit of a record in the reader's language, where the inventory still has it."""
    known = request.app[SITE].services.inventory.current().unit(str(doc.get("tengwang.unit.id", "")))
    if known is not None:
        return view.either(known.name, known.name_en)
    return str(doc.get("tengwang.unit.name", "") or doc.get("tengwang.unit.id", ""))


def reader(request: web.Request) -> View:
    """The view of whoever asks, for a handler that words something itself."""
    return view_of(request, request.app[SITE].services.clock.now_ms(), request.get(WHO))


def error_page(request: web.Request, status: int, reason: str, detail: str) -> web.Response:
    """What a person sees when something is refused or went wrong."""
    return page(request, "error.html", status, reason=reason, detail=detail, code=status)


async def serve_static(request: web.Request) -> web.StreamResponse:
    """One of our own files, from memory."""
    name = request.match_info["name"]
    if request.match_info["version"] != VERSION or name not in STATIC:
        raise web.HTTPNotFound
    body, kind = STATIC[name]
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return web.Response(body=body, content_type=kind, charset="utf-8", headers=headers)
