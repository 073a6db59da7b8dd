"""``/health``: the collector and its store; why it does not acknowledge, and what a person should put right."""

from __future__ import annotations

from aiohttp import web

from collector.access.roles import Role
from collector.console import parts
from collector.console.render import page
from collector.security import needs
from collector.site import Site, Who
from collector.views.health import notices


async def health(request: web.Request, site: Site, _who: Who) -> web.StreamResponse:
    return page(
        request,
        "health.html",
        answer=await parts.collector_health(site),
        notices=notices(site.services),
        rules=sorted(site.services.detector.rules(), key=lambda rule: rule.path),
    )


ROUTES = (web.get("/health", needs(Role.VIEWER, health)),)
