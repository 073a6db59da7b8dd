"""A page of records from one file, hour by hour in the order asked for, until it is full.

An hour is skipped where a roll-up or an address index shows that it has nothing. Within an hour the address index
is used where few rows match (they must be sorted by time), else the rows are read in order of time: one that matches
often soon fills the page. What is few is counted, not guessed: counting up to ``FEW`` entries of an index costs less
than reading as many rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from collector.query import Cidr, Condition, Equals, Search
from collector.query_order import packed
from collector.stores.sqlite.conditions import FALSE, Parameter, Scope, Sql, all_of, bounds
from collector.stores.sqlite.grouping import fields_of
from collector.stores.sqlite.layout import ADDRESSES, HOUR_MS, HOURLY, Layout, quoted
from collector.stores.sqlite.searching import Hit, fetched

FEW = 2000
MAX_ADDRESSES = 16
Place = tuple[int, str, int]
"""Own time, id and number of a row."""


def page(
    connection: sqlite3.Connection,
    layout: Layout,
    query: Search,
    after: tuple[int, str] | None,
    limit: int,
    oldest: int,
    newest: int,
) -> list[Hit]:
    """The first ``limit`` records of this file beyond ``after``; its own times are ``oldest`` to ``newest``."""
    since, until = max(query.since_ms, oldest), min(query.until_ms, newest + 1)
    if after is not None:
        since, until = (max(since, after[0]), until) if query.oldest_first else (since, min(until, after[0] + 1))
    found = all_of(Scope(connection, layout.columns, layout.fields), query.where)
    if found.text == FALSE or since >= until:
        return []
    index = address_index(layout, query.where)
    rows: list[Place] = []
    for hour in _hours(connection, layout, query, since, until, index is not None):
        start, end = max(since, hour * HOUR_MS), min(until, (hour + 1) * HOUR_MS)
        through = ""
        if index is not None:
            entries = _entries(connection, index, hour)
            if not entries:
                continue
            through = index[0] if entries <= FEW else ""
        rows += _rows(connection, query, found, after, limit - len(rows), start, end, hour, through)
        if len(rows) >= limit:
            break
    return fetched(connection, layout, rows)


Index = tuple[str, list[tuple[bytes, bytes]]]
"""An address column, and the ranges of addresses that are asked for."""


def address_index(layout: Layout, where: Sequence[Condition]) -> Index | None:
    """The first condition that an address index can serve."""
    for condition in where:
        match condition:
            case Cidr(field=name, prefix=prefix) if name in ADDRESSES and name in layout.columns:
                return name, [bounds(prefix)]
            case Equals(field=name, values=values) if name in ADDRESSES and name in layout.columns:
                if len(values) <= MAX_ADDRESSES:
                    return name, [(packed(str(v)), packed(str(v))) for v in values]
    return None


def _hours(
    connection: sqlite3.Connection, layout: Layout, query: Search, since: int, until: int, indexed: bool
) -> Iterator[int]:
    """The hours that may have something, in the order asked for.

    From the roll-up by hour where it can tell, or where the period is long: not every hour of it then has records.
    """
    first, last = since // HOUR_MS, (until - 1) // HOUR_MS
    rollup = next((r for r in layout.rollups if r.name == HOURLY.name), None)
    told = [c for c in query.where if rollup is not None and fields_of(c) <= set(rollup.dimensions)]
    if rollup is None or (last - first < 100 and (indexed or not told)):
        yield from range(first, last + 1) if query.oldest_first else range(last, first - 1, -1)
        return
    scope = Scope(connection, {name: layout.columns[name] for name in rollup.dimensions}, zero=True)
    found = all_of(scope, told)
    order = "ASC" if query.oldest_first else "DESC"
    rows = connection.execute(
        f"SELECT DISTINCT hour FROM {quoted(rollup.name)} r WHERE {found.text} AND hour >= ? AND hour <= ?"
        f" ORDER BY hour {order}",
        (*found.parameters, first, last),
    )
    for (hour,) in rows:
        yield hour


def _entries(connection: sqlite3.Connection, index: Index, hour: int) -> int:
    """How many rows of an hour the index names, counted up to a few more than ``FEW``."""
    name, ranges = index
    column = quoted(name)
    count = 0
    for low, high in ranges:
        count += connection.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM record r INDEXED BY {quoted('record_' + name)}"
            f" WHERE hour = ? AND {column} >= ? AND {column} <= ? LIMIT {FEW + 1})",
            (hour, low, high),
        ).fetchone()[0]
        if count > FEW:
            break
    return count


def _rows(
    connection: sqlite3.Connection,
    query: Search,
    found: Sql,
    after: tuple[int, str] | None,
    limit: int,
    start: int,
    end: int,
    hour: int,
    through: str,
) -> list[Place]:
    """The first rows of an hour, by an address index where ``through`` names its column."""
    order, beyond = ("ASC", ">") if query.oldest_first else ("DESC", "<")
    tests, parameters = [found.text, "r.ts >= ?", "r.ts < ?"], [*found.parameters, start, end]
    source = "record r"
    if through:
        source += f" INDEXED BY {quoted('record_' + through)}"
        tests.append("r.hour = ?")
        parameters.append(hour)
    if after is not None:
        tests.append(f"(r.ts {beyond} ? OR r.id {beyond} ?)")
        parameters += after
    if found.documents:
        source += " CROSS JOIN doc d ON d.n = r.n"
    bound: list[Parameter] = [*parameters, limit]
    return connection.execute(
        f"SELECT r.ts, r.id, r.n FROM {source} WHERE {' AND '.join(tests)} ORDER BY r.ts {order}, r.id {order} LIMIT ?",
        bound,
    ).fetchall()
