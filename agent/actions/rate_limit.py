"""Let so many packets a second of one MAC or address pass, and drop the others. Only what is dropped is counted."""

from __future__ import annotations

import msgspec

from agent.action import ActionContext
from agent.fence import Effect, Fence, Match
from telemetry.errors import Permanent
from telemetry.order import Order


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """No options: what is allowed stands in ``[actions]``."""


class RateLimit:
    def __init__(self, fence: Fence) -> None:
        self._fence = fence

    def act(self, order: Order) -> Effect:
        if order.packets_per_second < 1:
            raise Permanent("bad_target", "it does not say how many packets a second")
        return self._fence.put(order, Match(over_a_second=order.packets_per_second))

    def measure(self, order: Order) -> Effect:
        return self._fence.measure(order)

    def undo(self, order: Order) -> None:
        self._fence.take_away(order.id)


def build(config: Config, context: ActionContext) -> RateLimit:  # noqa: ARG001 - every action is built alike
    return RateLimit(context.fence)
