"""An incident, and everything that is on record about it.

Kept as a state document ``incident/<id>`` that changes by compare-and-set, so two people never overwrite each other.
Each change also goes to the store as a record of ``Kind.INCIDENT`` with the whole document in it, so history, search
and dashboards never need the state documents; a document goes a while after its incident was closed.
"""

from __future__ import annotations

import enum

import msgspec

from telemetry.verdict import Text

PREFIX = "incident/"


class State(enum.StrEnum):
    """发现 通报 签收 处置 复核 归档, and 误报."""

    FOUND = "found"
    NOTIFIED = "notified"
    ACKNOWLEDGED = "acknowledged"
    HANDLING = "handling"
    VERIFYING = "verifying"
    CLOSED = "closed"
    FALSE_POSITIVE = "false_positive"


OPEN = frozenset({State.FOUND, State.NOTIFIED, State.ACKNOWLEDGED, State.HANDLING, State.VERIFYING})


class Grade(enum.StrEnum):
    """一般 较大 重大 特别重大 (GB/T 20986-2023); what starts a reporting clock, once a person confirms it."""

    GENERAL = "general"
    RELATIVELY_MAJOR = "relatively_major"
    MAJOR = "major"
    PARTICULARLY_MAJOR = "particularly_major"


class Entry(msgspec.Struct, frozen=True):
    """One attributed line of the record; never changed, never taken away. ``by`` is a person, a user or ``system``."""

    at_ms: int
    by: str
    action: str
    """alert, notified, acknowledged, note, evidence, handed_over, graded, state, merged, split, suppressed, order,
    verified, reopened, clock, report, page ..."""
    note: str = ""
    data: dict[str, str | int | float | bool | list[str]] = {}


class Subject(msgspec.Struct, frozen=True):
    """Who or what does it and whom it meets, as far as the alerts say; what an action is directed at."""

    source_ip: str = ""
    source_mac: str = ""
    destination_ip: str = ""
    asset: str = ""
    device: str = ""
    interface: str = ""
    check: str = ""
    check_subject: str = ""
    agent: str = ""
    """The agent that saw it: the one that may act on that segment and measure again."""


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    key: str
    """``tengwang.alert.key`` of its alerts. An open incident takes every alert of its key."""
    keys: tuple[str, ...] = ()
    """Keys of incidents that were merged into this one."""
    rule: str
    rules: tuple[str, ...] = ()
    title: Text
    category: str
    level: str
    """informational to critical, from rule, asset level and zone."""
    state: State = State.FOUND
    unit: str = ""
    unit_name: str = ""
    zone: str = ""
    owners: tuple[str, ...] = ()
    """Person ids: operator, user, authority of the asset, else of the unit."""
    assignee: str = ""
    subject: Subject = Subject()
    agents: tuple[str, ...] = ()
    """The agents that raised its alerts, bounded: while they can not see, silence proves nothing."""
    grade: Grade | None = None
    grade_ms: int = 0
    first_ms: int
    """Time of the first alert's event."""
    found_ms: int
    """When the collector made the incident: its clocks count from here."""
    last_ms: int
    """Time of the newest alert's event."""
    arrived_ms: int = 0
    """When its newest alert was looked at, by the leader's clock: quiet counts from here."""
    count: int = 0
    recent: tuple[str, ...] = ()
    """Ids of the newest alerts, bounded, so that a repeat is not counted twice."""
    sample: tuple[str, ...] = ()
    """Ids of the first alerts, bounded: the evidence."""
    acknowledged_ms: int = 0
    acknowledged_by: str = ""
    contained_ms: int = 0
    proof_ms: int = 0
    """Time of the newest measurement that shows that it is over."""
    verifying_ms: int = 0
    closed_ms: int = 0
    reopened: int = 0
    suppressed_until_ms: int = 0
    escalation_ms: int = 0
    """When the present round of escalation began; 0: not yet."""
    escalation_steps: int = 0
    """Steps of the present round that were carried out."""
    merged_into: str = ""
    cii: bool = False
    """The asset is critical information infrastructure: other reporting clocks hold."""
    clocks: dict[str, int] = {}
    """What came to pass with its reporting clocks, and when: ``<clock>:warning``, ``:overdue``, ``:done``."""
    blind: str = ""
    """Why nobody could see whether it goes on, when that was last looked at; empty while somebody can."""
    changed_ms: int = 0
    recorded_ms: int = 0
    """When its newest INCIDENT record was written: changes of the count alone are recorded once a minute."""
    entries: tuple[Entry, ...] = ()
    """The newest entries, bounded; older ones are in the INCIDENT records."""
    revision: int = 0


def encode(incident: Incident) -> bytes:
    return msgspec.json.encode(incident)


def decode(data: bytes) -> Incident:
    """Raises msgspec.DecodeError."""
    return msgspec.json.decode(data, type=Incident)
