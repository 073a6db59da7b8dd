"""Put records into one partition file, in one transaction: rows, documents, terms and roll-ups together.

Work is done a column at a time over the whole batch, as values repeat: each distinct value is converted once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence

import msgspec

from collector.query_order import packed
from collector.store import Record, Refused
from collector.stores.sqlite.layout import HOUR_MS, INTERNED, OWN, Layout, RollUp, quoted
from collector.stores.sqlite.partition_file import File
from telemetry.errors import Permanent
from telemetry.event import TIMESTAMP, Event, Value
from telemetry.fields import BY_NAME, Type
from telemetry.validate import validate

MAX_TERMS = 100_000
"""Terms that are remembered for a file; more are looked up."""

Cell = int | float | str | bytes | None
Totals = dict[tuple[Cell, ...], list[float]]
Convert = Callable[[set[Cell]], Mapping[Cell, Cell]]
encode = msgspec.json.Encoder().encode


def insert(file: File, records: Sequence[Record]) -> tuple[int, int]:
    """Write records whose documents are sound; returns how many are new and how many were there already."""
    terms: dict[str, int] = {}
    with file.writing() as connection:
        first = connection.execute("SELECT coalesce(max(n), 0) + 1 FROM doc").fetchone()[0]
        docs = [record.doc for record in records]
        numbers = range(first, first + len(docs))
        times = [int(doc[TIMESTAMP]) for doc in docs]  # type: ignore[arg-type]  # validated: an int
        hours = [ts // HOUR_MS for ts in times]
        layout = file.layout
        columns = {
            name: _column(docs, name, kind, lambda texts: _interned(connection, file, terms, texts))
            for name, kind in layout.columns.items()
        }
        summed = {name for rollup in layout.rollups for name in rollup.sums if name not in columns}
        sums: dict[str, list[Cell]] = {
            name: [doc.get(name) for doc in docs]  # type: ignore[misc]  # numbers, never lists
            for name in summed
        }
        ids = [record.id for record in records]
        before = connection.total_changes
        connection.executemany(
            f"INSERT OR IGNORE INTO record VALUES ({', '.join('?' * (4 + len(columns)))})",
            zip(times, numbers, ids, hours, *columns.values(), strict=True),
        )
        stored = connection.total_changes - before
        kept: Sequence[int] = range(len(docs))
        if stored < len(docs):
            find = "SELECT n FROM record WHERE id = ?"
            kept = [i for i, one in enumerate(ids) if connection.execute(find, (one,)).fetchone() == (numbers[i],)]
        if kept:
            _documents(connection, layout, [(numbers[i], docs[i]) for i in kept])
            _roll_ups(connection, layout.rollups, kept, {"hour": hours, **sums, **columns})
            _count(connection, len(kept), [times[i] for i in kept])
    if len(file.terms) + len(terms) > MAX_TERMS:
        file.terms.clear()
    file.terms.update(terms)
    return len(kept), len(docs) - len(kept)


def refusal(record: Record) -> Refused | None:
    """Why this record can never be stored; None where it can."""
    try:
        validate(record.doc)
        encode(record.doc)
    except Permanent as error:
        return Refused(record, str(error))
    except (UnicodeError, msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
        return Refused(record, f"not_encodable: {error}")
    return None


def _documents(connection: sqlite3.Connection, layout: Layout, rows: Sequence[tuple[int, Event]]) -> None:
    """What has no column in ``record``. Documents with the same fields go in together: they come in few shapes."""
    shapes: dict[tuple[str, ...], list[tuple[int, Event]]] = {}
    for row in rows:
        shapes.setdefault(tuple(row[1]), []).append(row)
    for shape, members in shapes.items():
        names = [name for name in shape if name not in layout.columns and name not in OWN]
        lists = [at for at, name in enumerate(names, 1) if BY_NAME[name].many]
        marks = ", ".join("?" * (1 + len(names)))
        connection.executemany(
            f"INSERT INTO doc ({', '.join(['n', *map(quoted, names)])}) VALUES ({marks})",
            (_cells(n, doc, names, lists) for n, doc in members),
        )
    for name in (name for name, kind in layout.columns.items() if kind is Type.IP):
        odd = [(doc[name], n) for n, doc in rows if str(doc.get(name, "")).startswith("::ffff:")]
        connection.executemany(f"UPDATE doc SET {quoted(name)} = ? WHERE n = ?", odd)  # else it comes back as IPv4


def _cells(n: int, doc: Event, names: Sequence[str], lists: Sequence[int]) -> list[Value | bytes]:
    cells: list[Value | bytes] = [n, *[doc[name] for name in names]]
    for at in lists:
        if isinstance(cells[at], list):
            cells[at] = encode(cells[at])
    return cells


def _column(docs: Sequence[Event], name: str, kind: Type, intern: Convert) -> list[Cell]:
    values: list[Cell] = [doc.get(name) for doc in docs]  # type: ignore[misc]  # columns are never lists
    if kind not in INTERNED and kind is not Type.IP:
        return values
    distinct = set(values)
    distinct.discard(None)
    table: dict[Cell, Cell] = {None: None}
    table.update(intern(distinct) if kind in INTERNED else {value: packed(str(value)) for value in distinct})
    return list(map(table.__getitem__, values))


def _interned(
    connection: sqlite3.Connection, file: File, added: dict[str, int], texts: set[Cell]
) -> Mapping[Cell, Cell]:
    """The numbers of these texts, giving a number to each new one. ``added`` is for the cache, after the commit."""
    table: dict[Cell, Cell] = {}
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"wants text, has {type(text).__name__}")
        number = file.terms.get(text) or added.get(text)
        if number is None:
            connection.execute("INSERT OR IGNORE INTO term (text) VALUES (?)", (text,))
            number = int(connection.execute("SELECT t FROM term WHERE text = ?", (text,)).fetchone()[0])
            added[text] = number
        table[text] = number
    return table


def _roll_ups(
    connection: sqlite3.Connection,
    rollups: Sequence[RollUp],
    kept: Sequence[int],
    columns: Mapping[str, Sequence[Cell]],
) -> None:
    """Add the records at ``kept`` to every roll-up. One over the whole file comes from its hourly twin."""
    hourly: dict[tuple[str, ...], Totals] = {}
    for rollup in sorted(rollups, key=lambda r: not r.hourly):
        twin = None if rollup.hourly else hourly.get(rollup.dimensions)
        totals = _totals(rollup, kept, columns) if twin is None else _without_hour(twin)
        if rollup.hourly:
            hourly[rollup.dimensions] = totals
        sums = [quoted(name) for name in ("records", *rollup.sums)]
        connection.executemany(
            f"INSERT INTO {quoted(rollup.name)} VALUES ({', '.join('?' * (len(rollup.keys) + len(sums)))})"
            f" ON CONFLICT DO UPDATE SET {', '.join(f'{s} = {s} + excluded.{s}' for s in sums)}",
            ([*(0 if cell is None else cell for cell in key), *total] for key, total in totals.items()),
        )


def _totals(rollup: RollUp, kept: Sequence[int], columns: Mapping[str, Sequence[Cell]]) -> Totals:
    """The number of records and the sums of each key."""
    if rollup.needs:
        needed = columns[rollup.needs]
        kept = [i for i in kept if needed[i] is not None]
    totals: Totals = {}
    for key, values in zip(
        zip(*([columns[name][i] for i in kept] for name in rollup.keys), strict=True),
        zip(*([columns[name][i] or 0 for i in kept] for name in rollup.sums), strict=True),
        strict=True,
    ):
        total = totals.get(key)
        if total is None:
            totals[key] = [1, *values]
        else:
            total[0] += 1
            for at, value in enumerate(values, 1):
                total[at] += value
    return totals


def _without_hour(hourly: Totals) -> Totals:
    totals: Totals = {}
    for key, values in hourly.items():
        total = totals.get(key[1:])
        totals[key[1:]] = values if total is None else [a + b for a, b in zip(total, values, strict=True)]
    return totals


def _count(connection: sqlite3.Connection, records: int, times: list[int]) -> None:
    connection.execute("UPDATE info SET value = value + ? WHERE name = 'records'", (records,))
    connection.execute("UPDATE info SET value = min(coalesce(value, ?1), ?1) WHERE name = 'oldest'", (min(times),))
    connection.execute("UPDATE info SET value = max(coalesce(value, ?1), ?1) WHERE name = 'newest'", (max(times),))
