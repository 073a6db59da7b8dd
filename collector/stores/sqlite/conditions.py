"""Conditions in normal form to SQL over ``record r`` and, only where a field has no column there, ``doc d``.

Every expression is NULL where the record lacks the field, and ``Not`` is ``IS NOT TRUE``, so a missing field meets no
condition and every ``Not``.
"""

from __future__ import annotations

import ipaddress
import sqlite3
from collections.abc import Container, Mapping, Sequence

import msgspec

from collector.query import (
    MAX_SEARCHED,
    AnyOf,
    Cidr,
    Condition,
    Contains,
    Equals,
    Not,
    Range,
    Scalar,
)
from collector.query_normal import MAPPED, network
from collector.query_order import packed
from collector.stores.sqlite.layout import INTERNED, OWN, quoted
from telemetry.fields import BY_NAME, Type

FALSE = "0"
Parameter = str | int | float | bytes


class Sql(msgspec.Struct, frozen=True):
    """A piece of SQL, its parameters, and whether it looks into the document."""

    text: str
    parameters: tuple[Parameter, ...] = ()
    documents: bool = False


class Scope:
    """How fields are named in one file: which have a column, and which number a term has there.

    ``absent`` is what a column holds for a missing value: roll-ups hold 0, as their key columns can not be NULL.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        columns: Mapping[str, Type],
        fields: Container[str] = (),
        zero: bool = False,
    ) -> None:
        self._connection = connection
        self.columns = columns
        self.fields = fields
        self._zero = zero

    def column(self, name: str) -> str | None:
        """The SQL of a column that holds the field, NULL where it is missing."""
        if name in OWN and not self._zero:
            return "r.ts" if name == "@timestamp" else "r.id"
        if name not in self.columns:
            return None
        column = f"r.{quoted(name)}"
        return f"nullif({column}, 0)" if self._zero else column

    def interned(self, name: str) -> bool:
        return name in self.columns and self.columns[name] in INTERNED

    def terms(self, texts: Sequence[Scalar]) -> list[int]:
        """The numbers of those texts that occur in this file."""
        marks = ", ".join("?" * len(texts))
        rows = self._connection.execute(f"SELECT t FROM term WHERE text IN ({marks})", texts)
        return [row[0] for row in rows]


def all_of(scope: Scope, conditions: Sequence[Condition]) -> Sql:
    """The conjunction; ``FALSE`` alone where no record of this file can meet it."""
    return _joined([compile_one(scope, c) for c in conditions], " AND ", "1", FALSE)


def compile_one(scope: Scope, condition: Condition) -> Sql:
    match condition:
        case AnyOf(of=of):
            return _joined([compile_one(scope, c) for c in of], " OR ", FALSE, "1")
        case Not(of=of):
            inner = compile_one(scope, of)
            if inner.text == FALSE:
                return Sql("1")
            return Sql(f"({inner.text}) IS NOT TRUE", inner.parameters, inner.documents)
    name = condition.field
    field = BY_NAME[name]
    column = scope.column(name)
    if column is not None:
        return _test(scope, column, condition, scope.interned(name), packed_ip=field.type is Type.IP)
    if name not in scope.fields:
        return Sql(FALSE)
    if not field.many:
        inner = _test(scope, scalar(name), condition, interned=False, packed_ip=field.type is Type.IP)
        return Sql(inner.text, inner.parameters, documents=True)
    inner = _test(scope, element("j.value", field.type), condition, interned=False, packed_ip=field.type is Type.IP)
    return Sql(f"EXISTS (SELECT 1 FROM {elements(name)} j WHERE {inner.text})", inner.parameters, documents=True)


def scalar(name: str) -> str:
    """The value of a field in ``doc``, as it is compared and grouped."""
    return element(f"d.{quoted(name)}", BY_NAME[name].type)


def elements(name: str) -> str:
    """The values of a field that may be a list, as a table with ``key`` and ``value``."""
    column = f"d.{quoted(name)}"
    return (
        f"json_each(CASE typeof({column}) WHEN 'blob' THEN CAST({column} AS TEXT) WHEN 'null' THEN '[]'"
        f" ELSE json_array({column}) END)"
    )


def element(value: str, kind: Type) -> str:
    if kind is Type.IP:
        return f"packed({value})"
    if kind is Type.DOUBLE:
        return f"CAST({value} AS REAL)"
    if kind is Type.TEXT:
        return f"CASE WHEN length({value}) <= {MAX_SEARCHED} THEN {value} END"
    return value


def _test(scope: Scope, value: str, condition: Condition, interned: bool, packed_ip: bool) -> Sql:
    match condition:
        case Equals(values=values):
            if interned:
                values = tuple(scope.terms(values))
            if not values:
                return Sql(FALSE)
            parameters = tuple(packed(str(v)) if packed_ip else v for v in values)
            return Sql(f"{value} IN ({', '.join('?' * len(values))})", parameters)
        case Cidr(prefix=prefix):
            low, high = bounds(prefix)
            outside = around_mapped(prefix)
            text = f"{value} BETWEEN ? AND ?"
            return Sql(f"({text} AND {value} NOT BETWEEN ? AND ?)" if outside else text, (low, high, *outside))
        case Range(low=low_bound, high=high_bound):
            pieces = [f"{value} IS NOT NULL"]
            numbers: list[Parameter] = []
            for sign, bound in ((">=", low_bound), ("<", high_bound)):
                if bound is not None:
                    pieces.append(f"{value} {sign} ?")
                    numbers.append(bound)
            return Sql(f"({' AND '.join(pieces)})", tuple(numbers))
        case Contains(text=text):
            pattern = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
            if interned:
                return Sql(f"{value} IN (SELECT t FROM term WHERE text LIKE ? ESCAPE '\\')", (pattern,))
            return Sql(f"{value} LIKE ? ESCAPE '\\'", (pattern,))
        case _:
            return Sql(f"{value} IS NOT NULL")


def bounds(prefix: str) -> tuple[bytes, bytes]:
    """First and last address of a prefix, packed."""
    net = network(prefix)
    return packed(str(net.network_address)), packed(str(net.broadcast_address))


def around_mapped(prefix: str) -> tuple[bytes, ...]:
    """An IPv6 prefix wide enough to hold the mapped IPv4 addresses must leave them out."""
    net = network(prefix)
    if isinstance(net, ipaddress.IPv6Network) and MAPPED.subnet_of(net):
        return packed(str(MAPPED.network_address)), packed(str(MAPPED.broadcast_address))
    return ()


def _joined(parts: list[Sql], word: str, neutral: str, absorbing: str) -> Sql:
    if any(part.text == absorbing for part in parts):
        return Sql(absorbing)
    parts = [part for part in parts if part.text != neutral]
    if not parts:
        return Sql(neutral)
    return Sql(
        "(" + word.join(part.text for part in parts) + ")",
        tuple(p for part in parts for p in part.parameters),
        any(part.documents for part in parts),
    )
