"""What the agent tells of its orders: events of the dataset ``tengwang.response``. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from agent.fence import Effect
from telemetry.errors import Permanent
from telemetry.event import Event, event
from telemetry.order import CONTAINING, DATASET, READY, Order, Phase

LATEST_MS = 4_102_444_800_000
"""The year 2100: an end beyond that is nonsense, and is not told as a time."""


def told(
    order: Order,
    phase: Phase,
    now_ms: int,
    effect: Effect | None = None,
    outcome: str = "",
    reason: str = "",
    message: str = "",
) -> Event:
    """One thing about one order. Without ``outcome`` only ``applied`` is a success."""
    made = event(now_ms, DATASET, phase.value, kind="state")
    made |= {
        "event.outcome": outcome or ("success" if phase is Phase.APPLIED else "failure"),
        "tengwang.order.id": order.id[:64],
        "tengwang.order.action": order.action.value,
        "tengwang.order.state": phase.value,
    }
    texts = {
        "event.reason": reason,
        "message": message[:500],
        "tengwang.order.target": order.target[:256],
        "tengwang.incident.id": order.incident[:64],
        "tengwang.order.scope": effect.detail if effect is not None and order.action in CONTAINING else "",
    }
    made |= {name: text for name, text in texts.items() if text}
    if 0 < order.until_ms < LATEST_MS:
        made["tengwang.order.expires"] = order.until_ms
    if effect is not None:
        made |= {"tengwang.order.packets": effect.packets, "tengwang.order.bytes": effect.bytes}
    return made


def unknown(now_ms: int, error: Permanent) -> Event:
    """Something that came as an order and is none of the collector's: nothing in it is believed, or repeated."""
    made = event(now_ms, DATASET, Phase.REFUSED.value, kind="state")
    made |= {"event.outcome": "failure", "event.reason": error.reason, "tengwang.order.state": Phase.REFUSED.value}
    return made | {"message": error.detail[:500]}


def ready(now_ms: int, allowed: Sequence[str], scope: str, why: str) -> Event:
    """What this agent may do, and whom its rules can protect; with why it can not contain although it may."""
    made = event(now_ms, DATASET, READY, kind="state")
    made |= {"tengwang.order.allowed": list(allowed), "tengwang.order.scope": scope}
    return made | ({"message": why[:500], "event.reason": "can_not_contain"} if why else {})
