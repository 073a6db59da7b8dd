"""Templates of NetFlow v9 and IPFIX: what the bytes of a record mean, and how many of them are kept. Pure.

A template is compiled to one ``struct.Struct`` that skips what is not used, so a record of fixed length costs one
unpack. Kept are the bytes it was announced by: they are small, and what is written to disk. Bounds: MOST_FIELDS in a
template, MOST_TEMPLATES in a domain (the one longest not announced goes first); how many domains there are is bounded
by who holds them.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from telemetry.errors import Permanent


class Group(enum.Enum):
    NUMBER = "number"
    BYTES = "bytes"


N, B = Group.NUMBER, Group.BYTES
REVERSE_ENTERPRISE = 29305
"""RFC 5103: the element of the same number, in the other direction."""

# fmt: off
ELEMENTS: Mapping[int, tuple[str, Group]] = {
    1: ("bytes", N), 2: ("packets", N), 4: ("protocol", N), 5: ("tos", N), 6: ("flags", N), 7: ("source_port", N),
    8: ("source4", B), 10: ("ingress", N), 11: ("destination_port", N), 12: ("destination4", B), 14: ("egress", N),
    21: ("end_uptime", N), 22: ("start_uptime", N), 23: ("post_bytes", N), 24: ("post_packets", N),
    27: ("source6", B), 28: ("destination6", B), 31: ("label", N), 32: ("icmp", N), 34: ("interval", N),
    48: ("sampler", N), 50: ("sampler_interval", N), 56: ("source_mac", B), 58: ("vlan", N), 61: ("direction", N),
    80: ("destination_mac", B), 85: ("total_bytes", N), 86: ("total_packets", N), 139: ("icmp", N),
    150: ("start_s", N), 151: ("end_s", N), 152: ("start_ms", N), 153: ("end_ms", N), 154: ("start_ntp", N),
    155: ("end_ntp", N), 156: ("start_ntp", N), 157: ("end_ntp", N), 158: ("start_ago_us", N), 159: ("end_ago_us", N),
    160: ("boot_ms", N), 161: ("duration_ms", N), 176: ("icmp_type", N), 177: ("icmp_code", N), 178: ("icmp_type", N),
    179: ("icmp_code", N), 195: ("dscp", N), 231: ("bytes", N), 232: ("reverse_bytes", N), 243: ("vlan", N),
    298: ("packets", N), 299: ("reverse_packets", N), 302: ("sampler", N), 305: ("packet_interval", N),
    306: ("packet_space", N), 309: ("sample_size", N), 310: ("population", N), 311: ("probability", B),
}
# fmt: on
REVERSE: Mapping[int, str] = {
    1: "reverse_bytes",
    2: "reverse_packets",
    6: "reverse_flags",
    85: "reverse_bytes",
    86: "reverse_packets",
    231: "reverse_bytes",
    298: "reverse_packets",
}  # fmt: skip

MOST_FIELDS = 256
MOST_TEMPLATES = 256
VARIABLE = 0xFFFF
CODES: Mapping[int, str] = {1: "B", 2: "H", 4: "I", 8: "Q"}

Value = int | bytes
Record = dict[str, Value]
"""Names of ``ELEMENTS`` to numbers, or to bytes where the element is an address or a text."""


Rows = list[tuple[int, int, list[tuple[int, int, int]]]]
"""Templates to be kept: number, scope, and element, length and enterprise of each field."""


class Field(NamedTuple):
    element: int
    length: int
    enterprise: int = 0


class Template:
    """``records`` takes a set's bytes apart. Raises Permanent where it can be no template."""

    __slots__ = ("_numbers", "_plain", "_steps", "fields", "length", "scope")

    def __init__(self, fields: tuple[Field, ...], scope: int = 0) -> None:
        """``scope``: so many of the first fields say what the others are about; such a template is one of options."""
        if len(fields) > MOST_FIELDS:
            raise Permanent("template_too_large", f"{len(fields)} fields")
        self.fields, self.scope = fields, scope
        self.length = sum(1 if field.length == VARIABLE else field.length for field in fields)
        """Of a record at least."""
        if not self.length:
            raise Permanent("empty_record", "a template whose records have no bytes")
        fixed = all(field.length != VARIABLE for field in fields)
        self._plain: tuple[struct.Struct, tuple[str, ...]] | None = None
        self._steps: tuple[tuple[str, int], ...] = ()
        self._numbers: tuple[str, ...] = ()
        if fixed:
            self._compile()
        else:
            self._steps = tuple((name_of(field, at < scope), field.length) for at, field in enumerate(fields))

    def records(self, data: bytes) -> Iterator[Record]:
        """What is left over at the end is padding. Raises Permanent where a variable length goes beyond the set."""
        if self._plain is None:
            yield from self._variable(data)
            return
        unpack, names = self._plain
        whole = len(data) - len(data) % self.length
        numbers = self._numbers
        for values in unpack.iter_unpack(memoryview(data)[:whole]):
            record: Record = dict(zip(names, values, strict=True))
            for name in numbers:
                record[name] = int.from_bytes(record[name], "big")  # type: ignore[arg-type]
            yield record

    def _compile(self) -> None:
        codes, names, numbers = [">"], [], []
        for at, (element, length, enterprise) in enumerate(self.fields):
            name = name_of(Field(element, length, enterprise), at < self.scope)
            if not name:
                codes.append(f"{length}x")
                continue
            names.append(name)
            if name in BYTES:
                codes.append(f"{length}s")
            elif length in CODES:
                codes.append(CODES[length])
            else:
                codes.append(f"{length}s")
                numbers.append(name)
        self._plain = (struct.Struct("".join(codes)), tuple(names))
        # the last of several with one name is what is kept, so only that one may be turned into a number
        last = {name: at for at, name in enumerate(names)}
        kinds = [code for code in codes[1:] if not code.endswith("x")]
        self._numbers = tuple(n for n in dict.fromkeys(numbers) if kinds[last[n]].endswith("s"))

    def _variable(self, data: bytes) -> Iterator[Record]:
        at, end = 0, len(data)
        while end - at >= self.length:
            record: Record = {}
            for name, size in self._steps:
                if size == VARIABLE:
                    if at >= end:
                        raise Permanent("short_record", "a length is missing")
                    size, at = data[at], at + 1
                    if size == 255:
                        size, at = int.from_bytes(data[at : at + 2], "big"), at + 2
                if at + size > end:
                    raise Permanent("short_record", f"{size} bytes wanted, {end - at} there")
                if name:
                    raw = data[at : at + size]
                    record[name] = raw if name in BYTES else int.from_bytes(raw[:16], "big")
                at += size
            yield record


