from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.input import Context
from agent.inputs import host
from telemetry.clock import ManualClock
from telemetry.event import Event
from telemetry.report import Report
from telemetry.validate import validate
from telemetry.work import Work
from tests.agent.inputs.pair import CABLE, HERE, MAC, THERE, Outcome, Pair, Probe, pair


@pytest.fixture
def cable() -> Iterator[Pair]:
    with pair() as made:
        yield made


def rounds(probe: Probe, count: int, seen: list[Event]) -> list[Event]:
    """Everything up to the ``count``-th host event from here, which begins a round."""
    read: list[Event] = []
    while count:
        made = probe.next_event()
        read.append(made)
        count -= made["event.action"] == "host"
    seen += read
    return read


def of(events: list[Event], action: str, **wanted: object) -> list[Event]:
    names = {"tengwang." + name.replace("__", "."): value for name, value in wanted.items()}
    return [e for e in events if e["event.action"] == action and all(e.get(n) == v for n, v in names.items())]


@pytest.mark.needs("root", "iproute2")
def test_a_round_tells_what_ip_tells(cable: Pair) -> None:
    cable.ip(HERE, "link set cable0 alias uplink")
    cable.ip(HERE, "route add 2001:db8:1::/48 via 2001:db8::2 metric 77")
    cable.ip(HERE, "neigh add 2001:db8::9 lladdr 02:00:00:00:00:09 dev cable0 nud permanent router")
    events = cable.probe(HERE, "host").stop().events
    (link,) = json.loads(cable.run(HERE, "ip", "-j", "-s", "link", "show", CABLE))
    (told,) = of(events, "interface", interface__name=CABLE)
    assert told["tengwang.interface.mac"] == link["address"] == MAC[HERE]
    assert told["tengwang.interface.mtu"] == link["mtu"]
    assert (told["tengwang.interface.type"], told["tengwang.interface.alias"]) == ("veth", "uplink")
    assert (told["tengwang.interface.admin_status"], told["tengwang.interface.oper_status"]) == ("up", "up")
    assert 0 < int(str(told["tengwang.interface.in_octets"])) <= link["stats64"]["rx"]["bytes"]
    assert 0 < int(str(told["tengwang.interface.out_packets"])) <= link["stats64"]["tx"]["packets"]
    addresses = {e["tengwang.address.ip"]: e for e in of(events, "address")}
    theirs = {a["local"] for i in json.loads(cable.run(HERE, "ip", "-j", "addr")) for a in i["addr_info"]}
    assert set(addresses) == theirs
    assert addresses["2001:db8::1"]["tengwang.address.status"] == "preferred"
    assert addresses["2001:db8::1"]["tengwang.address.origin"] == "manual"
    assert addresses["fe80::ff:fe00:1"]["tengwang.address.origin"] == "linklayer"
    (route,) = of(events, "route", route__prefix="2001:db8:1::/48")
    assert (route["tengwang.route.next_hop"], route["tengwang.route.metric"]) == ("2001:db8::2", 77)
    routes = {e["tengwang.route.prefix"] for e in of(events, "route")}
    assert routes >= {"192.0.2.0/24", "2001:db8::/64", "fe80::/64"}
    (neighbor,) = of(events, "neighbor", neighbor__ip="2001:db8::9")
    assert neighbor["tengwang.neighbor.mac"] == "02:00:00:00:00:09"
    assert (neighbor["tengwang.neighbor.state"], neighbor["tengwang.neighbor.router"]) == ("permanent", True)
    (me,) = of(events, "host")
    assert {"192.0.2.1", "2001:db8::1"} <= set(me["host.ip"])  # type: ignore[arg-type]
    assert {e["event.type"] for e in events if "event.type" in e} == {"info"}


@pytest.mark.needs("root", "iproute2")
def test_what_comes_changes_and_goes_is_told_once_and_what_stays_is_not(cable: Pair) -> None:
    seen: list[Event] = []
    probe = cable.probe(HERE, "host", {"interval": 1.0})
    rounds(probe, 2, seen)
    cable.ip(HERE, "addr add 2001:db8::77/64 dev cable0 nodad")
    cable.run(HERE, "ping", "-q", "-c", "1", "192.0.2.2")
    changes = of(rounds(probe, 2, seen), "address")
    assert [(e["tengwang.address.ip"], e["event.type"]) for e in changes] == [("2001:db8::77", "creation")]
    cable.ip(HERE, "addr change 2001:db8::77/64 dev cable0 preferred_lft 0")
    changes = of(rounds(probe, 2, seen), "address")
    assert [(e["event.type"], e["tengwang.address.status"]) for e in changes] == [("change", "deprecated")]
    cable.ip(HERE, "addr del 2001:db8::77/64 dev cable0")
    changes = of(rounds(probe, 2, seen), "address")
    assert [(e["tengwang.address.ip"], e["event.type"]) for e in changes] == [("2001:db8::77", "deletion")]
    cable.ip(HERE, "link set cable0 down")
    lost = rounds(probe, 2, seen)
    assert {e["tengwang.route.prefix"] for e in of(lost, "route") if e["event.type"] == "deletion"} >= {
        "192.0.2.0/24", "2001:db8::/64",
    }  # fmt: skip
    assert of(lost, "interface", interface__name=CABLE)[-1]["tengwang.interface.admin_status"] == "down"
    probe.stop(seen)
    arp = of(seen, "neighbor", neighbor__ip="192.0.2.2")
    assert [e["event.type"] for e in arp][:1] == ["creation"]


