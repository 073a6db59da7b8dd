from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import segment
from agent.input import Context
from agent.inputs import ndp
from telemetry import work
from telemetry.clock import ManualClock
from telemetry.errors import ConfigError
from telemetry.event import Event
from telemetry.report import Report
from telemetry.validate import validate
from tests.agent.inputs.pair import CABLE, HERE, MAC, ROOT, THERE, Outcome, Pair, pair, program

CAPTURES = ROOT / "tests" / "captures"
RADVD = """
interface cable0 {
  AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvManagedFlag on; AdvDefaultPreference high;
  AdvLinkMTU 1400; AdvDefaultLifetime 900;
  prefix 2001:db8::/64 { AdvValidLifetime 7200; AdvPreferredLifetime 3600; };
  RDNSS 2001:db8::53 { };
  route 2001:db8:ffff::/48 { };
};
"""
LINK_LOCAL = "fe80::ff:fe00:2"
KNOWN = work.encode(
    work.Work(version="1", routers=(work.Router(device="r1", macs=(MAC[THERE],), prefixes=("2001:db8::/56",)),))
).decode()


@pytest.fixture
def cable() -> Iterator[Pair]:
    with pair() as made:
        yield made


def rogue(cable: Pair, prefix: str, *more: str) -> None:
    tool = program("atk6-fake_router26")
    cable.run(THERE, "timeout", "1", tool, "-n", "1", "-A", prefix, *more, CABLE, check=False)


