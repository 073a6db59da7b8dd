"""A query in its normal form: values of the field's own type, so that every engine is asked the same question.

``"443"`` for a port becomes 443, an address its RFC 5952 text, a bound of a whole number a whole number. A value that
the field can never have is dropped from ``Equals`` (an ``Equals`` without values matches nothing). What makes no
sense at all, such as an unknown field, a prefix of a number or the sum of names, raises ``Permanent("bad_query")``.
"""

from __future__ import annotations

import ipaddress
import math
import re

import msgspec

from collector.query import (
    Aggregate,
    AnyOf,
    ByTerm,
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
    Scalar,
    Search,
)
from telemetry.errors import Permanent
from telemetry.event import canonical_ip
from telemetry.fields import BY_NAME, Field, Type
from telemetry.validate import LONG_MAX, LONG_MIN

MAX_PAGE = 10_000
MAX_GROUPS = 50_000
MAX_CONDITIONS = 64
MAX_VALUES = 1024
MAX_CONTAINS = 256
TIME_MAX = 2**53
NUMBERS = frozenset({Type.LONG, Type.DOUBLE, Type.DATE})
WORDS = frozenset({Type.KEYWORD, Type.TEXT})
MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def search(query: Search) -> Search:
    _limit(query.limit, MAX_PAGE)
    since, until = _period(query.since_ms, query.until_ms)
    return msgspec.structs.replace(query, since_ms=since, until_ms=until, where=where(query.where))


def latest(query: Latest) -> Latest:
    _limit(query.limit, MAX_PAGE)
    if not 1 <= len(query.per) <= 4:
        raise bad(f"per wants 1 to 4 fields, has {len(query.per)}")
    for name in query.per:
        groupable(name)
    since, until = _period(query.since_ms, query.until_ms)
    return msgspec.structs.replace(query, since_ms=since, until_ms=until, where=where(query.where))


def aggregate(query: Aggregate) -> Aggregate:
    _limit(query.limit, MAX_GROUPS)
    if len(query.by) > 4 or not 1 <= len(query.measures) <= 16:
        raise bad("at most 4 groupings and 1 to 16 measures")
    for by in query.by:
        if isinstance(by, ByTerm):
            groupable(by.field)
        elif by.step_ms < 1:
            raise bad(f"step_ms wants at least 1, has {by.step_ms}")
    if sum(isinstance(by, ByTime) for by in query.by) > 1 or len(set(query.by)) < len(query.by):
        raise bad("a grouping is given twice")
    for measure in query.measures:
        _measure(measure)
    since, until = _period(query.since_ms, query.until_ms)
    return msgspec.structs.replace(query, since_ms=since, until_ms=until, where=where(query.where))


