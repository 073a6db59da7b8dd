"""Network devices (by SNMP) and hosts (by their agent), with interfaces and addresses, as last reported."""

from __future__ import annotations

import datetime

import msgspec

from collector.query import Equals, Latest
from collector.services import Services
from collector.views.moment import flag, moment, number, text
from telemetry.event import Event

LOOK_BACK_MS = 2 * 3_600_000


class AddressView(msgspec.Struct, frozen=True):
    ip: str
    prefix_length: int
    scope: str
    status: str
    origin: str


class InterfaceView(msgspec.Struct, frozen=True):
    """Counters are since the interface came up, in octets and packets; ``speed`` in bit/s."""

    name: str
    index: int
    alias: str
    type: str
    mac: str
    mtu: int
    speed: int
    admin_status: str
    oper_status: str
    in_octets: int
    out_octets: int
    in_errors: int
    out_errors: int
    in_discards: int
    out_discards: int
    addresses: tuple[AddressView, ...]
    time: datetime.datetime | None


class DeviceView(msgspec.Struct, frozen=True):
    """``source`` is ``snmp`` or ``host``; ``state``: ok, failing (the last poll failed), stale, or never (polled)."""

    id: str
    name: str
    source: str
    state: str
    why: str
    unit: str
    unit_name: str
    zone: str
    address: str
    vendor: str
    description: str
    uptime_s: int
    forwarding: bool | None
    snmp_version: str
    poll_ms: float
    support: dict[str, str]
    last: datetime.datetime | None
    interfaces: tuple[InterfaceView, ...]


def devices(services: Services) -> tuple[DeviceView, ...]:
    """Every registered device, whatever else was polled, and every host with an agent."""
    found = [*_over_snmp(services), *_hosts(services)]
    order = {"failing": 0, "never": 1, "stale": 2, "ok": 3}
    return tuple(sorted(found, key=lambda d: (order[d.state], d.source, d.unit, d.name)))


def _over_snmp(services: Services) -> list[DeviceView]:
    dataset, key = "tengwang.snmp", "tengwang.device.id"
    system = {text(d, key): d for d in _newest(services, dataset, "system", key)}
    failed = {text(d, key): d for d in _newest(services, dataset, "poll-failed", key)}
    interfaces = _grouped(_newest(services, dataset, "interface", key, "tengwang.interface.index"), key)
    addresses = _grouped(_newest(services, dataset, "address", key, "tengwang.address.ip"), key)
    index = services.inventory.current()
    ids = dict.fromkeys([*(d.id for d in index.inventory.devices), *system, *failed])
    made = []
    for key_of in ids:
        registered, doc, failure = index.device(key_of), system.get(key_of, {}), failed.get(key_of, {})
        ok_ms, failed_ms = number(doc, "@timestamp"), number(failure, "@timestamp")
        interval = (registered.interval if registered else 60) * 1000
        stale = services.clock.now_ms() - ok_ms > 3 * interval + 30_000
        state = "failing" if failed_ms > ok_ms else "never" if not ok_ms else "stale" if stale else "ok"
        unit = registered.unit if registered else text(doc or failure, "tengwang.unit.id")
        known = index.unit(unit)
        made.append(
            DeviceView(
                id=key_of,
                name=registered.name if registered else text(doc, "observer.name") or key_of,
                source="snmp",
                state=state,
                why=text(failure, "message") or text(failure, "event.reason") if state == "failing" else "",
                unit=unit,
                unit_name=known.name if known else unit,
                zone=(registered.zone or "") if registered else text(doc, "tengwang.zone"),
                address=text(doc, "observer.ip") or (registered.address if registered else ""),
                vendor=text(doc, "observer.vendor"),
                description=text(doc, "observer.os.full"),
                uptime_s=number(doc, "tengwang.snmp.uptime"),
                forwarding=flag(doc, "tengwang.snmp.forwarding"),
                snmp_version=text(doc, "tengwang.snmp.version"),
                poll_ms=float(doc.get("tengwang.snmp.rtt", 0.0)),  # type: ignore[arg-type]
                support=_support(doc),
                last=moment(ok_ms),
                interfaces=_interfaces(interfaces.get(key_of, []), addresses.get(key_of, [])),
            )
        )
    return made


