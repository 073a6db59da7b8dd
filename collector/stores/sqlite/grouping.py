"""Groups and measures over one file, in a form that several files' answers can be added up from.

A roll-up answers where it is exactly equal to the rows: its columns hold every field that is asked about, its sums
every measure, and the period is whole hours. What is left at the edges of the period comes from the rows.
"""

from __future__ import annotations

import heapq
import math
import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from collector.query import Aggregate, AnyOf, ByTerm, ByTime, Condition, Measure, Not, Row, Scalar
from collector.query_order import first_groups, unpacked
from collector.stores.sqlite.conditions import FALSE, Parameter, Scope, all_of, element, elements, scalar
from collector.stores.sqlite.layout import HOUR_MS, Layout, RollUp, quoted
from telemetry.fields import BY_NAME, Type

Cell = str | int | float | bytes
Key = tuple[Cell, ...]
"""The keys of a group as SQLite holds them: addresses packed, so that keys sort as Elasticsearch sorts them."""
Tally = dict[Cell, int]
"""How often each value occurs: what exact distinct counts and percentiles are made of."""
Partial = float | None | Tally
"""One measure of one group so far: None where min or max has no value yet."""
Groups = dict[Key, list[Partial]]
TALLIED = frozenset({"distinct", "percentile"})


class GroupKey(msgspec.Struct, frozen=True):
    """A grouping in SQL: the expression, what must be joined and hold for it, and how a cell is read back."""

    text: str
    type: Type
    tests: tuple[str, ...] = ()
    join: str = ""
    documents: bool = False
    interned: bool = False


def key_of(scope: Scope, name: str, at: int) -> GroupKey:
    """Group by a field; of a list, by each element that differs."""
    field = BY_NAME[name]
    column = scope.column(name)
    if column is not None:
        interned = scope.interned(name)
        return GroupKey(column, field.type, (f"{column} IS NOT NULL",), interned=interned)
    if name not in scope.fields:
        return GroupKey("NULL", field.type, ("0",))
    if not field.many:
        value = scalar(name)
        return GroupKey(value, field.type, (f"{value} IS NOT NULL",), documents=True)
    value, other = element(f"j{at}.value", field.type), element("x.value", field.type)
    first = f"j{at}.key IS (SELECT min(x.key) FROM {elements(name)} x WHERE {other} = {value})"
    join = f", {elements(name)} j{at}"
    return GroupKey(value, field.type, (f"{value} IS NOT NULL", first), join, documents=True)


def keys(grouped: Sequence[GroupKey]) -> str:
    """The key columns ``k0, k1 ...`` of an inner query, with terms as text."""
    return ", ".join(
        f"(SELECT text FROM term WHERE t = k{at})" if k.interned else f"k{at}" for at, k in enumerate(grouped)
    )


def read_key(by: ByTerm | ByTime, cell: Cell) -> Scalar:
    """A cell as the field's own type."""
    if isinstance(cell, bytes):
        return unpacked(cell)
    kind = BY_NAME[by.field].type if isinstance(by, ByTerm) else Type.DATE
    if kind is Type.BOOLEAN:
        return bool(cell)
    return float(cell) if kind is Type.DOUBLE else cell


