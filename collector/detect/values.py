"""One Sigma value to a test of one field value. A test takes anything that JSON can hold and never raises.

Texts are compared without regard to case, as Sigma says, unless ``cased``. Numbers and booleans are also met as the
text of a keyword field (``network.iana_number`` is ``"41"``).
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import NamedTuple

from sigma import types as sigma

from collector.detect import pattern
from collector.prefix_table import address_bits, unmapped

Test = Callable[[object], bool]
SHANGHAI = datetime.timezone(datetime.timedelta(hours=8), "Asia/Shanghai")
"""Time parts (``|hour`` ...) mean the clock on the wall of the rule's reader: one offset, no DST since 1991."""


class Unsupported(ValueError):
    """A value that this engine does not evaluate, and why."""


def text(value: object) -> str:
    """A field value as it is compared: ``true``, ``41`` also for 41.0; empty for what has no plain text."""
    if type(value) is str:
        return value
    if value is None or isinstance(value, list | dict):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        return str(value)
    except ValueError:  # an integer of thousands of digits
        return ""


def exact(value: sigma.SigmaType) -> str | None:
    """The one lower-case text that a value can only be equal to; None where it may match several."""
    if isinstance(value, sigma.SigmaString):
        plain = all(isinstance(part, str) for part in value.s)
        return "".join(part for part in value.s if isinstance(part, str)).lower() if plain else None
    if isinstance(value, sigma.SigmaTimestampPart):
        return None
    if isinstance(value, sigma.SigmaNumber):
        return text(value.number).lower()
    return text(value.boolean) if isinstance(value, sigma.SigmaBool) else None


class Prefix(NamedTuple):
    """An address prefix: ``bits`` are its first ``length`` of 32 or 128, as a number."""

    version: int
    length: int
    bits: int


Need = tuple[str, str | float | Prefix]


def needs(value: sigma.SigmaType) -> list[Need]:
    """What a field must be like for a value to be met, one of these at least; more may meet it than the value itself.

    ``is``, ``starts``, ``ends``, ``holds`` a lower-case text; ``net`` a prefix; ``gt``, ``gte``, ``lt``, ``lte`` a
    number; ``has`` anything at all.
    """
    plain = exact(value)
    if plain is not None:
        return [("is", plain)]
    if isinstance(value, sigma.SigmaString):
        return [_literal(value)]
    if isinstance(value, sigma.SigmaCIDRExpression):
        return [("net", prefix(value))]
    if isinstance(value, sigma.SigmaCompareExpression) and value.op is not sigma.CompareOperators.NEQ:
        return [(value.op.name.lower(), value.number.number)]
    if isinstance(value, sigma.SigmaExpansion):
        return [need for one in value.values for need in needs(one)]
    if isinstance(value, sigma.SigmaRegularExpression):
        piece = pattern.literal(str(value.regexp), _flags(value))
        return [("holds", piece) if piece else ("has", "")]
    return [("has", "")]


def _literal(value: sigma.SigmaString) -> Need:
    """The most telling piece of a text with wildcards. Case is folded: of ASCII alone that never depends on context."""
    cased = isinstance(value, sigma.SigmaCasedString)
    parts = [part.lower() if isinstance(part, str) and (part.isascii() or not cased) else None for part in value.s] or [
        None
    ]
    if parts[0]:
        return ("starts", parts[0])
    if parts[-1]:
        return ("ends", parts[-1])
    longest = max((part for part in parts if part), key=len, default="")
    return ("holds", longest) if longest else ("has", "")


def one_of(texts: frozenset[str]) -> Test:
    """Equal to one of these lower-case texts."""

    def test(value: object) -> bool:
        return value is not None and text(value).lower() in texts

    return test


def compile_value(value: sigma.SigmaType) -> Test:
    """Raises Unsupported."""
    if isinstance(value, sigma.SigmaString):
        return _string(value)
    if isinstance(value, sigma.SigmaTimestampPart):
        return _time_part(value)
    if (plain := exact(value)) is not None:
        return one_of(frozenset([plain]))
    if isinstance(value, sigma.SigmaNull):
        return lambda v: v is None
    if isinstance(value, sigma.SigmaExists):
        wanted = value.exists
        return lambda v: (v is not None) is wanted
    if isinstance(value, sigma.SigmaRegularExpression):
        return _regular_expression(value)
    if isinstance(value, sigma.SigmaCIDRExpression):
        return within([prefix(value)])
    if isinstance(value, sigma.SigmaCompareExpression):
        return _compare(value)
    if isinstance(value, sigma.SigmaExpansion):
        tests = [compile_value(v) for v in value.values]
        return lambda v: any(test(v) for test in tests)
    raise Unsupported(f"values of kind {type(value).__name__} are not evaluated")


