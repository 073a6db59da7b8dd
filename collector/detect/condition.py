"""A Sigma condition tree to one closure over flat events, and to what an event must at least hold for it to be true.

The closure never raises for what an event holds. The *keys* are for the index: a rule can only hit an event that has
one of them, so an event looks its own values up and most rules are never asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from sigma import conditions
from sigma import types as sigma

from collector.detect import pattern, values
from collector.detect.values import Prefix, Test

Match = Callable[[Mapping[str, object]], bool]


class Key(NamedTuple):
    """What a field must be like. ``op`` and ``operand`` as collector/detect/values.py ``needs`` has them."""

    field: str
    op: str = "has"
    operand: str | float | Prefix = ""


Keys = frozenset[Key] | None
"""At least one of these is needed. None: nothing in particular is needed."""

MAX_DEPTH = 100
COARSE = frozenset(
    ("event.action", "event.dataset", "event.kind", "event.outcome", "network.transport", "network.type")
)
"""Fields whose every value is in a great part of the events of a dataset: the last to index by."""


class Unsupported(ValueError):
    """What this engine does not evaluate: the field it stands at, and why."""

    def __init__(self, field: str, why: str) -> None:
        self.field = field
        super().__init__(why)


class Compiled(NamedTuple):
    match: Match
    keys: Keys
    fields: frozenset[str]


def compile_tree(node: object, depth: int = 0) -> Compiled:
    """Raises Unsupported."""
    if depth > MAX_DEPTH:
        raise Unsupported("", f"the condition nests more than {MAX_DEPTH} levels deep")
    match node:
        case conditions.ConditionAND():
            return _all_of([compile_tree(arg, depth + 1) for arg in node.args])
        case conditions.ConditionOR():
            return any_of([compile_tree(arg, depth + 1) for arg in _merged(node.args)])
        case conditions.ConditionNOT():
            inner = compile_tree(node.args[0], depth + 1)
            return Compiled(lambda event: not inner.match(event), None, inner.fields)
        case conditions.ConditionFieldEqualsValueExpression():
            return _field(node.field, node.value)
        case _OneOf():
            return _compiled(
                node.field, values.one_of(node.texts), frozenset(Key(node.field, "is", t) for t in node.texts)
            )
        case _Within():
            keys = frozenset(Key(node.field, "net", one) for one in node.prefixes)
            return _compiled(node.field, values.within(node.prefixes), keys)
        case conditions.ConditionValueExpression():
            return _keyword(node.value)
    raise Unsupported("", "the condition says nothing" if node is None else f"{type(node).__name__} is not evaluated")


def _all_of(parts: Sequence[Compiled]) -> Compiled:
    matches = tuple(part.match for part in parts)
    keys = min((part.keys for part in parts if part.keys is not None), key=_breadth, default=None)
    fields = frozenset().union(*(part.fields for part in parts))
    if len(matches) == 2:  # by far the most common, and a generator costs as much as a test
        first, second = matches
        return Compiled(lambda event: first(event) and second(event), keys, fields)

    def every(event: Mapping[str, object]) -> bool:
        for match in matches:  # noqa: SIM110 - a loop costs half of all() over a generator
            if not match(event):
                return False
        return True

    return Compiled(every, keys, fields)


def any_of(parts: Sequence[Compiled]) -> Compiled:
    """True where one of them is."""
    matches = tuple(part.match for part in parts)
    keys: Keys = frozenset()
    for part in parts:
        keys = None if keys is None or part.keys is None else keys | part.keys
    fields = frozenset().union(*(part.fields for part in parts))
    if len(matches) == 1:
        return Compiled(matches[0], keys, fields)

    def some(event: Mapping[str, object]) -> bool:
        for match in matches:  # noqa: SIM110
            if match(event):
                return True
        return False

    return Compiled(some, keys, fields)


_COST = {"is": 0, "starts": 1, "ends": 1, "net": 1, "holds": 2, "has": 9}


def _breadth(keys: frozenset[Key]) -> tuple[int, int, int]:
    """Least first: what few events have before what many have, values before mere presence, few values before many."""
    poor = sum(key.op == "has" or key.operand in ("true", "false", "") or key.field in COARSE for key in keys)
    return (poor, sum(_COST.get(key.op, 5) for key in keys), len(keys))


class _OneOf(NamedTuple):
    """Many plain values of one field, asked as one set."""

    field: str
    texts: frozenset[str]


class _Within(NamedTuple):
    """Many prefixes of one field, asked as one table."""

    field: str
    prefixes: frozenset[Prefix]


def _merged(args: Sequence[object]) -> list[object]:
    plain: dict[str, set[str]] = {}
    nets: dict[str, set[Prefix]] = {}
    rest: list[object] = []
    for arg in args:
        if isinstance(arg, conditions.ConditionFieldEqualsValueExpression):
            if isinstance(arg.value, sigma.SigmaCIDRExpression):
                nets.setdefault(arg.field, set()).add(values.prefix(arg.value))
                continue
            text = None if isinstance(arg.value, sigma.SigmaCasedString) else values.exact(arg.value)
            if text is not None:
                plain.setdefault(arg.field, set()).add(text)
                continue
        rest.append(arg)
    return [
        *(_OneOf(field, frozenset(texts)) for field, texts in plain.items()),
        *(_Within(field, frozenset(prefixes)) for field, prefixes in nets.items()),
        *rest,
    ]


def _field(field: str, value: sigma.SigmaType) -> Compiled:
    if isinstance(value, sigma.SigmaFieldReference):
        return _reference(field, value)
    try:
        test = values.compile_value(value)
    except (values.Unsupported, pattern.Unsupported) as error:
        raise Unsupported(field, str(error)) from error
    if isinstance(value, sigma.SigmaNull) or (isinstance(value, sigma.SigmaExists) and not value.exists):
        return Compiled(lambda event: test(event.get(field)), None, frozenset([field]))
    return _compiled(field, test, frozenset(Key(field, *need) for need in values.needs(value)))


def _compiled(field: str, test: Test, keys: Keys) -> Compiled:
    def match(event: Mapping[str, object]) -> bool:
        value = event.get(field)
        if type(value) is list:
            return any(map(test, value))
        return test(value)

    return Compiled(match, keys, frozenset([field]))


def _reference(field: str, value: sigma.SigmaFieldReference) -> Compiled:
    other = value.field
    agree = values.fields_equal(value)

    def match(event: Mapping[str, object]) -> bool:
        left, right = event.get(field), event.get(other)
        if left is None or right is None:
            return False
        lefts = left if isinstance(left, list) else [left]
        rights = right if isinstance(right, list) else [right]
        return any(agree(a, b) for a in lefts for b in rights)

    return Compiled(match, frozenset([Key(field)]), frozenset([field, other]))


def _keyword(value: sigma.SigmaType) -> Compiled:
    """A value without a field occurs anywhere in any text of the event."""
    if isinstance(value, sigma.SigmaString) and not value.contains_placeholder():
        many = sigma.SpecialChars.WILDCARD_MULTI
        value = many + value + many
    elif isinstance(value, sigma.SigmaNumber) and not isinstance(value, sigma.SigmaTimestampPart):
        value = sigma.SigmaString(f"*{values.text(value.number)}*")
    elif not isinstance(value, sigma.SigmaRegularExpression | sigma.SigmaExpansion):
        raise Unsupported("", f"a {type(value).__name__} without a field is not evaluated")
    try:
        test = values.compile_value(value)
    except (values.Unsupported, pattern.Unsupported) as error:
        raise Unsupported("", str(error)) from error

    def match(event: Mapping[str, object]) -> bool:
        return any(any(map(test, v)) if type(v) is list else test(v) for v in event.values())

    return Compiled(match, None, frozenset())
