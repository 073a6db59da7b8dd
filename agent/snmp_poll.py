"""One poll of one device: which objects are asked for, and the events that come of them.

Tables answer separately, so one that is missing, empty, cut or silent is said in ``tengwang.snmp.support`` and never
read as *no interfaces* or *no IPv6*: ``ok``, ``empty``, ``unsupported``, ``no_answer``, or the fault that ended it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

import msgspec

from agent.decoders import mib
from agent.decoders.ber import Absent, Oid, Value
from agent.snmp_security import SnmpFault
from agent.snmp_session import SnmpSession, Walk
from telemetry.event import Event, canonical_ip, event
from telemetry.work import SnmpTarget

DATASET = "tengwang.snmp"

SYSTEM: Oid = (1, 3, 6, 1, 2, 1, 1)
DESCR, OBJECT_ID, UPTIME, CONTACT, NAME, LOCATION = ((*SYSTEM, n, 0) for n in (1, 2, 3, 4, 5, 6))
FORWARDING: Oid = (1, 3, 6, 1, 2, 1, 4, 25, 0)
"""IP-MIB ipv6IpForwarding: forwarding(1), notForwarding(2)."""
FORWARDING_2465: Oid = (1, 3, 6, 1, 2, 1, 55, 1, 1, 0)
"""IPV6-MIB ipv6Forwarding, obsolete since RFC 4293 and still what many devices have; the same two values."""

IF_ENTRY: Oid = (1, 3, 6, 1, 2, 1, 2, 2, 1)
IF_COLUMNS = (2, 3, 4, 5, 6, 7, 8, 13, 14, 19, 20)
IF_COLUMNS_32 = (10, 11, 12, 16, 17, 18)
"""The 32-bit counters: asked for only where an interface has no 64-bit ones."""
IFX_ENTRY: Oid = (1, 3, 6, 1, 2, 1, 31, 1, 1, 1)
IFX_COLUMNS = (1, 6, 7, 8, 9, 10, 11, 12, 13, 15, 18)
HC_IN_OCTETS, HC_OUT_OCTETS = 6, 10
ADDRESS_ENTRY: Oid = (1, 3, 6, 1, 2, 1, 4, 34, 1)
ADDRESS_COLUMNS = (3, 5, 6, 7)
V4_ENTRY: Oid = (1, 3, 6, 1, 2, 1, 4, 20, 1)
V4_COLUMNS = (2, 3)
V6_ENTRY: Oid = (1, 3, 6, 1, 2, 1, 55, 1, 8, 1)
V6_COLUMNS = (2, 3, 5)

Row = Mapping[int, Value]
SILENT = {"no_answer", "deadline"}
"""States of a table after which the device is not asked for more in this poll."""


class Address(msgspec.Struct, frozen=True):
    """One address of a device."""

    ip: str
    interface: int
    prefix_length: int | None = None
    status: str = ""
    origin: str = ""


class Answers(msgspec.Struct, frozen=True):
    """What one device said: scalars, interface rows by ifIndex, addresses, and the state of each table."""

    scalars: Mapping[Oid, Value]
    interfaces: Mapping[int, tuple[Row, Row]]
    addresses: Sequence[Address]
    support: Mapping[str, str]


async def ask(session: SnmpSession) -> Answers:
    """Ask for everything. Raises SnmpFault where the device does not even answer for its system group."""
    names = [DESCR, OBJECT_ID, UPTIME, CONTACT, NAME, LOCATION, FORWARDING, FORWARDING_2465]
    scalars = await session.get(names)
    support = {"system": "ok" if isinstance(scalars.get(UPTIME), int) else "unsupported"}
    interfaces = await _interfaces(session, support)
    addresses = await _addresses(session, support)
    support["ipv6IpForwarding"] = "ok" if forwarding(scalars) is not None else "unsupported"
    return Answers(scalars, interfaces, addresses, support)


async def _table(session: SnmpSession, name: str, entry: Oid, columns: Sequence[int], support: dict[str, str]) -> Walk:
    """Walk one table and note its state; zero rows are ``empty`` only where the device has the object at all."""
    if SILENT & set(support.values()):
        support[name] = "no_answer"  # do not wait for each further table
        return Walk({})
    try:
        walk = await session.walk(entry, columns)
        if walk.rows or walk.fault:
            support[name] = {"": "ok", "timeout": "no_answer"}.get(walk.fault, walk.fault)
            return walk
        probe = (*entry, columns[0], 0)
        there = (await session.get([probe])).get(probe)
        support[name] = "unsupported" if there is Absent.NO_SUCH_OBJECT else "empty"
    except SnmpFault as fault:
        support[name] = "no_answer" if fault.reason == "timeout" else fault.reason
    return Walk({})


async def _interfaces(session: SnmpSession, support: dict[str, str]) -> dict[int, tuple[Row, Row]]:
    extended = await _table(session, "ifXTable", IFX_ENTRY, IFX_COLUMNS, support)
    plain = await _table(session, "ifTable", IF_ENTRY, IF_COLUMNS, support)
    found = {i[0]: (dict(row), extended.rows.get(i, {})) for i, row in plain.rows.items() if len(i) == 1}
    for index, row in extended.rows.items():
        if len(index) == 1:
            found.setdefault(index[0], ({}, row))
    narrow = [i for i, (_, row) in found.items() if HC_IN_OCTETS not in row and HC_OUT_OCTETS not in row]
    if found:
        support["ifHCCounters"] = "ok" if not narrow else "unsupported" if len(narrow) == len(found) else "partial"
    if narrow:
        counters = await _table(session, "ifTable32", IF_ENTRY, IF_COLUMNS_32, support)
        for number in narrow:
            found[number][0].update(counters.rows.get((number,), {}))
    return dict(sorted(found.items()))


async def _addresses(session: SnmpSession, support: dict[str, str]) -> list[Address]:
    """ipAddressTable; a family it has no row of is looked for in the older tables too, and the two are merged."""
    found: dict[str, Address] = {}
    for index, row in (await _table(session, "ipAddressTable", ADDRESS_ENTRY, ADDRESS_COLUMNS, support)).rows.items():
        if ip := mib.inet_address_index(index):
            status, origin = mib.named(row.get(7), mib.ADDRESS_STATUS), mib.named(row.get(6), mib.ADDRESS_ORIGIN)
            interface = mib.number(row.get(3)) or 0
            found[ip] = Address(ip, interface, mib.prefix_length(row.get(5)), status, origin)
    if not any(":" in ip for ip in found):
        for index, row in (await _table(session, "ipv6AddrTable", V6_ENTRY, V6_COLUMNS, support)).rows.items():
            interface, ip = mib.ipv6_addr_index(index)
            if ip:
                status, origin = (
                    mib.named(row.get(5), mib.IPV6_ADDR_STATUS),
                    mib.named(row.get(3), mib.IPV6_ADDR_ORIGIN),
                )
                found[ip] = Address(ip, interface, mib.number(row.get(2)), status, origin)
    if not any("." in ip for ip in found):
        for index, row in (await _table(session, "ipAddrTable", V4_ENTRY, V4_COLUMNS, support)).rows.items():
            if ip := mib.address(index):
                found[ip] = Address(ip, mib.number(row.get(2)) or 0, mib.prefix_length(None, row.get(3)))
    return list(found.values())


def forwarding(scalars: Mapping[Oid, Value]) -> bool | None:
    """Whether the device forwards IPv6; None where it does not say."""
    for name in (FORWARDING, FORWARDING_2465):
        if scalars.get(name) in (1, 2):
            return scalars[name] == 1
    return None


def events(target: SnmpTarget, address: str, now_ms: int, took_ms: float, answers: Answers) -> list[Event]:
    """One ``system`` event, one ``interface`` event an interface, one ``address`` event an address."""
    scalars = answers.scalars
    name = mib.text(scalars.get(NAME)) or target.name or target.address
    system = _event(target, address, now_ms, "system", name, kind="state")
    _put(system, "observer.vendor", mib.vendor(scalars.get(OBJECT_ID)))
    _put(system, "observer.os.full", mib.text(scalars.get(DESCR)))
    _put(system, "tengwang.snmp.object_id", mib.dotted(scalars.get(OBJECT_ID)))
    _put(system, "tengwang.snmp.contact", mib.text(scalars.get(CONTACT)))
    _put(system, "tengwang.snmp.location", mib.text(scalars.get(LOCATION)))
    _put(system, "tengwang.snmp.forwarding", forwarding(scalars))
    ticks = mib.number(scalars.get(UPTIME))
    _put(system, "tengwang.snmp.uptime", None if ticks is None else ticks // 100)
    system["tengwang.snmp.rtt"] = round(took_ms, 3)
    system["tengwang.snmp.support"] = msgspec.json.encode(answers.support).decode()
    system["event.outcome"] = "unknown" if SILENT & set(answers.support.values()) else "success"
    made = [system]
    for index, (plain, extended) in answers.interfaces.items():
        one = _event(target, address, now_ms, "interface", name, kind="metric")
        one["tengwang.interface.index"] = index
        one.update(interface(plain, extended))
        made.append(one)
    for found in answers.addresses:
        one = _event(target, address, now_ms, "address", name, kind="state")
        row = answers.interfaces.get(found.interface)
        one["tengwang.address.ip"] = found.ip
        one["tengwang.address.scope"] = mib.scope(found.ip)
        _put(one, "tengwang.address.prefix_length", found.prefix_length)
        _put(one, "tengwang.address.status", found.status)
        _put(one, "tengwang.address.origin", found.origin)
        _put(one, "tengwang.interface.index", found.interface or None)
        _put(one, "tengwang.interface.name", _name(*row) if row else "")
        made.append(one)
    return made


def failed(target: SnmpTarget, address: str, now_ms: int, took_ms: float, fault: SnmpFault) -> Event:
    """The event of a poll that brought nothing."""
    made = _event(target, address, now_ms, "poll-failed", target.name or target.address, kind="event")
    made["event.outcome"] = "failure"
    made["event.reason"] = fault.reason
    made["message"] = f"{target.name or target.address}: {fault}"
    made["tengwang.snmp.rtt"] = round(took_ms, 3)
    return made


def interface(plain: Row, extended: Row) -> Event:
    """The fields of one interface from its ifTable and ifXTable rows."""
    made: Event = {}
    _put(made, "tengwang.interface.name", _name(plain, extended))
    _put(made, "tengwang.interface.descr", mib.text(plain.get(2)))
    _put(made, "tengwang.interface.alias", mib.text(extended.get(18)))
    _put(made, "tengwang.interface.type", mib.named(plain.get(3), mib.INTERFACE_TYPE))
    _put(made, "tengwang.interface.mac", mib.mac(plain.get(6)))
    _put(made, "tengwang.interface.mtu", mib.number(plain.get(4)))
    _put(made, "tengwang.interface.admin_status", mib.named(plain.get(7), mib.ADMIN_STATUS))
    _put(made, "tengwang.interface.oper_status", mib.named(plain.get(8), mib.OPER_STATUS))
    mega = mib.number(extended.get(15))
    # ifHighSpeed counts in Mbit/s and rounds a slow link to 0; ifSpeed stops at 2**32 - 1 (RFC 2863)
    _put(made, "tengwang.interface.speed", mega * 1_000_000 if mega else mib.number(plain.get(5)))
    wide = HC_IN_OCTETS in extended or HC_OUT_OCTETS in extended
    made["tengwang.interface.counter_bits"] = 64 if wide else 32
    row, octets_in, in_packets, octets_out, out_packets = (
        (extended, 6, (7, 8, 9), 10, (11, 12, 13)) if wide else (plain, 10, (11, 12), 16, (17, 18))
    )
    _put(made, "tengwang.interface.in_octets", mib.number(row.get(octets_in)))
    _put(made, "tengwang.interface.out_octets", mib.number(row.get(octets_out)))
    _put(made, "tengwang.interface.in_packets", _sum(row, in_packets))
    _put(made, "tengwang.interface.out_packets", _sum(row, out_packets))
    for field, column in (("in_discards", 13), ("in_errors", 14), ("out_discards", 19), ("out_errors", 20)):
        _put(made, f"tengwang.interface.{field}", mib.number(plain.get(column)))
    return made


def _event(target: SnmpTarget, address: str, now_ms: int, action: str, name: str, kind: str) -> Event:
    made = event(now_ms, DATASET, action, kind=kind)
    _put(made, "tengwang.device.id", target.device)
    made["observer.name"] = name
    with contextlib.suppress(ValueError):  # a host name that did not resolve: the name says it
        made["observer.ip"] = canonical_ip(address)
    made["tengwang.snmp.version"] = target.credential.version.value
    return made


def _name(plain: Row, extended: Row) -> str:
    return mib.text(extended.get(1)) or mib.text(plain.get(2))


def _sum(row: Row, columns: Sequence[int]) -> int | None:
    """All packets: unicast, multicast and broadcast; a signed 64-bit field holds at most 2**63 - 1."""
    values = [v for c in columns if (v := mib.number(row.get(c))) is not None]
    return sum(values) if values else None


def _put(made: Event, field: str, value: str | float | bool | None) -> None:
    if value is not None and value != "":
        made[field] = min(value, LONG_MAX) if type(value) is int else value


LONG_MAX = 2**63 - 1
"""Counter64 goes to 2**64 - 1, a long of the store does not."""
