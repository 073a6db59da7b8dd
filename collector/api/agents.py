"""``/agents``: the enrolled agents, their ledgers and inputs."""

from __future__ import annotations

from typing import Annotated

import msgspec

from collector.api._operation import Nothing, Operation
from collector.site import Site, Who
from collector.views.agents import AgentView, agents
from telemetry.errors import Permanent


class AgentList(msgspec.Struct, frozen=True):
    agents: tuple[AgentView, ...]


class OneAgent(msgspec.Struct, frozen=True):
    agent: Annotated[str, msgspec.Meta(description="The agent's id", max_length=128)]


async def every(site: Site, _who: Who, _: Nothing) -> AgentList:
    return AgentList(await site.answers.ask(lambda: agents(site.services)))


async def one(site: Site, _who: Who, asked: OneAgent) -> AgentView:
    found = next((a for a in (await every(site, _who, Nothing())).agents if a.id == asked.agent), None)
    if found is None:
        raise Permanent("not_found", f"there is no agent {asked.agent!r}")
    return found


OPERATIONS = (
    Operation("/agents", "list_agents", "agents", "All agents, those with trouble first", Nothing, AgentList, every),
    Operation("/agents/{agent}", "get_agent", "agents", "One agent", OneAgent, AgentView, one),
)
