"""An order: what a collector asks one agent to do on its segment, for a while; and what the agent says of it.

Signed by the collector's authority over the exact bytes, bound to one agent, with an end, and carried out once: the
agent keeps the ids of what it has seen until they are long expired. What its local policy does not allow it refuses.

- ``GET  /agent/v1/orders``   SignedOrders as JSON: all that are meant for this agent and not over; 304 by ETag
"""

from __future__ import annotations

import enum

import msgspec

ORDERS_PATH = "/agent/v1/orders"


class Action(enum.StrEnum):
    BLOCK_SOURCE = "block_source"
    BLOCK_DESTINATION = "block_destination"
    RATE_LIMIT = "rate_limit"
    DROP_ROGUE_RA = "drop_rogue_ra"
    RECHECK = "recheck"


class Phase(enum.StrEnum):
    """What the agent says: ``applied`` again and again with fresh counters while it holds."""

    APPLIED = "applied"
    REFUSED = "refused"
    FAILED = "failed"
    UNDONE = "undone"
    EXPIRED = "expired"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """``not_after_ms``: not begun later than this. ``until_ms``: undone by the agent itself at this time."""

    id: str
    agent: str
    action: Action
    issued_ms: int
    not_after_ms: int
    until_ms: int
    incident: str = ""
    mac: str = ""
    address: str = ""
    interface: str = ""
    """Empty: every interface of the segment that the agent stands on."""
    packets_per_second: int = 0
    check: str = ""
    subject: str = ""
    approved_by: str = ""
    withdraw: bool = False
    """Undo now: a later order with the same id takes the place of the first."""
    serial: int = 0
    """Higher in each later order with the same id."""


class SignedOrder(msgspec.Struct, frozen=True):
    """``payload`` is the JSON of an Order; ``signature`` is over exactly these bytes (base64)."""

    payload: str
    signature: str


class SignedOrders(msgspec.Struct, frozen=True):
    orders: tuple[SignedOrder, ...] = ()
