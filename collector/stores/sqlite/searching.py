"""The newest record of each key, one record by its id, and records put together again, from one file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

import msgspec

from collector.query import Latest
from collector.query_order import unpacked
from collector.store import Found
from collector.stores.sqlite.conditions import FALSE, Scope, Sql, all_of
from collector.stores.sqlite.grouping import Key, fields_of, key_of, keys
from collector.stores.sqlite.layout import HOUR_MS, HOURLY, INTERNED, Layout, quoted
from telemetry.event import TIMESTAMP, Event, Value
from telemetry.fields import BY_NAME, Type

MAX_HOURS = 48
decode: Callable[[bytes], Value] = msgspec.json.Decoder().decode
Hit = tuple[int, str, Found]
"""Own time, id, record: what pages are ordered by."""


def newest(
    connection: sqlite3.Connection, layout: Layout, query: Latest, oldest: int, newest_ms: int
) -> list[tuple[Key, Hit]]:
    """The newest record of each key in this file, newest first, at most ``limit``.

    Where a roll-up knows which keys there are, hours are read from the newest on until all were seen: who asks for the
    state of all agents finds it in the last hour of a day.
    """
    scope = Scope(connection, layout.columns, layout.fields)
    found = all_of(scope, query.where)
    since, until = max(query.since_ms, oldest), min(query.until_ms, newest_ms + 1)
    if found.text == FALSE or since >= until:
        return []
    wanted = _keys_known(connection, layout, query, since, until)
    if wanted is None:
        return _newest(connection, layout, query, scope, found, since, until)
    seen: dict[Key, Hit] = {}
    for hour in range((until - 1) // HOUR_MS, since // HOUR_MS - 1, -1):
        start, end = max(since, hour * HOUR_MS), min(until, (hour + 1) * HOUR_MS)
        for key, hit in _newest(connection, layout, query, scope, found, start, end):
            seen.setdefault(key, hit)
        if len(seen) >= min(wanted, query.limit):
            break
    return list(seen.items())


def _keys_known(connection: sqlite3.Connection, layout: Layout, query: Latest, since: int, until: int) -> int | None:
    """How many keys these hours have; None where the roll-up can not tell, or going by hours would not pay."""
    rollup = next((r for r in layout.rollups if r.name == HOURLY.name), None)
    asked = {*query.per, *(name for c in query.where for name in fields_of(c))}
    first, last = since // HOUR_MS, (until - 1) // HOUR_MS
    if rollup is None or not asked <= set(rollup.dimensions) or not 1 <= last - first <= MAX_HOURS:
        return None
    scope = Scope(connection, {name: layout.columns[name] for name in rollup.dimensions}, zero=True)
    found = all_of(scope, query.where)
    grouped = [key_of(scope, name, at) for at, name in enumerate(query.per)]
    tests = " AND ".join([found.text, *(t for k in grouped for t in k.tests), "r.hour >= ?", "r.hour <= ?"])
    row = connection.execute(
        f"SELECT count(*) FROM (SELECT DISTINCT {', '.join(k.text for k in grouped)} FROM {quoted(rollup.name)} r"
        f" WHERE {tests})",
        (*found.parameters, first, last),
    ).fetchone()
    return int(row[0])


def _newest(
    connection: sqlite3.Connection, layout: Layout, query: Latest, scope: Scope, found: Sql, since: int, until: int
) -> list[tuple[Key, Hit]]:
    grouped = [key_of(scope, name, at) for at, name in enumerate(query.per)]
    documents = found.documents or any(k.documents for k in grouped)
    source = "record r" + (" CROSS JOIN doc d ON d.n = r.n" if documents else "") + "".join(k.join for k in grouped)
    tests = " AND ".join([found.text, "r.ts >= ?", "r.ts < ?", *(t for k in grouped for t in k.tests)])
    inner = ", ".join(f"{k.text} AS k{at}" for at, k in enumerate(grouped))
    rows = connection.execute(
        f"SELECT {keys(grouped)}, ts, id, n FROM (SELECT {inner}, r.ts, r.id, r.n, row_number() OVER"
        f" (PARTITION BY {', '.join(k.text for k in grouped)} ORDER BY r.ts DESC, r.id DESC) AS place"
        f" FROM {source} WHERE {tests}) AS ranked WHERE place = 1 ORDER BY ts DESC, id DESC LIMIT ?",
        (*found.parameters, since, until, query.limit),
    ).fetchall()
    width = len(grouped)
    hits = fetched(connection, layout, [row[width:] for row in rows])
    return [(row[:width], hit) for row, hit in zip(rows, hits, strict=True)]


def by_id(connection: sqlite3.Connection, layout: Layout, id: str) -> Found | None:
    rows = connection.execute("SELECT ts, id, n FROM record WHERE id = ?", (id,)).fetchall()
    return fetched(connection, layout, rows)[0][2] if rows else None


def fetched(connection: sqlite3.Connection, layout: Layout, rows: Sequence[tuple[int, str, int]]) -> list[Hit]:
    """The records of these times, ids and numbers, put together again from their columns."""
    wanted = [
        f"(SELECT text FROM term WHERE t = r.{quoted(name)})" if kind in INTERNED else f"r.{quoted(name)}"
        for name, kind in layout.columns.items()
    ]
    wanted += [f"d.{quoted(name)}" for name in layout.fields]
    one = f"SELECT {', '.join(wanted)} FROM record r CROSS JOIN doc d ON d.n = r.n WHERE r.ts = ? AND r.n = ?"
    made = []
    for ts, id_, n in rows:
        cells = connection.execute(one, (ts, n)).fetchone()
        doc: Event = {TIMESTAMP: ts, "event.id": id_}
        for (name, kind), cell in zip(layout.columns.items(), cells, strict=False):
            if cell is not None:
                doc[name] = unpacked(cell) if kind is Type.IP else bool(cell) if kind is Type.BOOLEAN else cell
        for name, cell in zip(layout.fields, cells[len(layout.columns) :], strict=True):
            if cell is not None:
                flag = name in BY_NAME and BY_NAME[name].type is Type.BOOLEAN
                doc[name] = decode(cell) if isinstance(cell, bytes) else bool(cell) if flag else cell
        made.append((ts, id_, Found(id_, doc)))
    return made


def holds(connection: sqlite3.Connection, ids: Sequence[str]) -> set[str]:
    """Those of the ids that this file has."""
    find = "SELECT 1 FROM record WHERE id = ?"
    return {one for one in ids if connection.execute(find, (one,)).fetchone()}
