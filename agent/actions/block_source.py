"""Drop every packet of one MAC or address: at the bridge, on the router, or what comes to this host."""

from __future__ import annotations

import msgspec

from agent.action import ActionContext
from agent.fence import Effect, Fence, Match
from telemetry.order import Order


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """No options: what is allowed stands in ``[actions]``."""


class BlockSource:
    def __init__(self, fence: Fence) -> None:
        self._fence = fence

    def act(self, order: Order) -> Effect:
        return self._fence.put(order, Match())

    def measure(self, order: Order) -> Effect:
        return self._fence.measure(order)

    def undo(self, order: Order) -> None:
        self._fence.take_away(order.id)


def build(config: Config, context: ActionContext) -> BlockSource:  # noqa: ARG001 - every action is built alike
    return BlockSource(context.fence)
