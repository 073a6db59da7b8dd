"""What an incident has to know of the rule behind its alerts, wherever that comes from."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from telemetry.verdict import Text

HOUR_MS = 3_600_000
NOTHING = Text("", "")


class RuleFacts(msgspec.Struct, frozen=True):
    """``quiet_ms``: so long no further alert, while somebody can see, shows that it is over. ``proof``: and there must
    also be an event that shows the good state."""

    id: str
    title: Text
    level: str
    category: str
    datasets: tuple[str, ...] = ()
    quiet_ms: int = HOUR_MS
    proof: bool = False
    over_when: Text = NOTHING
    description: Text = NOTHING
    action: Text = NOTHING


Rules = Callable[[str], RuleFacts | None]
"""The facts of a rule by its id; None for a rule that is not in use (any more)."""
