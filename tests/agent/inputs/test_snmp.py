"""The SNMP input against a real net-snmp agent, with the C tools as oracle."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.input import Context
from agent.inputs import snmp
from telemetry.clock import SystemClock
from telemetry.errors import ConfigError
from telemetry.event import Event
from telemetry.report import Report
from telemetry.validate import validate
from telemetry.work import SnmpCredential, SnmpTarget, SnmpVersion, Work
from tests.parts.snmpd import AUTH_KEY, COMMUNITY, PRIV_KEY, Snmpd, free_udp_port, snmpd

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
        ("strong", {"auth_protocol": "SHA256", "auth_key": AUTH_KEY, "priv_protocol": "AES-256", "priv_key": PRIV_KEY}),
        (
            "strong192",
            {"auth_protocol": "SHA512", "auth_key": AUTH_KEY, "priv_protocol": "AES192", "priv_key": PRIV_KEY},
        ),
        ("cisco", {"auth_protocol": "SHA", "auth_key": AUTH_KEY, "priv_protocol": "AES-256-C", "priv_key": PRIV_KEY}),
        ("sealed512", {"auth_protocol": "SHA512", "auth_key": AUTH_KEY, "priv_protocol": "AES", "priv_key": PRIV_KEY}),
    ],
)
async def test_v3_at_every_level(device: Snmpd, tmp_path: Path, user: str, options: dict[str, str]) -> None:
    config = own(device, version=SnmpVersion.V3, user=user, community="", **options)
    events = await once(tmp_path, config)
    assert not of(events, "poll-failed"), of(events, "poll-failed")
    assert of(events, "system")[0]["tengwang.snmp.version"] == "3"
    assert any(e["tengwang.address.ip"] == "::1" for e in of(events, "address"))


async def test_the_old_md5_and_des(device: Snmpd, tmp_path: Path) -> None:
    config = own(
        device,
        version=SnmpVersion.V3,
        user="old",
        auth_protocol="MD5",
        auth_key=AUTH_KEY,
        priv_protocol="DES",
        priv_key=PRIV_KEY,
    )
    assert of(await once(tmp_path, config), "system")


async def test_v1_has_no_64_bit_counters_and_says_so(device: Snmpd, tmp_path: Path) -> None:
    events = await once(tmp_path, own(device, version=SnmpVersion.V1))
    support = json.loads(str(of(events, "system")[0]["tengwang.snmp.support"]))
    assert support["ifHCCounters"] == "unsupported"
    interfaces = of(events, "interface")
    assert interfaces
    assert {e["tengwang.interface.counter_bits"] for e in interfaces} == {32}
    assert all("tengwang.interface.in_octets" in e for e in interfaces)
    assert of(events, "address")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"auth_key": "wrong-passphrase"}, "auth"),
        ({"user": "nobody"}, "auth"),
        ({"priv_key": "wrong-passphrase"}, "auth"),
        ({"auth_protocol": "SHA256"}, "auth"),
    ],
)
async def test_wrong_v3_credentials_say_so_and_show_no_secret(
    device: Snmpd, tmp_path: Path, changed: dict[str, str], reason: str
) -> None:
    options = {"user": "sealed", "auth_protocol": "SHA", "auth_key": AUTH_KEY}
    options |= {"priv_protocol": "AES", "priv_key": PRIV_KEY} | changed
    config = own(device, version=SnmpVersion.V3, retries=0, **options)
    events = await once(tmp_path, config)
    (failed,) = of(events, "poll-failed")
    assert failed["event.reason"] in (reason, "timeout" if "priv_key" in changed else reason)
    shown = repr(config) + repr(events) + repr(snmp.own_target(config))
    assert not any(secret in shown for secret in (options["auth_key"], options["priv_key"], COMMUNITY))


async def test_a_wrong_community_is_silence(device: Snmpd, tmp_path: Path) -> None:
    (failed,) = await once(tmp_path, own(device, community="not-this-one", retries=0))
    assert failed["event.reason"] == "timeout"
    assert "not-this-one" not in repr(failed)


async def test_a_v3_device_that_was_restarted_is_followed(tmp_path: Path) -> None:
    """Its engineBoots rose and its engineTime fell: what we knew is out of its time window."""
    with snmpd(tmp_path / "snmpd") as running:
        world, events = context(tmp_path)
        reader = snmp.build(
            own(running, version=SnmpVersion.V3, user="signed", auth_protocol="SHA", auth_key=AUTH_KEY), world
        )
        await reader.collect()
        await asyncio.to_thread(running.stop)
        await asyncio.to_thread(running.start)
        await reader.collect()
        reader.close()
    assert len(of(events, "system")) == 2
    assert not of(events, "poll-failed")


def works(device: Snmpd, dead: int) -> Work:
    credential = SnmpCredential(SnmpVersion.V2C, community=COMMUNITY)
    alive = [SnmpTarget(f"alive{n}", "", "::1", credential, device.port, interval=1) for n in range(3)]
    gone = [SnmpTarget(f"dead{n}", "", "::1", credential, dead, interval=1) for n in range(3)]
    return Work("1", snmp=(*gone, *alive))


async def test_the_agents_work_is_polled_and_a_dead_device_delays_nobody(device: Snmpd, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as hole:  # takes everything, answers nothing
        hole.bind(("::1", 0))
        world, events = context(tmp_path, works(device, hole.getsockname()[1]))
        reader = snmp.build(snmp.Config(timeout=0.5, retries=0, concurrency=6), world)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.collect(), 4.5)
        reader.close()
    polled = [str(e["tengwang.device.id"]) for e in of(events, "system")]
    assert all(polled.count(f"alive{n}") >= 2 for n in range(3))
    failed = [str(e["tengwang.device.id"]) for e in of(events, "poll-failed")]
    assert set(failed) == {f"dead{n}" for n in range(3)}
    assert {e["event.reason"] for e in of(events, "poll-failed")} == {"timeout"}
    for event in events:
        validate(event)


async def test_a_device_that_is_taken_from_the_work_is_polled_no_more(device: Snmpd, tmp_path: Path) -> None:
    credential = SnmpCredential(SnmpVersion.V2C, community=COMMUNITY)
    one = Work("1", snmp=(SnmpTarget("one", "", "::1", credential, device.port, interval=1),))
    two = Work("2", snmp=(SnmpTarget("two", "", "::1", credential, device.port, interval=1),))
    current = [one]
    events: list[Event] = []
    clock = SystemClock()
    reader = snmp.build(snmp.Config(), Context(clock, Report(clock), events.append, lambda: current[0], tmp_path))
    running = asyncio.create_task(reader.collect())
    while not events:
        await asyncio.sleep(0.05)
    current[0] = two
    while not any(e["tengwang.device.id"] == "two" for e in events):
        await asyncio.sleep(0.05)
    before = len([e for e in events if e["tengwang.device.id"] == "one"])
    await asyncio.sleep(1.5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len([e for e in events if e["tengwang.device.id"] == "one"]) == before


async def test_a_credential_that_can_not_work_is_told_as_such(tmp_path: Path) -> None:
    credential = SnmpCredential(SnmpVersion.V3, user="u", auth_protocol="ROT13", auth_key="short")
    world, events = context(tmp_path, Work("1", snmp=(SnmpTarget("d", "", "::1", credential, free_udp_port()),)))
    reader = snmp.build(snmp.Config(), world)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.collect(), 0.3)
    assert events[0]["event.reason"] == "credential"
    assert "ROT13" not in str(events[0]["message"])
    assert "short" not in str(events[0]["message"])


def test_every_mistake_in_the_options_is_named_at_once(tmp_path: Path) -> None:
    world, _ = context(tmp_path)
    config = snmp.Config(target="::1", version=SnmpVersion.V3, auth_protocol="ROT13", priv_key="12345678")
    with pytest.raises(ConfigError) as error:
        snmp.build(config, world)
    text = str(error.value)
    assert all(word in text for word in ("user", "auth_protocol", "priv_protocol"))
    assert "12345678" not in text


async def test_a_secret_from_a_file(device: Snmpd, tmp_path: Path) -> None:
    (tmp_path / "community").write_text(COMMUNITY + "\n")
    events = await once(tmp_path, own(device, community=f"file:{tmp_path / 'community'}"))
    assert of(events, "system")
    world, _ = context(tmp_path)
    with pytest.raises(ConfigError, match="can not be read"):
        snmp.build(own(device, community="file:/nowhere"), world)


@pytest.mark.parametrize(
    ("interval", "pauses"),
    [(60, [60, 120, 240, 300, 300]), (10, [10, 20, 40, 80, 160]), (3600, [3600, 3600, 3600, 3600, 3600])],
)
def test_a_dead_device_is_asked_ever_less_often(interval: float, pauses: list[float]) -> None:
    assert [snmp.pause_after(interval, failures) for failures in range(1, 6)] == pauses
    assert snmp.pause_after(interval, 10_000) == max(300, interval)
