"""Event: the one record that everything passes on.

An event is one flat mapping from dotted ECS names (``source.ip``) to plain values; what ECS lacks is under
``tengwang.``. Which names exist and what they hold is in ``telemetry/fields.py``. Times are integers,
milliseconds since 1970-01-01 UTC; IP addresses are RFC 5952 text.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Mapping

Value = str | int | float | bool | list[str] | list[int]
Event = dict[str, Value]

TIMESTAMP = "@timestamp"
AGENT_ID = "agent.id"
EPOCH = "tengwang.agent.epoch"
SEQUENCE = "tengwang.agent.sequence"


class Priority(enum.IntEnum):
    """What goes last when the spool must drop: higher stays longer. Stated per event by its dataset."""

    FLOW = 0
    METRIC = 1
    STATE = 2
    FINDING = 3
    LEDGER = 4


PRIORITY_OF_DATASET: Mapping[str, Priority] = {
    "tengwang.flow": Priority.FLOW,
    "tengwang.host": Priority.METRIC,
    "tengwang.snmp": Priority.METRIC,
    "tengwang.readiness": Priority.STATE,
    "tengwang.dns": Priority.METRIC,
    "tengwang.exporter": Priority.STATE,
    "tengwang.sources": Priority.FINDING,
    "tengwang.ndp": Priority.FINDING,
    "tengwang.arp": Priority.FINDING,
    "tengwang.dhcp": Priority.FINDING,
    "tengwang.terminals": Priority.FINDING,
    "tengwang.response": Priority.FINDING,
    "tengwang.evidence": Priority.FINDING,
    "tengwang.agent": Priority.LEDGER,
}


def priority(event: Event) -> Priority:
    """The priority of an event's dataset; a dataset without one counts as ``METRIC``."""
    return PRIORITY_OF_DATASET.get(str(event.get("event.dataset", "")), Priority.METRIC)


def event(timestamp_ms: int, dataset: str, action: str, kind: str = "event", **fields: Value) -> Event:
    """A new event. ``fields`` is for callers that build a mapping: ``event(..., **{"source.ip": "::1"})``."""
    made: Event = {TIMESTAMP: timestamp_ms, "event.dataset": dataset, "event.action": action, "event.kind": kind}
    made.update(fields)
    return made


def event_id(agent_id: str, epoch: int, sequence: int) -> str:
    """The deterministic id of an event: a repeated delivery has the same id and is recognised."""
    return f"{agent_id}-{epoch}-{sequence}"


def canonical_ip(text: str) -> str:
    """RFC 5952 text of an address, without zone and with IPv4-mapped addresses as IPv4. Raises ValueError."""
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
