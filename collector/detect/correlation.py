"""What a correlation says: which rules' hits, grouped by what, within how long, must add up to what.

The kinds of Sigma (event_count, value_count, temporal, temporal_ordered, value_sum, value_avg, value_percentile,
value_median), and two of our own in the same manner:

- ``first_seen``: ``field`` has a value that this group never had within ``timespan``. Nothing is raised about a group
  in its first ``learning``.
- ``absence``: a group whose rules hit before has had no hit for ``timespan``.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from sigma.correlations import (
    CorrelationConditionAND,
    CorrelationConditionItem,
    CorrelationConditionNOT,
    CorrelationConditionOR,
    SigmaCorrelationTimespan,
    SigmaExtendedCorrelationCondition,
    SigmaRuleReference,
)
from sigma.exceptions import SigmaError

from collector.detect.rule import Proof, RuleInfo, check_fields

MAX_COUNT = 10_000
"""Greatest count that is waited for: so many hits of one group are kept."""
MAX_RULES = 20
MAX_TIMESPAN_S = 31 * 86_400
MAX_FIRST_SEEN_S = 90 * 86_400


class Kind(enum.StrEnum):
    EVENT_COUNT = "event_count"
    VALUE_COUNT = "value_count"
    TEMPORAL = "temporal"
    TEMPORAL_ORDERED = "temporal_ordered"
    VALUE_SUM = "value_sum"
    VALUE_AVG = "value_avg"
    VALUE_PERCENTILE = "value_percentile"
    VALUE_MEDIAN = "value_median"
    FIRST_SEEN = "first_seen"
    ABSENCE = "absence"


TEMPORAL = (Kind.TEMPORAL, Kind.TEMPORAL_ORDERED)
OWN = (Kind.FIRST_SEEN, Kind.ABSENCE)
OF_NUMBERS = (Kind.VALUE_SUM, Kind.VALUE_AVG, Kind.VALUE_PERCENTILE, Kind.VALUE_MEDIAN)
OPERATORS = ("gt", "gte", "lt", "lte", "eq", "neq")

Names = tuple[str, ...] | str
Number = int | float | str


class Block(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename={"group_by": "group-by"}):
    """The block ``correlation:`` of a document."""

    type: Annotated[Kind, msgspec.Meta(description="one of: " + ", ".join(Kind))]
    timespan: Annotated[str, msgspec.Meta(description="like 30s, 5m, 2h, 1d")]
    rules: Annotated[Names, msgspec.Meta(description="ids or names of the rules whose hits count")] = ()
    group_by: Annotated[Names, msgspec.Meta(description="fields or aliases")] = ()
    condition: Annotated[
        dict[str, Any] | str | None, msgspec.Meta(description="like {gte: 10}, {gte: 5, field: source.ip}, 'a and b'")
    ] = None
    aliases: Annotated[
        dict[str, dict[str, str]], msgspec.Meta(description="alias: {rule: field, other rule: other field}")
    ] = {}
    generate: Annotated[bool, msgspec.Meta(description="the rules raise their own alerts as well")] = False
    field: Annotated[str, msgspec.Meta(description="first_seen: whose values")] = ""
    learning: Annotated[str, msgspec.Meta(description="first_seen: no alert about a group in its first, e.g. 7d")] = ""


class Bound(msgspec.Struct, frozen=True):
    """One side of a condition; all of a condition's must hold."""

    op: str
    bound: float

    def holds(self, value: float) -> bool:
        match self.op:
            case "gt":
                return value > self.bound
            case "gte":
                return value >= self.bound
            case "lt":
                return value < self.bound
            case "lte":
                return value <= self.bound
            case "eq":
                return value == self.bound
        return value != self.bound


class Joint(msgspec.Struct, frozen=True):
    """An extended condition of a temporal correlation: ``and``, ``or``, ``not`` over rules, or one ``rule``."""

    op: str
    args: tuple[Joint, ...] = ()
    rule: str = ""

    def holds(self, seen: Collection[str], around: Collection[str]) -> bool:
        """``seen``: rules that hit in the window; ``around``: those that a negation must not find."""
        match self.op:
            case "rule":
                return self.rule in seen
            case "and":
                return all(arg.holds(seen, around) for arg in self.args)
            case "or":
                return any(arg.holds(seen, around) for arg in self.args)
        return not self.args[0].holds(around, around)

    @property
    def negates(self) -> bool:
        return self.op == "not" or any(arg.negates for arg in self.args)


