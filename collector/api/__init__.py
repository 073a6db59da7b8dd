"""The HTTP API under /api/v1, one module a resource.

A resource module declares ``OPERATIONS``; routes and the OpenAPI description come from them. Most only read. Incidents
can be changed too, by whoever has the role for it, and that is audited.
"""

from __future__ import annotations

import importlib
from typing import Any

import msgspec
from aiohttp import web

from collector.api._openapi import document
from collector.api._operation import Operation
from telemetry.component import names


def operations() -> list[Operation[Any, Any]]:
    """Everything that the API offers."""
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names(__name__)]
    return [operation for module in modules for operation in module.OPERATIONS]


def routes() -> list[web.RouteDef]:
    """The API's routes, with its description at ``/api/openapi.json``."""
    offered = operations()
    text = msgspec.json.encode(document(offered))

    async def describe(_: web.Request) -> web.StreamResponse:
        return web.Response(body=text, content_type="application/json")

    return [web.get("/api/openapi.json", describe, allow_head=False), *(operation.route() for operation in offered)]
