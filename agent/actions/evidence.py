"""Send the packets of the evidence ring that are around a moment. There is nothing to undo."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from agent.action import ActionContext
from agent.fence import Effect
from telemetry.order import Order


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """No options: what is kept stands with the input ``packets``."""


class Evidence:
    def __init__(self, take_out: Callable[[Order], Effect]) -> None:
        self._take_out = take_out

    def act(self, order: Order) -> Effect:
        return self._take_out(order)

    def measure(self, order: Order) -> Effect:  # noqa: ARG002 - nothing is left behind to be measured
        return Effect()

    def undo(self, order: Order) -> None:
        """There is nothing to undo."""


def build(config: Config, context: ActionContext) -> Evidence:  # noqa: ARG001 - every action is built alike
    return Evidence(context.evidence)
