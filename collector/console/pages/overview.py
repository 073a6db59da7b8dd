"""``/``: the situation at a glance."""

from __future__ import annotations

from aiohttp import web

from collector.access.roles import Role
from collector.console import parts
from collector.console.render import page
from collector.security import needs
from collector.site import Site, Who


async def overview(request: web.Request, site: Site, _who: Who) -> web.StreamResponse:
    now = await parts.situation(site)
    health = await parts.collector_health(site)
    return page(request, "overview.html", now=now, health=health.value)


ROUTES = (web.get("/", needs(Role.VIEWER, overview)),)