def collect(connection: sqlite3.Connection, layout: Layout, query: Aggregate, oldest: int, newest: int) -> Groups:
    """The groups of a file whose records are of the times ``oldest`` to ``newest``."""
    groups: Groups = {}
    since, until = query.since_ms, query.until_ms
    whole = since <= oldest and newest < until
    if whole:
        since, until = oldest // HOUR_MS * HOUR_MS, (newest // HOUR_MS + 1) * HOUR_MS
    low, high = -(-since // HOUR_MS), until // HOUR_MS
    for rollup in layout.rollups:
        if (whole if not rollup.hourly else low < high) and answers(rollup, query):
            _rolled(connection, layout, rollup, query, low, high, groups)
            break
    else:
        _rows(connection, layout, query, since, until, groups)
        return groups
    for start, end in ((since, low * HOUR_MS), (high * HOUR_MS, until)):
        if start < end:
            _rows(connection, layout, query, start, end, groups)
    return groups


def merge(query: Aggregate, total: Groups, part: Groups) -> None:
    """Add one file's groups to the whole."""
    if not total:
        total.update(part)
        return
    for key, values in part.items():
        known = total.get(key)
        if known is None:
            total[key] = values
        else:
            for at, measure in enumerate(query.measures):
                known[at] = _both(measure, known[at], values[at])


def answers(rollup: RollUp, query: Aggregate) -> bool:
    """Is the roll-up's answer equal to the rows' answer, for whole hours?"""
    for measure in query.measures:
        if measure.op not in ("count", "sum") or (measure.op == "sum" and measure.field not in rollup.sums):
            return False
    for by in query.by:
        if isinstance(by, ByTime) and (by.step_ms % HOUR_MS or not rollup.hourly):
            return False
        if isinstance(by, ByTerm) and by.field not in rollup.dimensions:
            return False
    if any(name not in rollup.dimensions for c in query.where for name in fields_of(c)):
        return False
    if not rollup.needs:
        return True
    return any(isinstance(by, ByTerm) and by.field == rollup.needs for by in query.by) or any(
        not isinstance(c, Not | AnyOf) and c.field == rollup.needs for c in query.where
    )


def fields_of(condition: Condition) -> set[str]:
    """The fields that a condition looks at."""
    match condition:
        case AnyOf(of=of):
            return {name for c in of for name in fields_of(c)}
        case Not(of=of):
            return {of.field}
        case _:
            return {condition.field}


def _rolled(
    connection: sqlite3.Connection,
    layout: Layout,
    rollup: RollUp,
    query: Aggregate,
    low: int,
    high: int,
    groups: Groups,
) -> None:
    columns = {name: layout.columns[name] for name in rollup.dimensions}
    scope = Scope(connection, columns, zero=True)
    found = all_of(scope, query.where)
    if found.text == FALSE:
        return
    grouped = [_group(scope, by, at, f"(r.hour * {HOUR_MS})") for at, by in enumerate(query.by)]
    tests = [found.text, *(t for k in grouped for t in k.tests)]
    parameters = found.parameters
    if rollup.hourly:
        tests += ["r.hour >= ?", "r.hour < ?"]
        parameters += (low, high)
    values = ["sum(r.records)" if m.op == "count" else f"total(r.{quoted(m.field)})" for m in query.measures]
    _add(connection, query, grouped, values, f"{quoted(rollup.name)} r", tests, parameters, groups)


def _rows(
    connection: sqlite3.Connection, layout: Layout, query: Aggregate, since: int, until: int, groups: Groups
) -> None:
    scope = Scope(connection, layout.columns, layout.fields)
    found = all_of(scope, query.where)
    if found.text == FALSE:
        return
    grouped = [_group(scope, by, at, "r.ts") for at, by in enumerate(query.by)]
    operands = {m.field: key_of(scope, m.field, 10 + at) for at, m in enumerate(query.measures) if m.field}
    documents = found.documents or any(k.documents for k in (*grouped, *operands.values()))
    source = "record r" + (" CROSS JOIN doc d ON d.n = r.n" if documents else "")
    source += "".join(k.join for k in grouped)
    tests = [found.text, "r.ts >= ?", "r.ts < ?", *(t for k in grouped for t in k.tests)]
    parameters = (*found.parameters, since, until)
    values = [_value(m, operands) for m in query.measures]
    _add(connection, query, grouped, values, source, tests, parameters, groups)
    for at, measure in enumerate(query.measures):
        if measure.op in TALLIED:
            operand = operands[measure.field]
            _tally(connection, [*grouped, operand], source + operand.join, tests, parameters, at, groups)


def _group(scope: Scope, by: ByTerm | ByTime, at: int, time: str) -> GroupKey:
    if isinstance(by, ByTerm):
        return key_of(scope, by.field, at)
    return GroupKey(f"{time} / {by.step_ms} * {by.step_ms}", Type.DATE)


def _value(measure: Measure, operands: dict[str, GroupKey]) -> str:
    if measure.op == "count":
        return "count(*)"
    if measure.op in TALLIED:
        return "0"
    function = {"sum": "total", "min": "min", "max": "max"}[measure.op]
    return f"{function}({operands[measure.field].text})"


def _add(
    connection: sqlite3.Connection,
    query: Aggregate,
    grouped: Sequence[GroupKey],
    values: Sequence[str],
    source: str,
    tests: Sequence[str],
    parameters: Sequence[Parameter],
    groups: Groups,
) -> None:
    inner = ", ".join(
        [f"{k.text} AS k{at}" for at, k in enumerate(grouped)] + [f"{v} AS v{at}" for at, v in enumerate(values)]
    )
    by = f" GROUP BY {', '.join(f'k{at}' for at in range(len(grouped)))}" if grouped else ""
    outer = ", ".join(part for part in (keys(grouped), *(f"v{at}" for at in range(len(values)))) if part)
    width = len(grouped)
    tallied = [at for at, measure in enumerate(query.measures) if measure.op in TALLIED]
    part: Groups = {}
    for row in connection.execute(
        f"SELECT {outer} FROM (SELECT {inner} FROM {source} WHERE {' AND '.join(tests)}{by})",
        parameters,
    ):
        part[row[:width]] = made = list(row[width:])
        for at in tallied:
            made[at] = {}
    merge(query, groups, part)


def _both(measure: Measure, one: Partial, other: Partial) -> Partial:
    if isinstance(one, dict):
        for value, records in other.items() if isinstance(other, dict) else ():
            one[value] = one.get(value, 0) + records
        return one
    if other is None or isinstance(other, dict):
        return one
    if one is None:
        return other
    if measure.op in ("count", "sum"):
        return one + other
    return min(one, other) if measure.op == "min" else max(one, other)


def _tally(
    connection: sqlite3.Connection,
    grouped: Sequence[GroupKey],
    source: str,
    tests: Sequence[str],
    parameters: Sequence[Parameter],
    at: int,
    groups: Groups,
) -> None:
    """Count how often each value of the last key occurs in each group of the others."""
    inner = ", ".join(f"{k.text} AS k{n}" for n, k in enumerate(grouped))
    tests = [*tests, *grouped[-1].tests]
    for *key, value, records in connection.execute(
        f"SELECT {keys(grouped)}, records FROM (SELECT {inner}, count(*) AS records FROM {source}"
        f" WHERE {' AND '.join(tests)} GROUP BY {', '.join(f'k{n}' for n in range(len(grouped)))})",
        parameters,
    ):
        tally = groups[tuple(key)][at]
        if isinstance(tally, dict):
            tally[value] = tally.get(value, 0) + records


def rows(query: Aggregate, groups: Groups) -> list[Row]:
    """The finished answer."""
    if not query.by and not groups:
        groups[()] = [{} if m.op in TALLIED else None for m in query.measures]
    made = [
        (key, tuple(finished(m, part) for m, part in zip(query.measures, parts, strict=True)))
        for key, parts in _greatest(query, groups)
    ]
    return [
        Row(tuple(read_key(by, cell) for by, cell in zip(query.by, key, strict=True)), values)
        for key, values in first_groups(query, made)
    ]


def _greatest(query: Aggregate, groups: Groups) -> Iterable[tuple[Key, list[Partial]]]:
    """Those among which the answer is. Of ten thousand talkers only ten are asked for, so only those are finished."""
    if len(groups) <= query.limit or isinstance(query.by[0], ByTime):
        return groups.items()
    measure = query.measures[0]
    first = [finished(measure, parts[0]) for parts in groups.values()]
    if any(map(math.isnan, first)):
        return groups.items()
    least = heapq.nlargest(query.limit, first)[-1]
    return [group for group, value in zip(groups.items(), first, strict=True) if value >= least]


def finished(measure: Measure, part: Partial) -> float:
    if isinstance(part, dict):
        return float(len(part)) if measure.op == "distinct" else percentile(part, measure.rank)
    if part is None:
        return 0.0 if measure.op in ("count", "sum") else math.nan
    return float(part)


def percentile(tally: Tally, rank: float) -> float:
    """By linear interpolation between the two nearest of the sorted values (Hyndman and Fan's type 7)."""
    values = sorted((float(v), count) for v, count in tally.items() if not isinstance(v, str | bytes))
    if not values:
        return math.nan
    place = rank / 100 * (sum(count for _, count in values) - 1)
    low, high = _nth(values, math.floor(place)), _nth(values, math.ceil(place))
    return low + (high - low) * (place - math.floor(place))


def _nth(values: Sequence[tuple[float, int]], place: int) -> float:
    for value, count in values:
        if place < count:
            return value
        place -= count
    return values[-1][0]