@pytest.mark.needs("root", "iproute2")
def test_a_duplicate_address_is_told_as_one(cable: Pair) -> None:
    cable.run(HERE, "sysctl", "-qw", f"net.ipv6.conf.{CABLE}.accept_dad=1")
    cable.ip(THERE, "addr add 2001:db8::88/64 dev cable0 nodad")
    cable.ip(HERE, "addr add 2001:db8::88/64 dev cable0")
    seen: list[Event] = []
    probe = cable.probe(HERE, "host", {"interval": 1.0})
    rounds(probe, 4, seen)
    probe.stop(seen)
    statuses = [e["tengwang.address.status"] for e in of(seen, "address", address__ip="2001:db8::88")]
    assert statuses[-1] == "duplicate"


@pytest.mark.needs("root", "iproute2")
def test_a_large_table_is_cut_at_its_bound_counted_and_nothing_is_called_gone(cable: Pair) -> None:
    batch = "".join(f"route add 2001:db8:{number:x}::/48 via 2001:db8::2\n" for number in range(1, 1201))
    cable.run(HERE, "sh", "-c", f"printf '%s' '{batch}' | ip -batch -")
    seen: list[Event] = []
    probe = cable.probe(HERE, "host", {"interval": 1.0, "max_rows": 100})
    rounds(probe, 3, seen)
    outcome: Outcome = probe.stop(seen)
    assert len(outcome.of("route")) == 100
    assert outcome.counters["tengwang_input_cut_total input=host"] >= 2000
    assert not [e for e in outcome.events if e.get("event.type") == "deletion"]


def made(root: Path, events: list[Event]) -> tuple[host.HostInput, ManualClock]:
    clock = ManualClock()

    def emit(event: Event) -> None:
        events.append(validate(event))

    context = Context(clock=clock, report=Report(), emit=emit, work=Work, state=root, root=root)
    return host.build(host.Config(), context), clock


async def test_the_system_is_read_under_the_root_that_was_given(tmp_path: Path) -> None:
    files = {
        "proc/sys/kernel/hostname": "portal\n",
        "proc/sys/kernel/osrelease": "6.1.0-9\n",
        "proc/meminfo": "MemTotal: 1000 kB\nMemAvailable: 400 kB\n",
        "proc/loadavg": "0.5 0 0 1/1 1\n",
        "proc/uptime": "99.5 1\n",
        "proc/stat": "cpu 10 0 10 80 0 0 0 0 0 0\n",
        "etc/os-release": 'PRETTY_NAME="UnionTech OS"\n',
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    events: list[Event] = []
    source, _ = made(tmp_path, events)
    await source.collect()
    (tmp_path / "proc/stat").write_text("cpu 40 0 10 150 0 0 0 0 0 0\n")
    await source.collect()
    first, second = (e for e in events if e["event.action"] == "host")
    assert first["host.name"] == "portal"
    assert (first["host.os.full"], first["host.os.kernel"], first["host.uptime"]) == ("UnionTech OS", "6.1.0-9", 99)
    assert (first["tengwang.host.memory.total"], first["tengwang.host.memory.available"]) == (1_024_000, 409_600)
    assert first["tengwang.host.load1"] == 0.5
    assert "host.cpu.usage" not in first
    assert second["host.cpu.usage"] == 0.3


async def test_everything_is_told_again_when_it_is_time(tmp_path: Path) -> None:
    events: list[Event] = []
    source, clock = made(tmp_path, events)
    counts = []
    for seconds in (0, 15, 600):
        clock.advance(seconds)
        events.clear()
        await source.collect()
        counts.append(len([e for e in events if e["event.action"] == "address" and e["event.type"] == "info"]))
    assert counts[0] > 0
    assert counts[1:] == [0, counts[0]]


async def test_it_stops_without_having_started(tmp_path: Path) -> None:
    source, _ = made(tmp_path, [])
    source.close()
    await asyncio.sleep(0)
