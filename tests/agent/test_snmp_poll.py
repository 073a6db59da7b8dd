"""What devices lack: old tables, narrow counters, missing tables; each is said and nothing is made up."""

from __future__ import annotations

import ipaddress
import json
import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from agent import snmp_poll, snmp_security
from agent.decoders.ber import Absent, Oid, Value
from agent.decoders.snmp_message import Kind
from agent.snmp_poll import Answers
from agent.snmp_session import Limits, SnmpSession
from telemetry.clock import SystemClock
from telemetry.event import Event
from telemetry.validate import validate
from telemetry.work import SnmpCredential, SnmpTarget, SnmpVersion
from tests.agent.snmp_device import Handler, Request, device
from tests.parts.snmpd import snmpd

V6 = tuple(ipaddress.ip_address("240e::1").packed)


async def asked(target: SnmpTarget, limits: Limits) -> Answers:
    clock = SystemClock()
    security = snmp_security.build(target.credential, clock)
    async with SnmpSession(target, security, limits, clock, random.Random(1)) as session:
        return await snmp_poll.ask(session)


def told(target: SnmpTarget, answers: Answers) -> tuple[dict[str, str], list[Event]]:
    events = [validate(e) for e in snmp_poll.events(target, "::1", 1_790_000_000_000, 1.0, answers)]
    return json.loads(str(events[0]["tengwang.snmp.support"])), events


def having(content: dict[Oid, Value]) -> Handler:
    """A device with exactly these objects; what it has a table of is known by its columns."""
    ordered = sorted(content.items())

    def answer(request: Request) -> Iterable[bytes]:
        if request.kind == Kind.GET:
            return [request.answer([(n, content.get(n, Absent.NO_SUCH_OBJECT)) for n in request.names])]
        names, binds = list(request.names), []
        for _ in range(request.repetitions):
            row = [next(((n, v) for n, v in ordered if n > at), (at, Absent.END_OF_MIB_VIEW)) for at in names]
            binds += row
            names = [n for n, _ in row]
        return [request.answer(binds)]

    return answer


OLD: dict[Oid, Value] = {
    snmp_poll.UPTIME: 12_345,
    snmp_poll.NAME: "老交换机".encode("gb18030"),
    snmp_poll.OBJECT_ID: (1, 3, 6, 1, 4, 1, 2011, 2, 1),
    snmp_poll.FORWARDING_2465: 1,
    (*snmp_poll.IF_ENTRY, 2, 7): b"Vlan-interface7",
    (*snmp_poll.IF_ENTRY, 5, 7): 100_000_000,
    (*snmp_poll.IF_ENTRY, 10, 7): 4_000_000,
    (*snmp_poll.IF_ENTRY, 11, 7): 30,
    (*snmp_poll.IF_ENTRY, 12, 7): 3,
    (*snmp_poll.V4_ENTRY, 2, 192, 0, 2, 1): 7,
    (*snmp_poll.V4_ENTRY, 3, 192, 0, 2, 1): bytes((255, 255, 255, 0)),
    (*snmp_poll.V6_ENTRY, 2, 7, *V6): 64,
    (*snmp_poll.V6_ENTRY, 3, 7, *V6): 1,
    (*snmp_poll.V6_ENTRY, 5, 7, *V6): 1,
}


async def test_an_old_device_with_ipv6_mib_and_narrow_counters() -> None:
    async with device(having(OLD)) as target:
        answers = await asked(target, Limits(timeout=0.5))
    support, (system, interface, *addresses) = told(target, answers)
    assert support == {
        "system": "ok",
        "ifXTable": "unsupported",
        "ifTable": "ok",
        "ifHCCounters": "unsupported",
        "ifTable32": "ok",
        "ipAddressTable": "unsupported",
        "ipv6AddrTable": "ok",
        "ipAddrTable": "ok",
        "ipv6IpForwarding": "ok",
    }
    assert (system["observer.name"], system["observer.vendor"]) == ("老交换机", "Huawei")
    assert (system["tengwang.snmp.uptime"], system["tengwang.snmp.forwarding"]) == (123, True)
    assert interface["tengwang.interface.name"] == "Vlan-interface7"
    assert interface["tengwang.interface.counter_bits"] == 32
    assert interface["tengwang.interface.in_octets"] == 4_000_000
    assert interface["tengwang.interface.in_packets"] == 33
    assert interface["tengwang.interface.speed"] == 100_000_000
    assert {
        (a["tengwang.address.ip"], a["tengwang.address.prefix_length"], a["tengwang.interface.name"]) for a in addresses
    } == {("240e::1", 64, "Vlan-interface7"), ("192.0.2.1", 24, "Vlan-interface7")}
    assert addresses[0]["tengwang.address.status"] == "preferred"
    assert addresses[0]["tengwang.address.origin"] == "linklayer"


async def test_a_device_that_falls_silent_half_way_keeps_what_was_had() -> None:
    whole = having(OLD)

    def half(request: Request) -> Iterable[bytes]:
        return [] if request.names[0][: len(snmp_poll.ADDRESS_ENTRY)] == snmp_poll.ADDRESS_ENTRY else whole(request)

    async with device(half) as target:
        answers = await asked(target, Limits(timeout=0.1, retries=0))
    support, events = told(target, answers)
    assert support["ifTable"] == "ok"
    assert {support[t] for t in ("ipAddressTable", "ipv6AddrTable", "ipAddrTable")} == {"no_answer"}
    assert events[0]["event.outcome"] == "unknown"
    assert len(events) == 2


def test_counters_beyond_a_long_are_cut_to_it() -> None:
    row = {6: 2**64 - 1, 7: 2**63, 8: 2**63}
    assert snmp_poll.interface({}, row)["tengwang.interface.in_octets"] == 2**63 - 1
    assert snmp_poll.interface({}, row)["tengwang.interface.in_packets"] == 2**63 - 1


@pytest.mark.needs("snmpd")
async def test_a_real_device_whose_view_hides_the_new_tables(tmp_path: Path) -> None:
    view = [
        "view narrow included .1.3.6.1.2.1",
        "view narrow excluded .1.3.6.1.2.1.31",
        "view narrow excluded .1.3.6.1.2.1.4.34",
        "rocommunity6 narrow-only default -V narrow",
    ]
    with snmpd(tmp_path, view) as running:
        credential = SnmpCredential(SnmpVersion.V2C, community="narrow-only")
        target = SnmpTarget("d", "d", "::1", credential, running.port)
        support, events = told(target, await asked(target, Limits(timeout=1.0)))
    assert support["ifXTable"] == support["ifHCCounters"] == support["ipAddressTable"] == "unsupported"
    assert support["ifTable"] == support["ifTable32"] == support["ipAddrTable"] == "ok"
    loopback = next(e for e in events if e.get("tengwang.interface.name") == "lo")
    assert loopback["tengwang.interface.counter_bits"] == 32
    addresses = {e["tengwang.address.ip"] for e in events if e["event.action"] == "address"}
    assert "127.0.0.1" in addresses
