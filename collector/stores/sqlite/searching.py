"""Pages of records, the newest of each key, and one record by its id, from one file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

import msgspec

from collector.query import Latest, Search
from collector.store import Found
from collector.stores.sqlite.conditions import FALSE, Parameter, Scope, Sql, all_of
from collector.stores.sqlite.grouping import Key, key_of, keys
from collector.stores.sqlite.layout import Layout
from telemetry.event import Event

decode: Callable[[str], Event] = msgspec.json.Decoder().decode
Hit = tuple[int, str, Found]
"""Own time, id, record: what pages are ordered by."""


def page(
    connection: sqlite3.Connection, layout: Layout, query: Search, after: tuple[int, str] | None, limit: int
) -> list[Hit]:
    """The first ``limit`` records of this file beyond ``after``, in the order asked for."""
    found = all_of(Scope(connection, layout.columns), query.where)
    if found.text == FALSE:
        return []
    order = "ASC" if query.oldest_first else "DESC"
    beyond, parameters = "", list[Parameter](found.parameters)
    since, until = query.since_ms, query.until_ms
    if after is not None:
        if query.oldest_first:
            since = max(since, after[0])
            beyond = " AND (r.ts > ? OR r.id > ?)"
        else:
            until = min(until, after[0] + 1)
            beyond = " AND (r.ts < ? OR r.id < ?)"
        parameters += after
    rows = connection.execute(
        f"SELECT r.ts, r.id, d.doc FROM record r CROSS JOIN doc d ON d.n = r.n"
        f" WHERE {found.text}{beyond} AND r.ts >= ? AND r.ts < ?"
        f" ORDER BY r.ts {order}, r.id {order} LIMIT ?",
        (*parameters, since, until, limit),
    )
    return [(ts, name, Found(name, decode(doc))) for ts, name, doc in rows]


def newest(connection: sqlite3.Connection, layout: Layout, query: Latest) -> list[tuple[Key, Hit]]:
    """The newest record of each key in this file, newest first, at most ``limit``."""
    scope = Scope(connection, layout.columns)
    found = all_of(scope, query.where)
    if found.text == FALSE:
        return []
    grouped = [key_of(scope, name, at) for at, name in enumerate(query.per)]
    source = "record r" + (
        " CROSS JOIN doc d ON d.n = r.n" if _documents(found, [k.documents for k in grouped]) else ""
    )
    source += "".join(k.join for k in grouped)
    tests = " AND ".join([found.text, "r.ts >= ?", "r.ts < ?", *(t for k in grouped for t in k.tests)])
    names = keys(grouped)
    rows = connection.execute(
        f"SELECT {names}, ts, id, (SELECT doc FROM doc WHERE doc.n = ranked.n) FROM ("
        f"SELECT {', '.join(f'{k.text} AS k{at}' for at, k in enumerate(grouped))}, r.ts, r.id, r.n,"
        f" row_number() OVER (PARTITION BY {', '.join(k.text for k in grouped)} ORDER BY r.ts DESC, r.id DESC) AS place"
        f" FROM {source} WHERE {tests}) AS ranked WHERE place = 1 ORDER BY ts DESC, id DESC LIMIT ?",
        (*found.parameters, query.since_ms, query.until_ms, query.limit),
    )
    width = len(grouped)
    return [(row[:width], (row[width], row[width + 1], Found(row[width + 1], decode(row[width + 2])))) for row in rows]


def by_id(connection: sqlite3.Connection, id: str) -> Found | None:
    row = connection.execute("SELECT doc FROM doc WHERE n = (SELECT n FROM record WHERE id = ?)", (id,)).fetchone()
    return Found(id, decode(row[0])) if row else None


def holds(connection: sqlite3.Connection, ids: Sequence[str]) -> set[str]:
    """Those of the ids that this file has."""
    find = "SELECT 1 FROM record WHERE id = ?"
    return {one for one in ids if connection.execute(find, (one,)).fetchone()}


def _documents(found: Sql, others: Sequence[bool]) -> bool:
    return found.documents or any(others)
