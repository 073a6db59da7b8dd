"""The query model said once more, as plainly as possible: a list of documents and a loop. Stores must agree with it."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterable, Sequence
from itertools import product

from collector.query import (
    MAX_SEARCHED,
    Aggregate,
    AnyOf,
    ByTime,
    Cidr,
    Condition,
    Contains,
    Equals,
    Exists,
    Latest,
    Measure,
    Not,
    Range,
    Row,
    Scalar,
    Search,
)
from collector.store import Found
from telemetry.event import Event
from telemetry.fields import BY_NAME, Type


def values(doc: Event, name: str) -> list[Scalar]:
    """The values of a field as queries see them."""
    if name not in doc:
        return []
    held = doc[name]
    every: list[Scalar] = list(held) if isinstance(held, list) else [held]
    kind = BY_NAME[name].type
    if kind is Type.TEXT:
        return [v for v in every if len(str(v)) <= MAX_SEARCHED]
    if kind is Type.DOUBLE:
        return [float(v) for v in every]
    return [address(str(v)).compressed for v in every] if kind is Type.IP else every


def address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    made = ipaddress.ip_address(text)
    return getattr(made, "ipv4_mapped", None) or made


def matches(doc: Event, condition: Condition) -> bool:
    match condition:
        case AnyOf(of=of):
            return any(matches(doc, c) for c in of)
        case Not(of=of):
            return not matches(doc, of)
        case Equals(field=name, values=wanted):
            return any(v == w and isinstance(v, bool) is isinstance(w, bool) for v in values(doc, name) for w in wanted)
        case Cidr(field=name, prefix=prefix):
            return any(address(str(v)) in ipaddress.ip_network(prefix) for v in values(doc, name))
        case Range(field=name, low=low, high=high):
            return any(
                (low is None or v >= low) and (high is None or v < high)
                for v in values(doc, name)
                if not isinstance(v, str)
            )
        case Exists(field=name):
            return bool(values(doc, name))
        case Contains(field=name, text=text):
            return any(folded(text) in folded(str(v)) for v in values(doc, name))


def folded(text: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in text)


def chosen(docs: Iterable[Event], query: Search | Aggregate | Latest) -> list[Event]:
    return [d for d in docs if query.since_ms <= time(d) < query.until_ms and all(matches(d, c) for c in query.where)]


def time(doc: Event) -> int:
    ts = doc["@timestamp"]
    assert isinstance(ts, int)
    return ts


def place(doc: Event) -> tuple[int, str]:
    return time(doc), str(doc["event.id"])


def search(docs: Iterable[Event], query: Search) -> list[Found]:
    found = sorted(chosen(docs, query), key=place, reverse=not query.oldest_first)
    return [Found(str(doc["event.id"]), doc) for doc in found]


def latest(docs: Iterable[Event], query: Latest) -> list[Found]:
    newest: dict[tuple[Scalar, ...], Event] = {}
    for doc in sorted(chosen(docs, query), key=place):
        for key in product(*(dict.fromkeys(values(doc, name)) for name in query.per)):
            newest[key] = doc
    ordered = sorted(newest.values(), key=place, reverse=True)[: query.limit]
    return [Found(str(doc["event.id"]), doc) for doc in ordered]


def aggregate(docs: Iterable[Event], query: Aggregate) -> list[Row]:
    groups: dict[tuple[Scalar, ...], list[Event]] = {} if query.by else {(): []}
    for doc in chosen(docs, query):
        of = [
            [time(doc) // by.step_ms * by.step_ms] if isinstance(by, ByTime) else dict.fromkeys(values(doc, by.field))
            for by in query.by
        ]
        for key in product(*of):
            groups.setdefault(key, []).append(doc)
    rows = [Row(key, tuple(measured(m, group) for m in query.measures)) for key, group in groups.items()]

    def order(row: Row) -> tuple[object, ...]:
        first = math.inf if math.isnan(row.values[0]) else -row.values[0]
        keys = [sortable(by, key) for by, key in zip(query.by, row.keys, strict=True)]
        if query.by and isinstance(query.by[0], ByTime):
            return (keys[0], first, *keys[1:])
        return (first, *keys)

    return sorted(rows, key=order)[: query.limit]


def sortable(by: object, key: Scalar) -> object:
    if isinstance(by, ByTime) or BY_NAME[getattr(by, "field", "")].type is not Type.IP:
        return key
    made = ipaddress.ip_address(str(key))
    return made.packed if made.version == 6 else b"\0" * 10 + b"\xff\xff" + made.packed


def measured(measure: Measure, docs: Sequence[Event]) -> float:
    if measure.op == "count":
        return float(len(docs))
    held = [v for doc in docs for v in values(doc, measure.field)]
    if measure.op == "distinct":
        return float(len(set(held)))
    numbers = sorted(float(v) for v in held)
    if measure.op == "sum":
        return math.fsum(numbers)
    if not numbers:
        return math.nan
    if measure.op == "percentile":
        at = measure.rank / 100 * (len(numbers) - 1)
        low, high = numbers[math.floor(at)], numbers[math.ceil(at)]
        return low + (high - low) * (at - math.floor(at))
    return numbers[0] if measure.op == "min" else numbers[-1]
