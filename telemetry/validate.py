"""Is this mapping an event? Field names and types, held against telemetry/fields.py, fast enough for every event."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from telemetry.errors import Permanent
from telemetry.event import Event
from telemetry.fields import BY_NAME, Field, Type

MAX_FIELDS = 256
MAX_LIST = 1024
MAX_KEYWORD = 4096
MAX_TEXT = 65_536
LONG_MIN, LONG_MAX = -(2**63), 2**63 - 1
DATE_MAX = 253_402_300_799_999
REQUIRED = ("@timestamp", "event.dataset", "event.action")

Test = Callable[[Any], bool]


def validate(event: Mapping[str, Any]) -> Event:
    """The event itself where it is one. Raises Permanent with reason ``unknown_field``, ``wrong_type`` ..."""
    if len(event) > MAX_FIELDS:
        raise Permanent("too_many_fields", f"{len(event)} fields")
    for name, value in event.items():
        test = _TESTS.get(name)
        if test is None:
            raise Permanent("unknown_field", str(name)[:200])
        if not test(value):
            raise Permanent("wrong_type", f"{name} wants {BY_NAME[name].type}, has {_short(value)}")
    for name in REQUIRED:
        if name not in event:
            raise Permanent("missing_field", name)
    return event  # type: ignore[return-value]


def unknown(event: Mapping[str, Any]) -> list[str]:
    """The names that fields.py does not have."""
    return [name for name in event if name not in _TESTS]


def _short(value: object) -> str:
    return f"{type(value).__name__} {str(value)[:80]!r}"


def _keyword(value: Any) -> bool:
    return type(value) is str and len(value) <= MAX_KEYWORD


def _text(value: Any) -> bool:
    return type(value) is str and len(value) <= MAX_TEXT


def _long(value: Any) -> bool:
    return type(value) is int and LONG_MIN <= value <= LONG_MAX


def _double(value: Any) -> bool:
    return (type(value) is float and abs(value) < float("inf")) or _long(value)


def _boolean(value: Any) -> bool:
    return type(value) is bool


def _date(value: Any) -> bool:
    return type(value) is int and 0 <= value <= DATE_MAX


@lru_cache(maxsize=65_536)
def _address(value: str) -> bool:
    try:
        return str(ipaddress.ip_address(value)) == value and "%" not in value
    except ValueError:
        return False


def _ip(value: Any) -> bool:
    return type(value) is str and len(value) <= 45 and _address(value)


def _many(test: Test) -> Test:
    def any_of(value: Any) -> bool:
        if type(value) is list:
            return len(value) <= MAX_LIST and all(map(test, value))
        return test(value)

    return any_of


_OF_TYPE: Mapping[Type, Test] = {
    Type.KEYWORD: _keyword,
    Type.TEXT: _text,
    Type.JSON: _text,
    Type.LONG: _long,
    Type.DOUBLE: _double,
    Type.BOOLEAN: _boolean,
    Type.IP: _ip,
    Type.DATE: _date,
}


def _test_of(field: Field) -> Test:
    test = _OF_TYPE[field.type]
    return _many(test) if field.many else test


_TESTS: Mapping[str, Test] = {name: _test_of(field) for name, field in BY_NAME.items()}
