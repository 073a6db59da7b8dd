"""What an action is: the seam between agent/actions/* and the part of the agent that carries out orders.

An action module has a frozen ``Config``, ``build(config, context)``, and one class with the verbs below.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from agent.fence import Effect, Fence
from telemetry.errors import Permanent
from telemetry.order import Order


def no_ring(_: Order) -> Effect:
    raise Permanent("no_ring", "this agent keeps no packets: evidence_mb of its input packets is 0")


class ActionContext(msgspec.Struct, frozen=True):
    """What an action may use of the world."""

    fence: Fence
    remeasure: Callable[[Order], str]
    """Make the check that the order names, now; what was found, in a line. Raises Permanent, Transient."""
    evidence: Callable[[Order], Effect] = no_ring
    """Send the packets that the order asks for. Raises Permanent."""


class Action(Protocol):
    """One kind of containment, each with its undo. Both may be called twice and then change nothing.

    Raises Permanent (refused or impossible here: says why), Transient (tried again while the order is valid).
    """

    def act(self, order: Order) -> Effect: ...

    def measure(self, order: Order) -> Effect:
        """How often it was met so far; Permanent ``not_there`` where somebody took it away."""

    def undo(self, order: Order) -> None: ...