class Correlation(msgspec.Struct, frozen=True, kw_only=True):
    """A correlation ready to be kept. ``rules`` are ids once they were found, the references of the file before."""

    info: RuleInfo
    kind: Kind
    rules: tuple[str, ...]
    group_by: tuple[str, ...]
    timespan_ms: int
    tests: tuple[Bound, ...] = ()
    joint: Joint | None = None
    fields: tuple[str, ...] = ()
    """Whose values are counted or added up; several are one combined value."""
    percentile: float = 50.0
    aliases: Mapping[str, Mapping[str, str]] = {}
    generate: bool = False
    learning_ms: int = 0
    name: str = ""
    proof: Proof | None = None

    @property
    def id(self) -> str:
        return self.info.id

    @property
    def grows(self) -> bool:
        """True where more hits can only make it truer, so it is known the moment that it holds.

        Of the others nothing is known before their window is over.
        """
        if self.joint is not None:
            return not self.joint.negates
        if self.kind in (Kind.VALUE_AVG, Kind.VALUE_PERCENTILE, Kind.VALUE_MEDIAN):
            return False
        return all(test.op in ("gt", "gte") for test in self.tests)

    def field_of(self, name: str, rule: str) -> str:
        """The field that a name of ``group-by`` means in the events of a rule."""
        return self.aliases.get(name, {}).get(rule, name)


def read(block: Block, info: RuleInfo, name: str, proof: Proof | None = None) -> Correlation:
    """Raises ValueError, with the key of the block that it is about before a colon."""
    rules = _names(block.rules)
    joint = None
    if isinstance(block.condition, str):
        joint, named = _joint(block)
        rules = rules or named
        if set(rules) != set(named):
            raise ValueError("condition: names other rules than 'rules' does")
    if not rules:
        raise ValueError("rules: says whose hits count")
    if len(rules) > MAX_RULES:
        raise ValueError(f"rules: more than {MAX_RULES}")
    made = Correlation(
        info=info,
        kind=block.type,
        rules=rules,
        group_by=_names(block.group_by),
        timespan_ms=_timespan("timespan", block.timespan, block.type),
        tests=_tests(block, rules),
        joint=joint,
        fields=_fields(block),
        percentile=_percentile(block),
        aliases=block.aliases,
        generate=block.generate,
        learning_ms=_learning(block),
        name=name,
        proof=proof,
    )
    _check(made)
    return made


def _names(value: Names) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


def _timespan(key: str, text: str, kind: Kind) -> int:
    try:
        seconds = SigmaCorrelationTimespan(text).seconds
    except SigmaError:
        raise ValueError(f"{key}: {text!r} is no length of time; write it like 30s, 5m, 2h, 1d") from None
    most = MAX_FIRST_SEEN_S if kind is Kind.FIRST_SEEN else MAX_TIMESPAN_S
    if seconds > most:
        raise ValueError(f"{key}: is longer than {most // 86_400} days")
    return seconds * 1000


def _joint(block: Block) -> tuple[Joint, tuple[str, ...]]:
    text = str(block.condition)
    if block.type not in TEMPORAL:
        raise ValueError("condition: a text is for temporal and temporal_ordered")
    if len(text) > 1000 or text.count("(") > 20:
        raise ValueError("condition: is too complex")
    try:
        parsed = SigmaExtendedCorrelationCondition(text)
    except SigmaError as error:
        raise ValueError(f"condition: {error}") from None
    made = _joint_of(parsed.parsed)
    if block.type is Kind.TEMPORAL_ORDERED and any(arg.op != "rule" for arg in made.args or (made,)):
        raise ValueError("condition: an order is over 'a and b and c' only")
    if block.type is Kind.TEMPORAL_ORDERED and made.op not in ("and", "rule"):
        raise ValueError("condition: an order is over 'a and b and c' only")
    return made, tuple(parsed.get_referenced_rules())


def _joint_of(node: CorrelationConditionItem | SigmaRuleReference) -> Joint:
    if isinstance(node, SigmaRuleReference):
        return Joint("rule", rule=node.reference)
    ops: Mapping[type, str] = {
        CorrelationConditionAND: "and",
        CorrelationConditionOR: "or",
        CorrelationConditionNOT: "not",
    }
    return Joint(ops[type(node)], tuple(_joint_of(arg) for arg in node.args))


