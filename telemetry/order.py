"""An order: what a collector asks one agent to do on its segment, for a while; and what the agent says of it.

Signed by the collector's authority over the exact bytes, bound to one agent, with an end, and carried out once: the
agent keeps the ids of what it has seen until they are long expired. What its local policy does not allow it refuses.

- ``GET  /agent/v1/orders``   SignedOrders as JSON: all that are meant for this agent and not over; 304 by ETag

What the agent says are events of the dataset ``tengwang.response``: their action is a Phase, or ``ready`` for what
this agent may do and how far it reaches. A Scope is how much of the traffic an agent's rules can meet.
"""

from __future__ import annotations

import enum
import hashlib

import msgspec

from telemetry.errors import Permanent

ORDERS_PATH = "/agent/v1/orders"
DATASET = "tengwang.response"
EVIDENCE_DATASET = "tengwang.evidence"
"""Packets that an order asked for: a pcapng, compressed by zstd, in numbered parts."""
MAX_EVIDENCE = 1 << 20
"""Bytes of it, compressed."""
EVIDENCE_PART = 48_000
MAX_EVIDENCE_S = 3600
READY = "ready"
MAX_PAYLOAD = 4096
MAX_ORDERS = 200
SIGNED_AS = b"tengwang order 1\0"
"""Before the signed bytes: the authority's key also signs certificates, and neither may pass for the other."""


class Action(enum.StrEnum):
    BLOCK_SOURCE = "block_source"
    BLOCK_DESTINATION = "block_destination"
    RATE_LIMIT = "rate_limit"
    DROP_ROGUE_RA = "drop_rogue_ra"
    RECHECK = "recheck"
    EVIDENCE = "evidence"


CONTAINING = frozenset(Action) - {Action.RECHECK, Action.EVIDENCE}
"""Those that change what traffic passes, and so have an undo."""


class Phase(enum.StrEnum):
    """What the agent says: ``applied`` again and again with fresh counters while it holds."""

    APPLIED = "applied"
    REFUSED = "refused"
    FAILED = "failed"
    UNDONE = "undone"
    EXPIRED = "expired"


class Scope(enum.StrEnum):
    """Whom an agent's rules can protect, by where its host stands; the widest first."""

    SEGMENT = "segment"
    """It is the bridge: all that goes from one of its ports to another."""
    ROUTED = "routed"
    """It is a router: all that goes through it, not what neighbours on one segment say to each other."""
    HOST = "host"
    """Only itself."""


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
    around_ms: int = 0
    seconds: int = 0
    """Of evidence: the moment by the agent's clock, and how far before and behind it."""
    approved_by: str = ""
    withdraw: bool = False
    """Undo now: a later order with the same id takes the place of the first."""
    serial: int = 0
    """Higher in each later order with the same id."""

    @property
    def target(self) -> str:
        """What it is directed at, in one line."""
        return " ".join(filter(None, (self.mac, self.address))) or " ".join(filter(None, (self.check, self.subject)))


class SignedOrder(msgspec.Struct, frozen=True):
    """``payload`` is the JSON of an Order; ``signature`` is ECDSA P-256 over exactly these bytes (base64)."""

    payload: str
    signature: str


class SignedOrders(msgspec.Struct, frozen=True):
    """``version`` changes when anything in it does."""

    orders: tuple[SignedOrder, ...] = ()
    version: str = ""


def to_be_signed(payload: str) -> bytes:
    return SIGNED_AS + payload.encode()


def payload_of(order: Order) -> str:
    return msgspec.json.encode(order).decode()


def parse(payload: str) -> Order:
    """The order in a payload whose signature holds. Raises Permanent ``bad_order``."""
    if len(payload) > MAX_PAYLOAD:
        raise Permanent("bad_order", f"{len(payload)} characters, at most {MAX_PAYLOAD}")
    try:
        return msgspec.json.decode(payload, type=Order)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Permanent("bad_order", str(error)[:200]) from error


def bundle(orders: tuple[SignedOrder, ...]) -> SignedOrders:
    """With the version that its content has."""
    if not orders:
        return SignedOrders()
    digest = hashlib.sha256(b"\0".join(o.payload.encode() + b"\0" + o.signature.encode() for o in orders))
    return SignedOrders(orders, digest.hexdigest()[:16])


def decode(data: bytes) -> SignedOrders:
    """Raises msgspec.DecodeError where it is none."""
    return msgspec.json.decode(data, type=SignedOrders)