def name_of(field: Field, scope: bool = False) -> str:
    """Empty for what is not used. A scope of NetFlow v9 has numbers of its own: only the elements of IPFIX are read."""
    if field.enterprise == REVERSE_ENTERPRISE:
        return REVERSE.get(field.element, "")
    if field.enterprise or (scope and field.element < 34):
        return ""
    return ELEMENTS[field.element][0] if field.element in ELEMENTS else ""


BYTES = frozenset(name for name, group in ELEMENTS.values() if group is Group.BYTES)


class Templates:
    """Those of one observation domain, in the order in which they were announced last."""

    def __init__(self) -> None:
        self._held: dict[int, Template] = {}
        self.left_out = 0
        self.changed = False
        """Something is new since this was last set to false."""

    def __len__(self) -> int:
        return len(self._held)

    def get(self, number: int) -> Template | None:
        return self._held.get(number)

    def define(self, number: int, fields: tuple[Field, ...], scope: int = 0) -> None:
        """Raises Permanent where it can be no template; what was known under this number stays then."""
        former = self._held.get(number)
        if former is not None and former.fields == fields and former.scope == scope:
            self._held[number] = self._held.pop(number)
            return
        made = Template(fields, scope)
        self._held.pop(number, None)
        if len(self._held) >= MOST_TEMPLATES:
            del self._held[next(iter(self._held))]
            self.left_out += 1
        self._held[number] = made
        self.changed = True

    def withdraw(self, number: int) -> None:
        self.changed |= self._held.pop(number, None) is not None

    def withdraw_all(self, options: bool) -> None:
        kept = {number: held for number, held in self._held.items() if bool(held.scope) is not options}
        self.changed |= len(kept) != len(self._held)
        self._held = kept

    def dump(self) -> Rows:
        return [(number, held.scope, [(*field,) for field in held.fields]) for number, held in self._held.items()]

    def load(self, rows: Rows) -> None:
        """What ``dump`` gave. Raises Permanent where it is none."""
        for number, scope, fields in rows[:MOST_TEMPLATES]:
            self.define(number, tuple(Field(*field) for field in fields), scope)
        self.changed = False