def _tests(block: Block, rules: Sequence[str]) -> tuple[Bound, ...]:
    condition = block.condition
    if block.type in OWN:
        if condition is not None:
            raise ValueError(f"condition: {block.type} takes none")
        return ()
    if isinstance(condition, str):
        return ()
    if condition is None:
        if block.type not in TEMPORAL:
            raise ValueError("condition: is missing; write it like {gte: 10}")
        return (Bound("gte", len(rules)),)
    unknown = set(condition) - {*OPERATORS, "field", "percentile"}
    if unknown:
        raise ValueError(f"condition: unknown {sorted(map(str, unknown))[0]!r}; known: {', '.join(OPERATORS)}")
    tests = tuple(Bound(op, _number(op, condition[op])) for op in OPERATORS if op in condition)
    if not tests:
        raise ValueError(f"condition: says nothing; one of {', '.join(OPERATORS)} is wanted")
    if block.type not in OF_NUMBERS and any(test.bound > MAX_COUNT for test in tests):
        raise ValueError(f"condition: counts no further than {MAX_COUNT}")
    if block.type is Kind.TEMPORAL_ORDERED and (len(tests), tests[0]) != (1, Bound("gte", len(rules))):
        raise ValueError("condition: an order is over all of its rules; leave it out")
    return tests


def _number(op: str, value: object) -> float:
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        number = float(value)
        if number != number or number in (float("inf"), float("-inf")):
            raise ValueError
    except (ValueError, OverflowError):
        raise ValueError(f"condition: {op}: {str(value)[:50]!r} is no number") from None
    return number


def _fields(block: Block) -> tuple[str, ...]:
    asked = block.condition.get("field") if isinstance(block.condition, dict) else None
    named = [asked] if isinstance(asked, str) else list(asked) if isinstance(asked, list) else []
    if block.field:
        if block.type is not Kind.FIRST_SEEN:
            raise ValueError("field: is for first_seen; elsewhere it stands in the condition")
        named = [block.field]
    if any(not isinstance(name, str) for name in named) or (asked is not None and not named):
        raise ValueError("condition: field is the name of a field, or a list of them")
    counts = block.type in (Kind.VALUE_COUNT, Kind.FIRST_SEEN, *OF_NUMBERS)
    if counts and not named:
        raise ValueError(f"{'field' if block.type is Kind.FIRST_SEEN else 'condition'}: {block.type} wants a field")
    if named and not counts:
        raise ValueError(f"condition: {block.type} takes no field")
    if block.type in OF_NUMBERS and len(named) > 1:
        raise ValueError(f"condition: {block.type} is over one field")
    return tuple(named)


def _percentile(block: Block) -> float:
    value = block.condition.get("percentile") if isinstance(block.condition, dict) else None
    if value is None:
        if block.type is Kind.VALUE_PERCENTILE:
            raise ValueError("condition: value_percentile wants a percentile")
        return 50.0
    if block.type is not Kind.VALUE_PERCENTILE:
        raise ValueError(f"condition: {block.type} takes no percentile")
    rank = _number("percentile", value)
    if not 0 <= rank <= 100:
        raise ValueError("condition: percentile is between 0 and 100")
    return rank


def _learning(block: Block) -> int:
    if block.type is not Kind.FIRST_SEEN:
        if block.learning:
            raise ValueError("learning: is for first_seen")
        return 0
    learning = _timespan("learning", block.learning, block.type) if block.learning else 0
    if learning > _timespan("timespan", block.timespan, block.type):
        raise ValueError("learning: is longer than timespan, for which values are remembered")
    return learning


def _check(made: Correlation) -> None:
    for alias, mapping in made.aliases.items():
        if set(mapping) != set(made.rules):
            raise ValueError(f"aliases: {alias} says a field for each of the rules")
        _known("aliases", tuple(mapping.values()))
    _known("group-by", tuple(name for name in made.group_by if name not in made.aliases))
    _known("field" if made.kind is Kind.FIRST_SEEN else "condition", made.fields)
    if made.kind is Kind.FIRST_SEEN and not made.group_by:
        raise ValueError("group-by: first_seen is about a group: say which")


def _known(key: str, names: tuple[str, ...]) -> None:
    try:
        check_fields(names)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