def where(conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    if len(conditions) > MAX_CONDITIONS:
        raise bad(f"at most {MAX_CONDITIONS} conditions")
    return tuple(condition(c) for c in conditions)


def condition(given: Condition) -> Condition:
    match given:
        case Not(of=of):
            return Not(_plain(of))
        case AnyOf(of=of):
            if len(of) > MAX_CONDITIONS:
                raise bad(f"at most {MAX_CONDITIONS} conditions")
            return AnyOf(tuple(Not(_plain(c.of)) if isinstance(c, Not) else _plain(c) for c in of))
        case _:
            return _plain(given)


def network(prefix: str) -> Network:
    """The prefix; one inside ``::ffff:0:0/96`` is the IPv4 prefix that it maps."""
    try:
        made = ipaddress.ip_network(prefix, strict=False)
    except ValueError as error:
        raise bad(f"{prefix[:80]!r} is not a prefix such as 2001:db8::/32") from error
    if isinstance(made, ipaddress.IPv6Network) and made.subnet_of(MAPPED):
        base = int(made.network_address) & 0xFFFFFFFF
        return ipaddress.IPv4Network((base, made.prefixlen - 96))
    return made


def groupable(name: str) -> Field:
    """The field, where records can be grouped by it."""
    field = known(name)
    if field.type in (Type.TEXT, Type.JSON):
        raise bad(f"{name} is {field.type} and can not be grouped by")
    return field


def known(name: str) -> Field:
    field = BY_NAME.get(name)
    if field is None:
        raise bad(f"there is no field {name[:80]!r}")
    return field


def bad(detail: str) -> Permanent:
    return Permanent("bad_query", detail)


def _plain(given: Equals | Cidr | Range | Exists | Contains) -> Equals | Cidr | Range | Exists | Contains:
    field = known(given.field)
    if field.type is Type.JSON:
        raise bad(f"{field.name} can not be searched")
    match given:
        case Equals(values=values):
            if len(values) > MAX_VALUES:
                raise bad(f"at most {MAX_VALUES} values")
            return Equals(field.name, tuple(dict.fromkeys(v for x in values if (v := _value(field, x)) is not None)))
        case Cidr(prefix=prefix):
            if field.type is not Type.IP:
                raise bad(f"{field.name} is {field.type}, not an address")
            return Cidr(field.name, str(network(prefix)))
        case Range(low=low, high=high):
            if field.type not in NUMBERS:
                raise bad(f"{field.name} is {field.type}, not a number")
            if low == math.inf or high == -math.inf:
                return Equals(field.name, ())
            low, high = (None if low == -math.inf else low), (None if high == math.inf else high)
            return Range(field.name, _bound(field, low), _bound(field, high))
        case Contains(text=text):
            if field.type not in WORDS:
                raise bad(f"{field.name} is {field.type}, not text")
            if len(text) > MAX_CONTAINS or "\0" in text:
                raise bad(f"at most {MAX_CONTAINS} characters, none of them NUL")
            return given
    return given


def _value(field: Field, value: Scalar) -> Scalar | None:
    """The value as the field would hold it; None where it never could."""
    if field.type in WORDS:
        return str(value).lower() if isinstance(value, bool) else str(value)
    if field.type is Type.BOOLEAN:
        return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).lower())
    if field.type is Type.IP:
        try:
            return canonical_ip(str(value))
        except ValueError:
            return None
    number = _number(value)
    if number is None or field.type is Type.DOUBLE:
        return None if number is None else float(number)
    whole = int(number)
    return whole if whole == number and LONG_MIN <= whole <= LONG_MAX else None


def _number(value: Scalar) -> int | float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        if re.fullmatch(r"[+-]?\d{1,20}", value, re.ASCII):
            return int(value)
        try:
            value = float(value)
        except ValueError:
            return None
    return value if isinstance(value, int) or math.isfinite(value) else None


def _bound(field: Field, bound: float | None) -> int | float | None:
    """``low <= x`` and ``x < high`` of a whole x are the same with the bound rounded up."""
    if bound is None:
        return None
    if math.isnan(bound):
        raise bad(f"{field.name}: a bound is not a number")
    if field.type is Type.DOUBLE:
        return float(bound)
    least, most = (0, TIME_MAX) if field.type is Type.DATE else (LONG_MIN, LONG_MAX)
    return math.ceil(min(max(bound, least), most))


def _measure(measure: Measure) -> None:
    if measure.op == "count":
        if measure.field:
            raise bad("count takes no field")
        return
    field = groupable(measure.field)
    if measure.op != "distinct" and (field.type not in NUMBERS or field.many):
        raise bad(f"{measure.op} wants a number, {field.name} is {field.type}")
    if not 0 <= measure.rank <= 100:
        raise bad(f"rank wants 0 to 100, has {measure.rank}")


def _limit(limit: int, most: int) -> None:
    if not 1 <= limit <= most:
        raise bad(f"limit wants 1 to {most}, has {limit}")


def _period(since: int, until: int) -> tuple[int, int]:
    low = min(max(since, 0), TIME_MAX)
    return low, max(low, min(until, TIME_MAX))


def cursor(ts: int, id: str) -> str:
    """Where a page ended: the time and the id of its last record."""
    return f"{ts}.{id}"


def uncursor(after: str) -> tuple[int, str]:
    ts, dot, last = after.partition(".")
    if not dot or not re.fullmatch(r"\d{1,16}", ts, re.ASCII):
        raise bad("after is not a cursor that a page gave")
    return int(ts), last