def _string(value: sigma.SigmaString) -> Test:
    if value.contains_placeholder():
        raise Unsupported("placeholders (|expand) are not filled in here; write the values out")
    cased = isinstance(value, sigma.SigmaCasedString)
    fold: Callable[[str], str] = (lambda t: t) if cased else str.lower
    parts = [fold(part) if isinstance(part, str) else part for part in value.s]
    many = sigma.SpecialChars.WILDCARD_MULTI
    match parts:
        case []:
            return lambda v: v == ""
        case [str(whole)]:
            return lambda v: v is not None and fold(text(v)) == whole
        case [first] if first is many:
            return lambda v: v is not None
        case [str(prefix), end] if end is many:
            return lambda v: v is not None and fold(text(v)).startswith(prefix)
        case [start, str(suffix)] if start is many:
            return lambda v: v is not None and fold(text(v)).endswith(suffix)
        case [start, str(middle), end] if start is many and end is many:
            return lambda v: v is not None and middle in fold(text(v))
    wanted = "".join(re.escape(p) if isinstance(p, str) else ".*" if p is many else "." for p in parts)
    found = pattern.search(rf"\A{wanted}\Z", re.DOTALL)
    return lambda v: v is not None and found(fold(text(v)))


def _regular_expression(value: sigma.SigmaRegularExpression) -> Test:
    if value.regexp.contains_placeholder():
        raise Unsupported("placeholders (|expand) are not filled in here; write the values out")
    found = pattern.search(str(value.regexp), _flags(value))
    return lambda v: v is not None and found(text(v))


def _flags(value: sigma.SigmaRegularExpression) -> int:
    flags = 0
    for flag in value.flags:
        flags |= value.sigma_to_python_flags[flag]
    return flags


def prefix(value: sigma.SigmaCIDRExpression) -> Prefix:
    network = unmapped(value.network)
    width = network.max_prefixlen - network.prefixlen
    return Prefix(network.version, network.prefixlen, int(network.network_address) >> width)


def within(prefixes: Collection[Prefix]) -> Test:
    """An address that lies in one of the prefixes."""
    tables: dict[int, dict[int, set[int]]] = {4: {}, 6: {}}
    for one in prefixes:
        tables[one.version].setdefault((32 if one.version == 4 else 128) - one.length, set()).add(one.bits)
    shifts = {version: tuple(table.items()) for version, table in tables.items()}

    @lru_cache(maxsize=4096)
    def lies(found: str) -> bool:
        bits = address(found)
        return bits is not None and any(bits[1] >> shift in nets for shift, nets in shifts[bits[0]])

    return lambda found: type(found) is str and lies(found)


address = lru_cache(maxsize=65_536)(address_bits)


def _compare(value: sigma.SigmaCompareExpression) -> Test:
    bound = value.number.number
    operators: dict[sigma.CompareOperators, Callable[[float], bool]] = {
        sigma.CompareOperators.LT: lambda n: n < bound,
        sigma.CompareOperators.LTE: lambda n: n <= bound,
        sigma.CompareOperators.GT: lambda n: n > bound,
        sigma.CompareOperators.GTE: lambda n: n >= bound,
        sigma.CompareOperators.NEQ: lambda n: n != bound,
    }
    holds = operators[value.op]

    def test(found: object) -> bool:
        value = number(found)
        return value is not None and holds(value)

    return test


def number(value: object) -> float | None:
    """A field value as a number; the text of one counts as well."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if type(value) is not str or len(value) > 40:
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _time_part(value: sigma.SigmaTimestampPart) -> Test:
    wanted = value.number
    unit = value.timestamp_part.name.lower()

    def test(found: object) -> bool:
        if type(found) is not int or not 0 <= found < 253_402_300_800_000:
            return False
        moment = datetime.datetime.fromtimestamp(0, SHANGHAI) + datetime.timedelta(milliseconds=found)
        of_moment: int = moment.isocalendar().week if unit == "week" else getattr(moment, unit)
        return of_moment == wanted

    return test


def fields_equal(reference: sigma.SigmaFieldReference) -> Callable[[object, object], bool]:
    """``fieldref``: how the values of two fields must agree."""
    if reference.starts_with and reference.ends_with:
        return lambda a, b: text(b).lower() in text(a).lower()
    if reference.starts_with:
        return lambda a, b: text(a).lower().startswith(text(b).lower())
    if reference.ends_with:
        return lambda a, b: text(a).lower().endswith(text(b).lower())
    return lambda a, b: text(a).lower() == text(b).lower()
