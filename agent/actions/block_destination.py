"""Drop every packet to one address: at the bridge, on the router, or what this host itself sends."""

from __future__ import annotations

import msgspec

from agent.action import ActionContext
from agent.fence import Effect, Fence, Match
from telemetry.errors import Permanent
from telemetry.order import Order


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """No options: what is allowed stands in ``[actions]``."""


class BlockDestination:
    def __init__(self, fence: Fence) -> None:
        self._fence = fence

    def act(self, order: Order) -> Effect:
        if not order.address:
            raise Permanent("bad_target", "a destination is blocked by its address")
        return self._fence.put(order, Match(destination=True))

    def measure(self, order: Order) -> Effect:
        return self._fence.measure(order)

    def undo(self, order: Order) -> None:
        self._fence.take_away(order.id)


def build(config: Config, context: ActionContext) -> BlockDestination:  # noqa: ARG001 - every action is built alike
    return BlockDestination(context.fence)