def _hosts(services: Services) -> list[DeviceView]:
    dataset, key = "tengwang.host", "agent.id"
    interfaces = _grouped(_newest(services, dataset, "interface", key, "tengwang.interface.name"), key)
    addresses = _grouped(_newest(services, dataset, "address", key, "tengwang.address.ip"), key)
    made = []
    for doc in _newest(services, dataset, "host", key):
        key_of = text(doc, key)
        stale = services.clock.now_ms() - number(doc, "@timestamp") > 90_000
        made.append(
            DeviceView(
                id=key_of,
                name=text(doc, "host.name") or text(doc, "agent.name"),
                source="host",
                state="stale" if stale else "ok",
                why="",
                unit=text(doc, "tengwang.unit.id"),
                unit_name=text(doc, "tengwang.unit.name") or text(doc, "tengwang.unit.id"),
                zone=text(doc, "tengwang.zone"),
                address=text(doc, "host.ip").partition(",")[0],
                vendor=text(doc, "host.architecture"),
                description=" ".join(filter(None, (text(doc, "host.os.full"), text(doc, "host.os.kernel")))),
                uptime_s=number(doc, "host.uptime"),
                forwarding=None,
                snmp_version="",
                poll_ms=0.0,
                support={},
                last=moment(number(doc, "@timestamp")),
                interfaces=_interfaces(interfaces.get(key_of, []), addresses.get(key_of, [])),
            )
        )
    return made


def _interfaces(rows: list[Event], addresses: list[Event]) -> tuple[InterfaceView, ...]:
    made = []
    placed: set[int] = set()
    for doc in sorted(rows, key=lambda d: number(d, "tengwang.interface.index")):
        index, name = number(doc, "tengwang.interface.index"), text(doc, "tengwang.interface.name")
        own = []
        for at, row in enumerate(addresses):
            if text(row, "tengwang.interface.name") == name or (
                index and number(row, "tengwang.interface.index") == index
            ):
                placed.add(at)
                own.append(_address(row))
        made.append(_interface(doc, tuple(sorted(own, key=_address_order))))
    rest = tuple(_address(row) for at, row in enumerate(addresses) if at not in placed)
    if rest:  # addresses of interfaces that were not reported
        made.append(_interface({}, rest))
    return tuple(made)


def _interface(doc: Event, addresses: tuple[AddressView, ...]) -> InterfaceView:
    p = "tengwang.interface."
    return InterfaceView(
        name=text(doc, p + "name") or text(doc, p + "descr"),
        index=number(doc, p + "index"),
        alias=text(doc, p + "alias"),
        type=text(doc, p + "type"),
        mac=text(doc, p + "mac"),
        mtu=number(doc, p + "mtu"),
        speed=number(doc, p + "speed"),
        admin_status=text(doc, p + "admin_status"),
        oper_status=text(doc, p + "oper_status"),
        in_octets=number(doc, p + "in_octets"),
        out_octets=number(doc, p + "out_octets"),
        in_errors=number(doc, p + "in_errors"),
        out_errors=number(doc, p + "out_errors"),
        in_discards=number(doc, p + "in_discards"),
        out_discards=number(doc, p + "out_discards"),
        addresses=addresses,
        time=moment(number(doc, "@timestamp")),
    )


def _address(doc: Event) -> AddressView:
    p = "tengwang.address."
    return AddressView(
        text(doc, p + "ip"),
        number(doc, p + "prefix_length"),
        text(doc, p + "scope"),
        text(doc, p + "status"),
        text(doc, p + "origin"),
    )


def _address_order(address: AddressView) -> tuple[int, str]:
    return ({"global": 0, "unique-local": 1}.get(address.scope, 2) + (0 if ":" in address.ip else 3), address.ip)


def _support(doc: Event) -> dict[str, str]:
    try:
        return msgspec.json.decode(text(doc, "tengwang.snmp.support") or "{}", type=dict[str, str])
    except msgspec.DecodeError:
        return {}


def _newest(services: Services, dataset: str, action: str, *per: str) -> list[Event]:
    now = services.clock.now_ms()
    where = (Equals("event.dataset", (dataset,)), Equals("event.action", (action,)))
    query = Latest(now - LOOK_BACK_MS, now + 60_000, per, where, limit=5000)
    return [found.doc for found in services.store.latest(query)]


def _grouped(docs: list[Event], key: str) -> dict[str, list[Event]]:
    made: dict[str, list[Event]] = {}
    for doc in docs:
        made.setdefault(text(doc, key), []).append(doc)
    return made
