"""A page of records from one file, hour by hour in the order asked for, until it is full.

An hour is skipped where a roll-up or an address index shows that it has nothing. Within an hour the address index
is used where few rows match (they must be sorted by time), else the rows are read in order of time: what matches
often soon fills the page. What is few is counted, not guessed; where a roll-up by address knows the other conditions
too (unit, dataset), it counts what meets all of them, so two frequent things that never meet cost nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

import msgspec

from collector.query import Cidr, Condition, Equals, Search
from collector.query_order import packed
from collector.stores.sqlite.conditions import FALSE, Parameter, Scope, Sql, all_of, around_mapped, bounds
from collector.stores.sqlite.grouping import fields_of
from collector.stores.sqlite.layout import ADDRESSES, HOUR_MS, HOURLY, Layout, quoted
from collector.stores.sqlite.searching import Hit, fetched

FEW = 2000
"""Rows of one hour that are rather fetched one by one and sorted than found by reading the hour."""
MAX_ADDRESSES = 16
MAX_ENTRIES = 256
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
    scope = Scope(connection, layout.columns, layout.fields)
    found = all_of(scope, query.where)
    if found.text == FALSE or since >= until:
        return []
    index = address_index(layout, query.where)
    rows: list[Place] = []
    for hour in _hours(connection, layout, query, since, until, index is not None):
        tests = found
        through = ""
        if index is not None:
            entries = _entries(connection, layout, index, query.where, hour)
            if entries == []:
                continue
            if entries is not None:
                through, others = index.field, [c for c in query.where if c is not index.condition]
                tests = _among(index.field, entries, hour, all_of(scope, others))
        start, end = max(since, hour * HOUR_MS), min(until, (hour + 1) * HOUR_MS)
        rows += _rows(connection, query, tests, after, limit - len(rows), start, end, through)
        if len(rows) >= limit:
            break
    return fetched(connection, layout, rows)


class Index(msgspec.Struct, frozen=True):
    """The condition that an address index serves, its column, and the ranges of addresses that are asked for."""

    condition: Condition
    field: str
    ranges: tuple[tuple[bytes, bytes], ...]


def address_index(layout: Layout, where: Sequence[Condition]) -> Index | None:
    """The first condition that an address index can serve."""
    for condition in where:
        match condition:
            case Cidr(field=name, prefix=prefix) if name in ADDRESSES and name in layout.columns:
                if not around_mapped(prefix):
                    return Index(condition, name, (bounds(prefix),))
            case Equals(field=name, values=values) if name in ADDRESSES and name in layout.columns:
                if len(values) <= MAX_ADDRESSES:
                    return Index(condition, name, tuple((packed(str(v)), packed(str(v))) for v in values))
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


def _entries(
    connection: sqlite3.Connection, layout: Layout, index: Index, where: Sequence[Condition], hour: int
) -> list[tuple[bytes, bytes]] | None:
    """The ranges of an hour's index that have a match, or None where they hold more than ``FEW`` rows.

    Where a roll-up by address knows other conditions too, it names the very addresses that meet them all.
    """
    rollup = next((r for r in layout.rollups if r.hourly and r.needs == index.field), None)
    if rollup is None:
        return _counted(connection, index, hour)
    scope = Scope(connection, {name: layout.columns[name] for name in rollup.dimensions}, zero=True)
    told = [c for c in where if c is not index.condition and fields_of(c) <= set(rollup.dimensions)]
    found = all_of(scope, told)
    column = f"r.{quoted(index.field)}"
    entries: list[tuple[bytes, bytes]] = []
    records = 0
    for low, high in index.ranges:
        for address, count in connection.execute(
            f"SELECT {column}, sum(r.records) FROM {quoted(rollup.name)} r"
            f" WHERE r.hour = ? AND {column} >= ? AND {column} <= ? AND {found.text} GROUP BY {column} LIMIT ?",
            (hour, low, high, *found.parameters, MAX_ENTRIES + 1),
        ):
            entries.append((address, address))
            records += count
        if records > FEW or len(entries) > MAX_ENTRIES:
            return None
    return entries


def _counted(connection: sqlite3.Connection, index: Index, hour: int) -> list[tuple[bytes, bytes]] | None:
    column = quoted(index.field)
    entries: list[tuple[bytes, bytes]] = []
    count = 0
    for low, high in index.ranges:
        held = connection.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM record r INDEXED BY {quoted('record_' + index.field)}"
            f" WHERE hour = ? AND {column} >= ? AND {column} <= ? LIMIT {FEW + 1})",
            (hour, low, high),
        ).fetchone()[0]
        count += held
        if held:
            entries.append((low, high))
        if count > FEW:
            return None
    return entries


def _among(field: str, entries: Sequence[tuple[bytes, bytes]], hour: int, others: Sql) -> Sql:
    """The rows of an hour within these ranges of addresses that meet the other conditions."""
    column = f"r.{quoted(field)}"
    singles = [low for low, high in entries if low == high]
    if len(singles) == len(entries):
        text, parameters = f"{column} IN ({', '.join('?' * len(singles))})", tuple(singles)
    else:
        text = f"({' OR '.join([f'{column} BETWEEN ? AND ?'] * len(entries))})"
        parameters = tuple(address for entry in entries for address in entry)
    return Sql(f"(r.hour = ? AND {text} AND {others.text})", (hour, *parameters, *others.parameters), others.documents)


def _rows(
    connection: sqlite3.Connection,
    query: Search,
    found: Sql,
    after: tuple[int, str] | None,
    limit: int,
    start: int,
    end: int,
    through: str,
) -> list[Place]:
    """The first rows of an hour, by an address index where ``through`` names its column."""
    order, beyond = ("ASC", ">") if query.oldest_first else ("DESC", "<")
    tests, parameters = [found.text, "r.ts >= ?", "r.ts < ?"], [*found.parameters, start, end]
    source = "record r"
    if through:
        source += f" INDEXED BY {quoted('record_' + through)}"
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
