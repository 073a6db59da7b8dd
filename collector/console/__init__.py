"""The web console: pages rendered on the server, live parts over server-sent events, nothing loaded from elsewhere."""

from __future__ import annotations

import importlib

from aiohttp import web

from collector.access.roles import Role
from collector.console.render import serve_static
from collector.console.stream import live
from collector.security import needs
from telemetry.component import names

PAGES = "collector.console.pages"


def routes() -> list[web.RouteDef]:
    """Every page's routes, our static files, and the live stream."""
    modules = [importlib.import_module(f"{PAGES}.{name}") for name in names(PAGES)]
    made = [route for module in modules for route in module.ROUTES]
    return [
        web.get("/static/{version}/{name}", serve_static),
        web.get("/live", needs(Role.VIEWER, live), allow_head=False),
        *made,
    ]
