"""The SNMP input against a real net-snmp agent, with the C tools as oracle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.input import Context
from agent.inputs import snmp
from telemetry.clock import SystemClock
from telemetry.event import Event
from telemetry.report import Report
from telemetry.validate import validate
from telemetry.work import SnmpVersion, Work
from tests.parts.snmpd import AUTH_KEY, COMMUNITY, PRIV_KEY, Snmpd, snmpd

pytestmark = pytest.mark.needs("snmpd")


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snmpd]:
    with snmpd(tmp_path_factory.mktemp("snmpd")) as running:
        yield running


def context(tmp_path: Path, work: Work | None = None) -> tuple[Context, list[Event]]:
    events: list[Event] = []
    clock = SystemClock()
    made = Context(clock, Report(clock), events.append, lambda: work or Work(), tmp_path)
    return made, events


async def once(tmp_path: Path, config: snmp.Config, work: Work | None = None) -> list[Event]:
    world, events = context(tmp_path, work)
    reader = snmp.build(config, world)
    await reader.collect()
    reader.close()
    for event in events:
        validate(event)
    return events


def own(device: Snmpd, target: str = "::1", **options: object) -> snmp.Config:
    options.setdefault("community", COMMUNITY)
    return snmp.Config(target=target, port=device.port, timeout=1.0, **options)  # type: ignore[arg-type]


def of(events: list[Event], action: str) -> list[Event]:
    return [e for e in events if e["event.action"] == action]


@pytest.mark.parametrize("target", ["::1", "127.0.0.1"])
async def test_system_interfaces_and_addresses_as_the_c_tools_see_them(
    device: Snmpd, tmp_path: Path, target: str
) -> None:
    events = await once(tmp_path, own(device, target))
    (system,) = of(events, "system")
    assert system["observer.ip"] == target
    assert system["observer.vendor"] == "Net-SNMP"
    assert system["tengwang.snmp.location"] == "南昌 机房"
    assert system["tengwang.snmp.contact"] == "noc@example.gov"
    assert isinstance(system["tengwang.snmp.forwarding"], bool)
    descr = device.bulkwalk(".1.3.6.1.2.1.1.1", "-Oa")
    assert str(system["observer.os.full"]) == descr[0][1].removeprefix("STRING: ").strip('"')

    names = {oid.rsplit(".", 1)[1]: v for oid, v in device.bulkwalk(".1.3.6.1.2.1.31.1.1.1.1", "-Oa")}
    found = {str(e["tengwang.interface.index"]): e for e in of(events, "interface")}
    assert {i: f'STRING: "{e["tengwang.interface.name"]}"' for i, e in found.items()} == names
    mtus = {oid.rsplit(".", 1)[1]: v.removeprefix("INTEGER: ") for oid, v in device.bulkwalk(".1.3.6.1.2.1.2.2.1.4")}
    assert {i: str(e["tengwang.interface.mtu"]) for i, e in found.items()} == mtus
    assert {e["tengwang.interface.counter_bits"] for e in found.values()} == {64}

    rows = device.bulkwalk(".1.3.6.1.2.1.4.34.1.3")
    addresses = {str(e["tengwang.address.ip"]): e for e in of(events, "address")}
    assert len(addresses) == len(rows)
    assert addresses["::1"]["tengwang.address.prefix_length"] == 128
    assert addresses["127.0.0.1"]["tengwang.address.prefix_length"] == 8
    assert addresses["::1"]["tengwang.address.scope"] == "host"
    assert addresses["::1"]["tengwang.interface.name"] == "lo"
    support = json.loads(str(system["tengwang.snmp.support"]))
    assert {support[t] for t in ("system", "ifTable", "ifXTable", "ifHCCounters", "ipAddressTable")} == {"ok"}


async def test_counters_lie_between_two_readings_of_the_c_tools(device: Snmpd, tmp_path: Path) -> None:
    def octets() -> dict[int, int]:
        rows = device.bulkwalk(".1.3.6.1.2.1.31.1.1.1.6")
        return {int(oid.rsplit(".", 1)[1]): int(v.removeprefix("Counter64: ")) for oid, v in rows}

    before = octets()
    events = await once(tmp_path, own(device))
    after = octets()
    for event in of(events, "interface"):
        index, value = event["tengwang.interface.index"], event["tengwang.interface.in_octets"]
        assert isinstance(index, int)
        assert isinstance(value, int)
        assert before[index] <= value <= after[index] or index not in before


@pytest.mark.parametrize(
    ("user", "options"),
    [
        ("quiet", {}),
        ("signed", {"auth_protocol": "SHA", "auth_key": AUTH_KEY}),
        ("sealed", {"auth_protocol": "SHA", "auth_key": AUTH_KEY, "priv_protocol": "AES", "priv_key": PRIV_KEY}),
        (
            "sealed256",
            {"auth_protocol": "sha-256", "auth_key": AUTH_KEY, "priv_protocol": "AES-128", "priv_key": PRIV_KEY},
        ),
        ("sealed512", {"auth_protocol": "SHA512", "auth_key": AUTH_KEY, "priv_protocol": "AES", "priv_key": PRIV_KEY}),
    ],
)
async def test_v3_at_every_level(device: Snmpd, tmp_path: Path, user: str, options: dict[str, str]) -> None:
    config = own(device, version=SnmpVersion.V3, user=user, community="", **options)
    events = await once(tmp_path, config)
    assert not of(events, "poll-failed"), of(events, "poll-failed")
    assert of(events, "system")[0]["tengwang.snmp.version"] == "3"
    assert any(e["tengwang.address.ip"] == "::1" for e in of(events, "address"))
