"""What an action is: the seam between agent/actions/* and the part of the agent that carries out orders."""

from __future__ import annotations

from typing import Protocol

import msgspec

from telemetry.order import Order


class Effect(msgspec.Struct, frozen=True):
    """What the action's own rules have met since it was applied."""

    packets: int = 0
    bytes: int = 0
    detail: str = ""


class Action(Protocol):
    """One kind of containment, each with its undo. Both may be called twice and then change nothing.

    Raises Permanent (refused or impossible here: says why), Transient (tried again while the order is valid).
    """

    def act(self, order: Order) -> Effect: ...

    def measure(self, order: Order) -> Effect:
        """How often it was met so far; Permanent ``not_there`` where somebody took it away."""

    def undo(self, order: Order) -> None: ...
