"""What a readiness check is: the seam between agent/checks/* and agent/inputs/readiness.py."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol

from telemetry.verdict import Verdict


class Scope(enum.StrEnum):
    """What a check is about, so what it is given: one domain of a system, one device, or the agent's segment."""

    SYSTEM = "system"
    DEVICE = "device"
    SEGMENT = "segment"


class Check(Protocol):
    """One check. ``check`` never raises for what the network does: that is a verdict."""

    scope: Scope

    async def check(self, subject: object) -> Sequence[Verdict]: ...
