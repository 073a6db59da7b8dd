"""``/readiness``: systems x checks, and one system with evidence and advice."""

from __future__ import annotations

from aiohttp import web

from collector.access.roles import Role
from collector.console import parts
from collector.console.render import page
from collector.security import needs
from collector.site import Site, Who
from collector.views.readiness import checks


async def every(request: web.Request, site: Site, _who: Who) -> web.StreamResponse:
    answer = await parts.all_readiness(site)
    return page(request, "readiness.html", answer=answer, assets=answer.value or (), checks=checks(answer.value or ()))


async def one(request: web.Request, site: Site, _who: Who) -> web.StreamResponse:
    answer = await parts.all_readiness(site)
    asset = next((a for a in answer.value or () if a.id == request.match_info["asset"]), None)
    if asset is None and answer.known:
        raise web.HTTPNotFound(text="there is no such system")
    return page(request, "asset.html", asset=asset, answer=answer)


ROUTES = (
    web.get("/readiness", needs(Role.VIEWER, every)),
    web.get("/readiness/{asset:.+}", needs(Role.VIEWER, one)),
)
