"""Does a condition of collector/query.py hold for one document? As a store would say, for documents already in hand."""

from __future__ import annotations

import ipaddress

from collector.query import AnyOf, Cidr, Condition, Contains, Equals, Exists, Not, Range, Scalar
from telemetry.event import Event


def holds(doc: Event, condition: Condition) -> bool:
    match condition:
        case AnyOf(of=of):
            return any(holds(doc, inner) for inner in of)
        case Not(of=of):
            return not holds(doc, of)
        case Equals(field=name, values=wanted):
            return any(_same(value, one) for value in _values(doc, name) for one in wanted)
        case Cidr(field=name, prefix=prefix):
            return any(_within(value, prefix) for value in _values(doc, name))
        case Range(field=name, low=low, high=high):
            return any(
                (low is None or value >= low) and (high is None or value < high)
                for value in _values(doc, name)
                if not isinstance(value, str)
            )
        case Exists(field=name):
            return bool(_values(doc, name))
        case Contains(field=name, text=text):
            return any(_folded(text) in _folded(str(value)) for value in _values(doc, name))


def _values(doc: Event, name: str) -> list[Scalar]:
    held = doc.get(name, [])
    return list(held) if isinstance(held, list) else [held]


def _same(value: Scalar, wanted: Scalar) -> bool:
    return value == wanted and isinstance(value, bool) is isinstance(wanted, bool)


def _within(value: Scalar, prefix: str) -> bool:
    try:
        return ipaddress.ip_address(str(value)) in ipaddress.ip_network(prefix)
    except ValueError:
        return False


def _folded(text: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in text)
