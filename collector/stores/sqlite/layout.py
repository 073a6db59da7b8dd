"""What a partition file holds. The reasons, with figures, are in decisions/sqlite-layout.md.

``info``    counts and the layout's own description, so that a newer program still reads an older file
``term``    every keyword that a column holds, once; columns hold its number
``record``  one narrow row a record, in order of its own time: id and the columns that fields.py asks for
``doc``     every other field, a column each, in order of arrival; a missing field costs one byte at most
roll-ups    sums by hour over few columns, kept exact by the writer; a query uses one only where it is equal to the rows

A list is held as JSON in a blob, a single value as it is. JSON documents instead of ``doc``'s columns were measured:
more than twice the size, and ten times slower to group by a field that has no column in ``record``.

``hour`` (hours since 1970) leads the address indexes: the rows of one batch then touch few pages, where an index by
address alone would touch one page a row, and a page written costs more than the row itself.
"""

from __future__ import annotations

import sqlite3

import msgspec

from telemetry.fields import FIELDS, Type

LAYOUT = 1
HOUR_MS = 3_600_000
INTERNED = frozenset({Type.KEYWORD, Type.TEXT})
OWN = frozenset({"@timestamp", "event.id"})
"""Fields that every row has in columns of their own: ``ts`` and ``id``."""


class RollUp(msgspec.Struct, frozen=True):
    """A table of sums by ``dimensions`` and, where it is ``hourly``, by hour.

    ``needs``: only records that have this field are in it. A roll-up that is not hourly answers for the whole file.
    """

    name: str
    dimensions: tuple[str, ...]
    sums: tuple[str, ...]
    needs: str = ""
    hourly: bool = True

    @property
    def keys(self) -> tuple[str, ...]:
        return ("hour", *self.dimensions) if self.hourly else self.dimensions


class Layout(msgspec.Struct, frozen=True):
    """What one file holds; written into it when it is made."""

    columns: dict[str, Type]
    fields: tuple[str, ...]
    rollups: tuple[RollUp, ...]
    version: int = LAYOUT


SUMS = ("network.bytes", "network.packets")
HOURLY = RollUp(
    "hourly",
    ("event.dataset", "event.action", "agent.id", "tengwang.unit.id", "tengwang.zone", "network.type"),
    SUMS,
)
TALKERS = RollUp("talkers", ("source.ip", "tengwang.unit.id", "event.dataset"), SUMS, needs="source.ip")
TALKERS_WHOLE = msgspec.structs.replace(TALKERS, name="talkers_whole", hourly=False)

WANTED = Layout(
    {f.name: f.type for f in FIELDS if f.column and not f.many and f.name not in OWN},
    tuple(f.name for f in FIELDS if f.name not in OWN),
    (HOURLY, TALKERS_WHOLE, TALKERS),
)

ADDRESSES = ("source.ip", "destination.ip")
"""Address columns with an index by hour and address."""


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def statements(layout: Layout) -> list[str]:
    """The SQL that makes an empty file."""
    columns = "".join(f", {quoted(name)}" for name in layout.columns)
    made = [
        "CREATE TABLE info (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
        "CREATE TABLE term (t INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)",
        f"CREATE TABLE doc (n INTEGER PRIMARY KEY{''.join(f', {quoted(name)}' for name in layout.fields)})",
        "CREATE TABLE record (ts INTEGER NOT NULL, n INTEGER NOT NULL, id TEXT NOT NULL, hour INTEGER NOT NULL"
        f"{columns}, PRIMARY KEY (ts, n)) WITHOUT ROWID",
        "CREATE UNIQUE INDEX record_id ON record (id)",
    ]
    if "event.dataset" in layout.columns:
        made.append('CREATE INDEX record_dataset ON record ("event.dataset", ts)')
    for name in ADDRESSES:
        if name in layout.columns:
            column = quoted(name)
            made.append(
                f"CREATE INDEX {quoted('record_' + name)} ON record (hour, {column}, ts) WHERE {column} IS NOT NULL"
            )
    for rollup in layout.rollups:
        keys = ", ".join(map(quoted, rollup.keys))
        sums = "".join(f", {quoted(name)} NOT NULL" for name in rollup.sums)
        made.append(
            f"CREATE TABLE {quoted(rollup.name)} ({keys}, records INTEGER NOT NULL{sums}, PRIMARY KEY ({keys}))"
            " WITHOUT ROWID"
        )
    return made


def create(connection: sqlite3.Connection, layout: Layout) -> None:
    """Make the tables, inside the caller's transaction."""
    for statement in statements(layout):
        connection.execute(statement)
    connection.executemany(
        "INSERT INTO info VALUES (?, ?)",
        [("layout", msgspec.json.encode(layout).decode()), ("records", 0), ("oldest", None), ("newest", None)],
    )


def extend(connection: sqlite3.Connection, layout: Layout) -> Layout:
    """Give a file that an older program made a place for the fields that came since, in the caller's transaction."""
    missing = tuple(name for name in WANTED.fields if name not in layout.fields)
    if not missing:
        return layout
    for name in missing:
        connection.execute(f"ALTER TABLE doc ADD COLUMN {quoted(name)}")
    extended = msgspec.structs.replace(layout, fields=(*layout.fields, *missing))
    connection.execute("UPDATE info SET value = ? WHERE name = 'layout'", (msgspec.json.encode(extended).decode(),))
    return extended


def read(connection: sqlite3.Connection) -> Layout | None:
    """The layout of a file; None where it is still empty."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'info'").fetchone():
        return None
    row = connection.execute("SELECT value FROM info WHERE name = 'layout'").fetchone()
    return msgspec.json.decode(row[0], type=Layout) if row else None


def extent(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """How many records a file has, and the oldest and newest of their own times (0, -1 where there is none)."""
    held = dict(connection.execute("SELECT name, value FROM info WHERE name != 'layout'").fetchall())
    if not held.get("records"):
        return 0, 0, -1
    return int(held["records"]), int(held["oldest"]), int(held["newest"])
