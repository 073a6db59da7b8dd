"""Make a readiness check now, of what happens from now on, and tell what it finds. There is nothing to undo."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from agent.action import ActionContext
from agent.fence import Effect
from telemetry.order import Order


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """No options: how a check measures stands with the input ``readiness``."""


class Recheck:
    def __init__(self, remeasure: Callable[[Order], str]) -> None:
        self._remeasure = remeasure

    def act(self, order: Order) -> Effect:
        return Effect(detail=self._remeasure(order))

    def measure(self, order: Order) -> Effect:  # noqa: ARG002 - nothing is left behind to be measured
        return Effect()

    def undo(self, order: Order) -> None:
        """There is nothing to undo."""


def build(config: Config, context: ActionContext) -> Recheck:  # noqa: ARG001 - every action is built alike
    return Recheck(context.remeasure)
