"""The newest record of each key, one record by its id, and records put together again, from one file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

import msgspec

from collector.query import Latest
from collector.query_order import unpacked
from collector.store import Found
from collector.stores.sqlite.conditions import FALSE, Scope, Sql, all_of
from collector.stores.sqlite.grouping import Key, key_of, keys
from collector.stores.sqlite.layout import INTERNED, Layout, quoted
from telemetry.event import TIMESTAMP, Event, Value
from telemetry.fields import BY_NAME, Type

decode: Callable[[bytes], Value] = msgspec.json.Decoder().decode
Hit = tuple[int, str, Found]
"""Own time, id, record: what pages are ordered by."""


def newest(connection: sqlite3.Connection, layout: Layout, query: Latest) -> list[tuple[Key, Hit]]:
    """The newest record of each key in this file, newest first, at most ``limit``."""
    scope = Scope(connection, layout.columns, layout.fields)
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
        f"SELECT {names}, ts, id, n FROM ("
        f"SELECT {', '.join(f'{k.text} AS k{at}' for at, k in enumerate(grouped))}, r.ts, r.id, r.n,"
        f" row_number() OVER (PARTITION BY {', '.join(k.text for k in grouped)} ORDER BY r.ts DESC, r.id DESC) AS place"
        f" FROM {source} WHERE {tests}) AS ranked WHERE place = 1 ORDER BY ts DESC, id DESC LIMIT ?",
        (*found.parameters, query.since_ms, query.until_ms, query.limit),
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


def _documents(found: Sql, others: Sequence[bool]) -> bool:
    return found.documents or any(others)
