"""``/actions``: what agents are ordered to do, what became of it, and the decisions about it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Annotated

import msgspec

from collector.access.roles import Role
from collector.api._operation import Nothing, Operation
from collector.response.model import State, View
from collector.response.texts import STATES, why_text
from collector.site import Site, Who
from telemetry.clock import iso, parse_iso
from telemetry.errors import Permanent
from telemetry.verdict import Text

Meta = msgspec.Meta
LATEST_MS = 1 << 42
OrderId = Annotated[str, Meta(description="Id of the order", max_length=64)]


class ActionsAsked(msgspec.Struct, frozen=True):
    incident: Annotated[str, Meta(description="Only those of this incident", max_length=64)] = ""
    state: Annotated[
        str, Meta(description="Only those in this state: " + ", ".join(State), pattern="^[a-z_]*$", max_length=32)
    ] = ""


class ActionAsked(msgspec.Struct, frozen=True):
    order: OrderId


class ActionRefused(msgspec.Struct, frozen=True):
    order: OrderId
    reason: Annotated[str, Meta(description="Why; it stays on record", max_length=500)] = ""


class PacketsAsked(msgspec.Struct, frozen=True):
    incident: Annotated[str, Meta(description="Id of the incident", max_length=64)]
    around: Annotated[
        str, Meta(description="The moment, RFC 3339; empty is when the incident began", max_length=40)
    ] = ""
    seconds: Annotated[int, Meta(description="How far before and behind it", ge=1, le=3600)] = 60


class PacketsView(msgspec.Struct, frozen=True):
    """``data``: a pcapng in base64."""

    order: str
    incident: str
    agent: str
    asked_by: str
    asked: str
    data: str


class ActionView(msgspec.Struct, frozen=True):
    """``state`` and ``why`` are stable words; their sentences are in ``state_text`` and ``why_text``. Times are empty
    where something did not happen."""

    id: str
    incident: str
    action: str
    title: Text
    target: str
    state: str
    state_text: Text
    why: str
    why_text: Text
    detail: str
    agent: str
    agent_name: str
    scope: str
    automatic: bool
    proposed: str
    decided: str
    decided_by: str
    applied: str
    reported: str
    until: str
    ttl_seconds: int
    packets: int
    bytes: int
    verifies: str


class ActionList(msgspec.Struct, frozen=True):
    actions: tuple[ActionView, ...]


class AbleAgent(msgspec.Struct, frozen=True):
    """``scope``: segment (a bridge), routed (a router) or host (only itself)."""

    agent: str
    unit: str
    allowed: tuple[str, ...]
    scope: str


class AbilityList(msgspec.Struct, frozen=True):
    agents: tuple[AbleAgent, ...]


def answer(view: View) -> ActionView:
    return ActionView(
        id=view.id,
        incident=view.incident,
        action=view.action.value,
        title=view.title,
        target=view.target,
        state=view.state.value,
        state_text=STATES[view.state],
        why=view.why,
        why_text=why_text(view.why),
        detail=view.detail,
        agent=view.agent,
        agent_name=view.agent_name,
        scope=view.scope,
        automatic=view.automatic,
        proposed=_time(view.proposed_ms),
        decided=_time(view.decided_ms),
        decided_by=view.decided_by,
        applied=_time(view.applied_ms),
        reported=_time(view.reported_ms),
        until=_time(view.until_ms),
        ttl_seconds=view.ttl_ms // 1000,
        packets=view.packets,
        bytes=view.bytes,
        verifies=view.verifies,
    )


def _time(at_ms: int) -> str:
    return iso(at_ms) if at_ms else ""


async def every(site: Site, _who: Who, asked: ActionsAsked) -> ActionList:
    found = await site.answers.ask(site.services.responses.every)
    return ActionList(
        tuple(
            answer(view)
            for view in found
            if asked.incident in ("", view.incident) and asked.state in ("", view.state.value)
        )
    )


async def one(site: Site, _who: Who, asked: ActionAsked) -> ActionView:
    return answer(await site.answers.ask(lambda: site.services.responses.get(asked.order)))


async def able(site: Site, _who: Who, _asked: Nothing) -> AbilityList:
    found = await site.answers.ask(site.services.responses.abilities)
    return AbilityList(tuple(AbleAgent(a.agent, a.unit, tuple(sorted(a.allowed)), a.scope.value) for a in found))


async def approve(site: Site, who: Who, asked: ActionAsked) -> ActionView:
    return await _decided(site, lambda: site.services.responses.approve(asked.order, who.name))


async def refuse(site: Site, who: Who, asked: ActionRefused) -> ActionView:
    return await _decided(site, lambda: site.services.responses.refuse(asked.order, who.name, asked.reason))


async def withdraw(site: Site, who: Who, asked: ActionAsked) -> ActionView:
    return await _decided(site, lambda: site.services.responses.withdraw(asked.order, who.name))


async def again(site: Site, who: Who, asked: ActionAsked) -> ActionView:
    return await _decided(site, lambda: site.services.responses.again(asked.order, who.name))


async def fetch(site: Site, who: Who, asked: PacketsAsked) -> ActionView:
    try:
        around = parse_iso(asked.around) if asked.around else 0
    except ValueError as error:
        raise Permanent("bad_parameter", f"around: {error}") from error
    if asked.around and not 0 < around < LATEST_MS:
        raise Permanent("bad_parameter", "around: out of bounds")
    return await _decided(site, lambda: site.services.responses.fetch(asked.incident, who.name, around, asked.seconds))


async def packets(site: Site, who: Who, asked: ActionAsked) -> PacketsView:
    view, data = await site.answers.ask(lambda: site.services.responses.packets(asked.order, who.name))
    return PacketsView(
        view.id, view.incident, view.agent, view.decided_by, _time(view.decided_ms), base64.b64encode(data).decode()
    )


async def _decided(site: Site, decide: Callable[[], View]) -> ActionView:
    return answer(await site.answers.ask(decide))


TAG, ONE = "actions", "/actions/{order}"
OPERATIONS = (
    Operation("/actions", "list_actions", TAG, "Orders to agents, oldest first", ActionsAsked, ActionList, every),
    Operation(ONE, "get_action", TAG, "One order", ActionAsked, ActionView, one),
    Operation("/abilities", "list_abilities", TAG, "Which agents may do what", Nothing, AbilityList, able),
    Operation(
        ONE + "/approve", "approve_action", TAG, "The agent may begin now", ActionAsked, ActionView, approve,
        Role.OPERATOR, "POST",
    ),
    Operation(
        ONE + "/refuse", "refuse_action", TAG, "Say no", ActionRefused, ActionView, refuse, Role.OPERATOR, "POST"
    ),
    Operation(
        ONE + "/withdraw", "withdraw_action", TAG, "Undo it now", ActionAsked, ActionView, withdraw,
        Role.OPERATOR, "POST",
    ),
    Operation(
        "/incidents/{incident}/packets", "fetch_packets", TAG, "Have the packets around a moment sent by the agent",
        PacketsAsked, ActionView, fetch, Role.OPERATOR, "POST",
    ),
    Operation(
        ONE + "/packets", "get_packets", TAG, "The packets that were sent, as pcapng", ActionAsked, PacketsView,
        packets, Role.OPERATOR,
    ),
    Operation(
        ONE + "/again", "propose_action_again", TAG, "Propose once more what is over", ActionAsked, ActionView, again,
        Role.OPERATOR, "POST",
    ),
)  # fmt: skip
