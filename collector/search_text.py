"""The search language of the console and the API: a line of text to the conditions of collector/query.py.

All terms must hold. A term is one of

- ``field:value``           the field is this value; ``field:a,b`` is either; ``field:"two words"`` with spaces
- ``field:2001:db8::/32``   an address field lies in the prefix
- ``field:>=10`` ``field:<10`` ``field:10..20``   a number or a time field lies in the range (low included, high not)
- ``field:*``               the field is there;  ``field:*text*`` contains the text
- ``-term``                 the term does not hold
- ``word`` or ``"two words"``   free text in the message or a name; an address or prefix: in any address field

Only fields of telemetry/fields.py exist, and the short words of ``SHORT``. A mistake is a ``Permanent`` with reason
``bad_query`` that quotes the term and says what to write.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterator

from collector.query import AnyOf, Cidr, Condition, Contains, Equals, Exists, Not, Range, Scalar
from telemetry.clock import parse_iso
from telemetry.errors import Permanent
from telemetry.event import canonical_ip
from telemetry.fields import BY_NAME, Field, Type

MAX_TEXT = 500
"""Percent-encoded in a URL, twelve octets a character at most, it must stay below the 8,190 of a request line."""
MAX_TERMS = 32
MAX_VALUES = 64

SHORT = {
    "src": "source.ip",
    "dst": "destination.ip",
    "port": "destination.port",
    "agent": "agent.name",
    "unit": "tengwang.unit.id",
    "zone": "tengwang.zone",
    "dataset": "event.dataset",
    "action": "event.action",
    "host": "host.name",
    "device": "tengwang.device.id",
    "check": "tengwang.check.id",
    "status": "tengwang.check.status",
    "rule": "rule.id",
    "level": "rule.level",
    "proto": "network.transport",
    "interface": "tengwang.interface.name",
}
"""Short words for the fields that people ask for most."""

FREE_TEXT = ("message", "host.name", "observer.name", "agent.name", "tengwang.check.subject", "rule.name")
FREE_ADDRESS = ("source.ip", "destination.ip", "tengwang.address.ip", "tengwang.neighbor.ip", "observer.ip", "host.ip")

_TERM = re.compile(r"""-?(?:[A-Za-z@][A-Za-z0-9_.@]*:)?(?:"(?:[^"\\]|\\.)*"|[^\s"]+)+""")
_Simple = Equals | Cidr | Range | Exists | Contains


def parse(text: str) -> tuple[Condition, ...]:
    """Raises Permanent, reason ``bad_query``."""
    if len(text) > MAX_TEXT:
        raise _bad(text[:40], f"a search has at most {MAX_TEXT} characters")
    terms = list(_split(text))
    if len(terms) > MAX_TERMS:
        raise _bad(terms[-1], f"a search has at most {MAX_TERMS} terms")
    return tuple(condition for term in terms for condition in _term(term))


def _split(text: str) -> Iterator[str]:
    position = 0
    for match in _TERM.finditer(text):
        if text[position : match.start()].strip():
            raise _bad(text[position : position + 40].strip(), "a quotation mark is not closed")
        position = match.end()
        yield match[0]
    if text[position:].strip():
        raise _bad(text[position : position + 40].strip(), "a quotation mark is not closed")


def _term(term: str) -> tuple[Condition, ...]:
    negated = term.startswith("-") and len(term) > 1
    body = term[1:] if negated else term
    name, colon, value = body.partition(":")
    if colon and re.fullmatch(r"[A-Za-z@][A-Za-z0-9_.@]*", name) and not _is_address(body):
        either: tuple[_Simple, ...] = (_of_field(_field(name, term), value, term),)
    else:
        either = _free(_unquote(body))
    if negated:  # none of them
        return tuple(Not(condition) for condition in either)
    return either if len(either) == 1 else (AnyOf(either),)


def _field(name: str, term: str) -> Field:
    found = BY_NAME.get(SHORT.get(name.lower(), name))
    if found is None:
        near = difflib.get_close_matches(name, [*BY_NAME, *SHORT], 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise _bad(
            term, f'there is no field {name!r}{hint} For free text with a colon write "{term}" in quotation marks'
        )
    return found


def _of_field(field: Field, text: str, term: str) -> _Simple:
    if not text:
        raise _bad(term, "a value is missing after the colon; * asks whether the field is there")
    if text == "*":
        return Exists(field.name)
    if len(text) > 2 and text.startswith("*") and text.endswith("*") and not text.startswith("**"):
        return Contains(field.name, text[1:-1])
    if field.type in (Type.TEXT, Type.JSON):
        return Contains(field.name, _unquote(text))
    if field.type is Type.IP and "/" in text:
        return Cidr(field.name, _prefix(text, term))
    if field.type in (Type.LONG, Type.DOUBLE, Type.DATE) and (ranged := _range(field, text, term)):
        return ranged
    parts = [text] if text.startswith('"') else text.split(",")
    if len(parts) > MAX_VALUES:
        raise _bad(term[:40], f"at most {MAX_VALUES} values")
    return Equals(field.name, tuple(_value(field, _unquote(part), term) for part in parts if part))


def _range(field: Field, text: str, term: str) -> Range | None:
    low, dots, high = text.partition("..")
    if dots:
        return Range(
            field.name, _number(field, low, term) if low else None, _number(field, high, term) if high else None
        )
    found = re.fullmatch(r"(>=|<=|>|<)(.+)", text)
    if not found:
        return None
    number = _number(field, found[2], term)
    # a step of one is exact for integers and times; doubles have no next value worth the name
    step = 1 if field.type is not Type.DOUBLE else 0
    return {
        ">=": Range(field.name, low=number),
        ">": Range(field.name, low=number + step),
        "<": Range(field.name, high=number),
        "<=": Range(field.name, high=number + step),
    }[found[1]]


def _number(field: Field, text: str, term: str) -> int | float:
    try:
        if field.type is Type.DATE:
            return parse_iso(text) if not text.isdecimal() else _bounded(int(text))
        return _bounded(int(text)) if field.type is Type.LONG else _finite(float(text))
    except (ValueError, OverflowError) as error:
        what = "a time such as 2026-11-23T08:00:00Z" if field.type is Type.DATE else "a number"
        raise _bad(term, f"{field.name} takes {what}") from error


def _value(field: Field, text: str, term: str) -> Scalar:
    if field.type is Type.BOOLEAN:
        if text.lower() not in ("true", "false"):
            raise _bad(term, f"{field.name} takes true or false")
        return text.lower() == "true"
    if field.type is Type.IP:
        try:
            return canonical_ip(text)
        except ValueError as error:
            raise _bad(term, f"{field.name} takes an address or a prefix such as 2001:db8::/32") from error
    if field.type in (Type.LONG, Type.DOUBLE, Type.DATE):
        return _number(field, text, term)
    return text


def _free(text: str) -> tuple[_Simple, ...]:
    if not text:
        raise _bad(text, "there is nothing between the quotation marks")
    if "/" in text and _is_address(text.partition("/")[0]):
        prefix = _prefix(text, text)
        return tuple(Cidr(name, prefix) for name in FREE_ADDRESS)
    if _is_address(text):
        address = canonical_ip(text)
        return tuple(Equals(name, (address,)) for name in FREE_ADDRESS)
    return tuple(Contains(name, text) for name in FREE_TEXT)


def _prefix(text: str, term: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError as error:
        raise _bad(term, "this is not a prefix; write for example 10.1.0.0/16 or 2001:db8::/32") from error


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.partition("/")[0])
    except ValueError:
        return False
    return True


def _unquote(text: str) -> str:
    if len(text) >= 2 and text.startswith('"') and text.endswith('"'):
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text


def _bounded(number: int) -> int:
    if abs(number) >= 2**63:
        raise ValueError("beyond 64 bits")
    return number


def _finite(number: float) -> float:
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError("not finite")
    return number


def _bad(term: str, why: str) -> Permanent:
    return Permanent("bad_query", f"{term[:80]!r}: {why}")
