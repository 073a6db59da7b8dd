"""What an alert is about, as one text: alerts with one key are one incident, and a proof has the key of its alerts.

A key is the family of the rule and the *values* of the fields that it groups by, without their names, so an alert and
the event that proves it over may have the same thing under other names. It is made from the event alone: the same on
every collector and for every delivery.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from collector.detect.values import text

UNIT = "tengwang.unit.id"
BY_DEFAULT = (
    "tengwang.asset.id",
    "tengwang.device.id",
    "tengwang.check.subject",
    "source.mac",
    "source.ip",
    "destination.ip",
    "agent.id",
)
"""Where a rule says nothing: the unit, and the first of these that the event has."""
ADDED = (
    *("tengwang.unit.", "tengwang.zone", "tengwang.asset.", "tengwang.owner."),
    *("tengwang.source.unit", "tengwang.source.zone", "tengwang.destination.unit", "tengwang.destination.zone"),
)
"""What the collector adds from its inventory: an event is about something also where these are not known."""
MAX = 500


def key(family: str, by: Sequence[str], event: Mapping[str, object]) -> str:
    """``family ["value", ...]``; what the event does not have is an empty text."""
    if not by:
        by = (UNIT, next((name for name in BY_DEFAULT if event.get(name) not in (None, "")), BY_DEFAULT[-1]))
    return keyed(family, [_value(event.get(name)) for name in by])


def keyed(family: str, values: Sequence[str]) -> str:
    return f"{family} {joined(values)}"


def known(by: Sequence[str], event: Mapping[str, object]) -> bool:
    """Is the event about something that these fields name?"""
    return not by or any(event.get(name) not in (None, "") for name in by)


def group(by: Sequence[str], event: Mapping[str, object]) -> str | None:
    """The group of an event, of which it must have every field that an agent sends; None where it has not."""
    values = []
    for name in by:
        value = event.get(name)
        if value is None and not name.startswith(ADDED):
            return None
        values.append(_value(value))
    return joined(values)


def joined(values: Sequence[str]) -> str:
    """Readable, without doubt about where one value ends, and never too long for a keyword."""
    whole = msgspec.json.encode(values).decode()
    if len(whole) <= MAX:
        return whole
    return msgspec.json.encode(["#" + hashlib.blake2b(whole.encode(), digest_size=16).hexdigest()]).decode()


def _value(value: object) -> str:
    if isinstance(value, list):
        return " ".join(sorted(map(text, value)))
    return text(value)
