"""What is on record about one order, and in which state it is.

Kept as a state document ``order/<id>`` that changes by compare-and-set. The id is made of the incident, the action,
its target and the agent, so what is proposed twice is one order. A person approves it; what is sent to the agent is the
signed order in it; what the agent and the others say of it is judged by collector/response/judgement.py.
"""

from __future__ import annotations

import enum
import hashlib

import msgspec

from telemetry.order import Action, Scope, SignedOrder
from telemetry.verdict import Text

PREFIX = "order/"


class State(enum.StrEnum):
    PROPOSED = "proposed"
    APPROVED = "approved"
    """Signed; the agent has not asked for it yet."""
    ORDERED = "ordered"
    """The agent has it."""
    APPLIED = "applied"
    """Its rules are there; whether they help is being measured."""
    EFFECTIVE = "effective"
    """The rules met packets, and another view no longer sees what raised the incident."""
    APPLIED_NOT_EFFECTIVE = "applied_not_effective"
    UNKNOWN = "unknown"
    REFUSED = "refused"
    """By a person, by what is protected, or by the agent's own policy."""
    FAILED = "failed"
    EXPIRED = "expired"
    UNDOING = "undoing"
    UNDONE = "undone"
    UNDO_NOT_VERIFIED = "undo_not_verified"


IN_FORCE = frozenset({State.APPLIED, State.EFFECTIVE, State.APPLIED_NOT_EFFECTIVE, State.UNKNOWN})
OVER = frozenset({State.REFUSED, State.FAILED, State.EXPIRED, State.UNDONE, State.UNDO_NOT_VERIFIED})
PAGED = frozenset({State.APPLIED_NOT_EFFECTIVE, State.UNKNOWN, State.FAILED, State.EXPIRED, State.UNDO_NOT_VERIFIED})
"""A person must hear of these: what was approved does not hold."""


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """What a playbook says should be done about an incident. ``why`` is not empty where it can not be done."""

    playbook: str
    title: Text
    action: Action
    agent: str = ""
    scope: Scope | None = None
    mac: str = ""
    address: str = ""
    interface: str = ""
    packets_per_second: int = 0
    check: str = ""
    subject: str = ""
    ttl_ms: int
    begin_ms: int
    automatic: bool = False
    around_ms: int = 0
    seconds: int = 0
    """Of evidence: the moment, and how far before and behind it."""
    verify_by: str = ""
    verifies: str = ""
    """Id of the order whose effect this one measures."""
    why: str = ""

    @property
    def target(self) -> str:
        """What it is directed at, in one line."""
        return " ".join(filter(None, (self.mac, self.address))) or " ".join(filter(None, (self.check, self.subject)))


class Reports(msgspec.Struct, frozen=True):
    """What the agent said so far, by its own clock; 0 is never."""

    applied_ms: int = 0
    reported_ms: int = 0
    """Newest ``applied``, with its counters."""
    packets: int = 0
    bytes: int = 0
    refused_ms: int = 0
    failed_ms: int = 0
    expired_ms: int = 0
    undone_ms: int = 0
    undo_verified: bool = False
    """The agent looked after the undo, and its rules were not there."""
    reason: str = ""
    detail: str = ""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The document. Times are the collector's clock."""

    id: str
    incident: str
    proposal: Proposal
    attempt: int = 1
    state: State = State.PROPOSED
    why: str = ""
    """A short stable word: ``nothing_met``, ``no_second_view``, ``protected`` ..."""
    detail: str = ""
    proposed_ms: int
    decided_ms: int = 0
    decided_by: str = ""
    withdrawn_ms: int = 0
    withdrawn_by: str = ""
    not_after_ms: int = 0
    until_ms: int = 0
    ordered_ms: int = 0
    signed: SignedOrder | None = None
    reports: Reports = Reports()
    said: State | None = None
    """The state that the incident was last told of."""


class View(msgspec.Struct, frozen=True):
    """One order as people see it."""

    id: str
    incident: str
    action: Action
    title: Text
    target: str
    state: State
    why: str
    detail: str
    agent: str
    agent_name: str
    scope: str
    automatic: bool
    proposed_ms: int
    decided_ms: int
    decided_by: str
    applied_ms: int
    reported_ms: int
    until_ms: int
    ttl_ms: int
    packets: int
    bytes: int
    verifies: str = ""
    because: Text = Text("", "")
    """``why`` in words."""


def order_id(incident: str, proposal: Proposal, attempt: int = 1) -> str:
    """The same for every collector and every look at the incident."""
    parts = (incident, proposal.action, proposal.agent, proposal.target, proposal.verifies, str(attempt))
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=10).hexdigest()


def encode(kept: Kept) -> bytes:
    return msgspec.json.encode(kept)


def decode(data: bytes) -> Kept:
    """Raises msgspec.DecodeError."""
    return msgspec.json.decode(data, type=Kept)