@pytest.mark.needs("root", "iproute2", "radvd")
def test_a_real_advertisement_is_told_whole_and_its_router_is_registered(cable: Pair, tmp_path: Path) -> None:
    config = tmp_path / "radvd.conf"
    config.write_text(RADVD)
    cable.run(THERE, "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
    probe = cable.probe(HERE, "ndp", work=KNOWN)
    radvd = cable.start(THERE, program("radvd"), "-n", "-C", str(config), "-p", str(tmp_path / "pid"))
    try:
        seen: list[Event] = []
        told = probe.wait_for(seen, 10, event__action="router_advertisement")
    finally:
        radvd.terminate()
        radvd.communicate(timeout=10)
    probe.stop()
    validate(told)
    for name in ("@timestamp", "tengwang.interface.index"):
        told.pop(name)
    told.pop("tengwang.segment.prefixes", None)  # the kernel may have taken the prefix by then, or not yet
    assert told == {
        "event.dataset": "tengwang.ndp",
        "event.action": "router_advertisement",
        "event.kind": "event",
        "network.type": "ipv6",
        "network.transport": "ipv6-icmp",
        "source.ip": LINK_LOCAL,
        "destination.ip": "ff02::1",
        "source.mac": MAC[THERE],
        "destination.mac": "33:33:00:00:00:01",
        "tengwang.interface.name": CABLE,
        "tengwang.ndp.type": "router_advertisement",
        "tengwang.ndp.hop_limit": 255,
        "tengwang.ndp.fragmented": False,
        "tengwang.ndp.managed": True,
        "tengwang.ndp.other": False,
        "tengwang.ndp.preference": "high",
        "tengwang.ndp.router_lifetime": 900,
        "tengwang.ndp.mtu": 1400,
        "tengwang.ndp.prefixes": ["2001:db8::/64"],
        "tengwang.ndp.prefix_valid_lifetime": 7200,
        "tengwang.ndp.rdnss": ["2001:db8::53"],
        "tengwang.ndp.routes": ["2001:db8:ffff::/48"],
        "tengwang.ndp.source_lladdr": MAC[THERE],
        "tengwang.ndp.registered": True,
        "tengwang.ndp.count": 1,
    }


@pytest.mark.needs("root", "iproute2", "thc-ipv6")
def test_a_rogue_router_is_told_within_a_second_however_it_hides(cable: Pair) -> None:
    probe = cable.probe(HERE, "ndp", work=KNOWN)
    seen: list[Event] = []
    for number, evasion in enumerate(("", "H", "D", "O", "o"), 1):
        started = time.monotonic()
        prefix = f"2001:db8:bad:{number}::/64"
        rogue(cable, prefix, *(["-E", evasion] if evasion else []))
        told = probe.wait_for(seen, 5, event__action="router_advertisement", tengwang__ndp__prefixes=[prefix])
        assert time.monotonic() - started < 2.0
        assert told["tengwang.ndp.registered"] is False
        assert told["source.mac"] == MAC[THERE]
        assert told["tengwang.ndp.fragmented"] == (evasion in ("D", "O", "o"))
        assert ("tengwang.ndp.extension_headers" in told) == bool(evasion)
    probe.stop()


def on_the_wire(cable: Pair) -> int:
    (link,) = json.loads(cable.run(HERE, "ip", "-j", "-s", "link", "show", CABLE))
    received: int = link["stats64"]["rx"]["packets"]
    return received


def accounted(outcome: Outcome) -> int:
    told = sum(int(str(event.get("tengwang.ndp.count", 0))) for event in outcome.events)
    return told + sum(int(str(event["tengwang.input.lost"])) for event in outcome.of("input-lost"))


@pytest.mark.needs("root", "iproute2", "thc-ipv6")
def test_a_flood_of_neighbour_messages_is_bounded_counted_and_hides_no_rogue_router(cable: Pair) -> None:
    cable.run(HERE, "sysctl", "-qw", f"net.ipv6.conf.{CABLE}.accept_ra=0")
    probe = cable.probe(HERE, "ndp", work=KNOWN)
    before = on_the_wire(cable)
    flood = cable.start(THERE, "timeout", "2", program("atk6-flood_advertise6"), CABLE)
    time.sleep(1)
    seen: list[Event] = []
    started = time.monotonic()
    rogue(cable, "2001:db8:bad::/64")
    told = probe.wait_for(seen, 5, event__action="router_advertisement")
    assert time.monotonic() - started < 3.0
    assert told["tengwang.ndp.registered"] is False
    flood.communicate(timeout=10)
    time.sleep(1.5)
    outcome = probe.stop(seen)
    flooded = on_the_wire(cable) - before
    assert flooded > 10_000
    assert len(outcome.events) < 1000
    # this host's own solicitations and their answers are a few more
    assert abs(accounted(outcome) - flooded) <= 50
    assert outcome.rss < 80_000_000
    assert outcome.cpu < 3.0


@pytest.mark.needs("root", "iproute2", "thc-ipv6")
def test_a_flood_of_routers_is_bounded_and_each_that_is_told_is_told_as_unregistered(cable: Pair) -> None:
    cable.run(HERE, "sysctl", "-qw", f"net.ipv6.conf.{CABLE}.accept_ra=0")
    probe = cable.probe(HERE, "ndp", work=KNOWN)
    before = on_the_wire(cable)
    cable.run(THERE, "timeout", "2", program("atk6-flood_router26"), CABLE, check=False)
    time.sleep(1.5)
    outcome = probe.stop()
    told = outcome.of("router_advertisement")
    assert 100 <= len(told) < 1000
    assert {event["tengwang.ndp.registered"] for event in told} == {False}
    assert abs(accounted(outcome) - (on_the_wire(cable) - before)) <= 50
    assert outcome.rss < 80_000_000


@pytest.mark.needs("root", "iproute2", "thc-ipv6")
def test_the_floods_themselves_are_told_within_seconds(cable: Pair) -> None:
    cable.run(HERE, "sysctl", "-qw", f"net.ipv6.conf.{CABLE}.accept_ra=0")
    probe = cable.probe(HERE, "ndp")
    seen: list[Event] = []
    for tool, kind, least in (("flood_advertise6", "neighbor", 200), ("flood_router26", "router", 50)):
        flood = cable.start(THERE, "timeout", "2", program(f"atk6-{tool}"), CABLE)
        told = probe.wait_for(seen, 10, event__action=f"{kind}_advertisement_flood")
        flood.communicate(timeout=10)
        for name in ("messages", "macs", "prefix_count" if kind == "router" else "targets"):
            assert int(str(told[f"tengwang.ndp.{name}"])) >= least
        assert "source.mac" not in told  # each packet has one of its own
    probe.stop(seen)


@pytest.mark.needs("root", "iproute2", "thc-ipv6")
def test_answers_to_duplicate_address_detection_are_told_and_counted(cable: Pair) -> None:
    cable.run(HERE, "sysctl", "-qw", f"net.ipv6.conf.{CABLE}.accept_dad=1")
    probe = cable.probe(HERE, "ndp")
    tool = cable.start(THERE, "timeout", "20", program("atk6-dos-new-ip6"), CABLE)
    try:
        seen: list[Event] = []
        time.sleep(1)
        for number in (1, 2):
            cable.ip(HERE, f"addr add 2001:db8::d{number}/64 dev {CABLE}")
            told = probe.wait_for(seen, 10, event__action="duplicate_address")
            assert told["tengwang.ndp.target"] == f"2001:db8::d{number}"
            assert told["tengwang.ndp.former_mac"] == MAC[HERE]
            assert told["source.mac"] != MAC[HERE]
            assert told["tengwang.ndp.targets"] == number
    finally:
        tool.terminate()
        tool.communicate(timeout=10)
    probe.stop(seen)


@pytest.mark.needs("root", "iproute2", "thc-ipv6")
def test_false_answers_for_the_gateway_are_told_as_a_claim_of_its_address(cable: Pair) -> None:
    gateway = work.Router(device="r1", addresses=("2001:db8::254",), macs=("02:00:00:00:00:fe",))
    probe = cable.probe(HERE, "ndp", work=work.encode(work.Work(version="1", routers=(gateway,))).decode())
    tool = cable.start(THERE, "timeout", "20", program("atk6-parasite6"), CABLE)
    try:
        seen: list[Event] = []
        time.sleep(1)
        cable.run(HERE, "ping", "-q", "-c", "1", "-W", "1", "2001:db8::254", check=False)
        told = probe.wait_for(seen, 10, event__action="registered_address_claimed")
    finally:
        tool.terminate()
        tool.communicate(timeout=10)
    probe.stop(seen)
    assert (told["source.mac"], told["tengwang.ndp.target"]) == (MAC[THERE], "2001:db8::254")
    assert told["tengwang.ndp.former_mac"] == "02:00:00:00:00:fe"


@pytest.mark.needs("root", "iproute2")
def test_identical_messages_are_folded_and_their_counts_add_up(cable: Pair) -> None:
    probe = cable.probe(HERE, "ndp", {"window": 60})
    for _ in range(8):
        cable.run(HERE, "ip", "neigh", "flush", "all")
        cable.run(HERE, "ping", "-q", "-c", "1", "2001:db8::2")
    time.sleep(0.3)
    outcome = probe.stop()
    asked = [e for e in outcome.of("neighbor_solicitation") if e.get("tengwang.ndp.target") == "2001:db8::2"]
    multicast = [e for e in asked if str(e["destination.ip"]).startswith("ff02:")]
    assert [e["tengwang.ndp.count"] for e in multicast] == [1, 7]
    assert "tengwang.ndp.registered" not in multicast[0]


def context(events: list[Event], known: work.Work = work.Work()) -> Context:  # noqa: B008 - frozen
    def emit(event: Event) -> None:
        events.append(validate(event))

    return Context(clock=ManualClock(), report=Report(), emit=emit, work=lambda: known, state=Path("/nonexistent"))


async def test_a_capture_file_gives_every_message_it_holds() -> None:
    events: list[Event] = []
    made = ndp.build(ndp.Config(file=str(CAPTURES / "ndp.pcap")), context(events))
    await made.collect()
    made.close()
    assert events == json.loads((CAPTURES / "ndp.json").read_text())


async def test_where_no_router_is_registered_nobody_is_called_unregistered() -> None:
    for known, told in ((work.Work("1"), None), (work.decode(KNOWN.encode()), False)):
        events: list[Event] = []
        await ndp.build(ndp.Config(file=str(CAPTURES / "ndp.pcap")), context(events, known)).collect()
        advertised = [e for e in events if e["event.action"] == "router_advertisement"]
        assert advertised
        assert {e.get("tengwang.ndp.registered") for e in advertised} == {told}


@pytest.mark.needs("tshark")
async def test_tshark_reads_the_same_from_the_capture() -> None:
    fields = ["icmpv6.type", "ipv6.src", "eth.src", "ipv6.hlim", "icmpv6.opt.prefix", "icmpv6.opt.linkaddr"]
    options = [word for field in fields for word in ("-e", field)]
    command = [program("tshark"), "-r", str(CAPTURES / "ndp.pcap"), "-Y", "icmpv6.type in {133..137}", "-T", "fields"]
    run = await asyncio.to_thread(subprocess.run, [*command, *options], capture_output=True, text=True, check=True)
    theirs = [tuple(line.split("\t")) for line in run.stdout.splitlines()]
    events: list[Event] = []
    await ndp.build(ndp.Config(file=str(CAPTURES / "ndp.pcap")), context(events)).collect()
    numbers = {"router_solicitation": 133, "router_advertisement": 134, "neighbor_solicitation": 135,
               "neighbor_advertisement": 136, "redirect": 137}  # fmt: skip
    ours = []
    for event in events:
        prefixes, routes = event.get("tengwang.ndp.prefixes", []), event.get("tengwang.ndp.routes", [])
        assert isinstance(prefixes, list)
        assert isinstance(routes, list)
        lladdr = event.get("tengwang.ndp.source_lladdr", event.get("tengwang.ndp.target_lladdr", ""))
        prefix = ",".join(str(one).partition("/")[0] for one in (*prefixes, *routes))
        ours.append((str(numbers[str(event["event.action"])]), str(event["source.ip"]), str(event["source.mac"]),
                     str(event["tengwang.ndp.hop_limit"]), prefix, str(lladdr)))  # fmt: skip
    # of packets with overlapping fragments tshark takes one reading, this decoder the one that is ND
    assert [row for row in ours if row in theirs] == theirs
    assert len(ours) >= len(theirs)


def test_a_file_that_is_not_there_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="no such capture file"):
        ndp.build(ndp.Config(file="/nonexistent.pcap"), context([]))


def test_nobody_listens_before_the_input_does() -> None:
    assert segment.SegmentView().listening_since_ms is None
