"""``/devices``: network devices and hosts, with interfaces and addresses."""

from __future__ import annotations

from aiohttp import web

from collector.access.roles import Role
from collector.console import parts
from collector.console.render import page
from collector.security import needs
from collector.site import Site, Who


async def every(request: web.Request, site: Site, _who: Who) -> web.StreamResponse:
    return page(request, "devices.html", answer=await parts.all_devices(site))


async def one(request: web.Request, site: Site, _who: Who) -> web.StreamResponse:
    answer = await parts.all_devices(site)
    device = next((d for d in answer.value or () if d.id == request.match_info["device"]), None)
    if device is None and answer.known:
        raise web.HTTPNotFound(text="there is no such device")
    return page(request, "device.html", device=device, answer=answer)


ROUTES = (
    web.get("/devices", needs(Role.VIEWER, every)),
    web.get("/devices/{device}", needs(Role.VIEWER, one)),
)
