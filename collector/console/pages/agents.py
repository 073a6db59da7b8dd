"""``/agents``: who measures, what each can see, and whether its ledger adds up."""

from __future__ import annotations

from aiohttp import web

from collector.access.roles import Role
from collector.console import parts
from collector.console.render import page
from collector.security import needs
from collector.site import Site, Who
from telemetry.errors import Permanent


async def every(request: web.Request, site: Site, _who: Who) -> web.StreamResponse:
    return page(request, "agents.html", answer=await parts.all_agents(site))


async def one(request: web.Request, site: Site, _who: Who) -> web.StreamResponse:
    answer = await parts.all_agents(site)
    agent = next((a for a in answer.value or () if a.id == request.match_info["agent"]), None)
    if agent is None and answer.known:
        raise web.HTTPNotFound(text="there is no such agent")
    epochs = site.services.ledgers.account(request.match_info["agent"]).epochs if agent else ()
    return page(request, "agent.html", agent=agent, answer=answer, epochs=epochs)


async def revoke(request: web.Request, site: Site, who: Who) -> web.StreamResponse:
    """Refuse an agent's certificate from now on."""
    agent = request.match_info["agent"]
    form = await request.post()
    if form.get("confirm") != agent:
        raise Permanent("not_confirmed", "type the agent's id to confirm")
    await site.answers.ask(lambda: site.services.registry.revoke(agent, who.name))
    raise web.HTTPSeeOther(f"/agents/{agent}")


ROUTES = (
    web.get("/agents", needs(Role.VIEWER, every)),
    web.get("/agents/{agent}", needs(Role.VIEWER, one)),
    web.post("/agents/{agent}/revoke", needs(Role.ADMIN, revoke)),
)
