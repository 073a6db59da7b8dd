"""What the probe on a bureau's LAN sees of the others there, behind a switch, with the lab's own inventory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from collector.inventory_index import Indexed
from collector.inventory_source import load
from collector.work import derive
from telemetry import work
from telemetry.event import Event
from tests.agent.inputs.pair import ROOT, Probe
from tests.lab import inventory
from tests.lab.lab import Lab
from tests.lab.services.dnsmasq import Dnsmasq

pytestmark = pytest.mark.needs("root", "snmpd", "radvd", "nginx", "bind9", "iproute2", "thc-ipv6", "dnsmasq", "udhcpc")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up() as running:
        inventory.write(running.directory / "inventory", running.topology, running.secrets)
        yield running


@contextmanager
def watching(lab: Lab, input: str, host: str = "probe", unit: str = "bureau", **options: object) -> Iterator[Probe]:
    """An input on a host, with the work that its agent would have."""
    index = Indexed(load(lab.directory / "inventory")[0])
    known = derive(index, "probe", unit, frozenset({unit}))
    words = [sys.executable, "-m", "tests.agent.inputs.probe", input, json.dumps(options), work.encode(known).decode()]
    command = lab[host].command(words)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    )
    probe = Probe(process)
    try:
        yield probe
    finally:
        if process.poll() is None:
            probe.stop()


def ask_for_address(lab: Lab, host: str) -> None:
    words = ("-i", "bureau", "-n", "-q", "-f", "-t", "5", "-s", "/bin/true")
    lab[host].run("udhcpc", *words)


def test_a_second_dhcp_server_is_seen_though_the_switch_hands_its_answers_to_the_terminal_alone(lab: Lab) -> None:
    intruder = lab["intruder"]
    with watching(lab, "dhcp") as probe:
        Dnsmasq("bureau", v4="10.100.160.200,10.100.160.220,255.255.255.0", dns="10.100.160.66").start(intruder)
        seen: list[Event] = []
        ask_for_address(lab, "terminal")
        told = probe.wait_for(seen, 10, tengwang__dhcp__registered=False)
    intruder.kill("dnsmasq")
    assert told["event.action"] == "request"
    assert told["tengwang.dhcp.server_id"] == "10.100.160.66"


def test_a_neighbour_spoofer_is_seen_when_it_answers_for_the_gateway(lab: Lab) -> None:
    gateway = lab["county"].spec.address("bureau")
    with watching(lab, "ndp") as probe:
        lab["intruder"].start("parasite6", "timeout", "30", "atk6-parasite6", "bureau")
        time.sleep(1)
        seen: list[Event] = []
        lab["probe"].run("ip", "neigh", "flush", "dev", "bureau")
        lab["probe"].run("ping", "-q", "-c", "1", "-W", "1", gateway, check=False)
        told = probe.wait_for(seen, 10, event__action="registered_address_claimed")
    lab["intruder"].kill("parasite6")
    assert told["source.mac"] == lab["intruder"].spec.mac("bureau")
    assert told["tengwang.ndp.former_mac"] == lab["county"].spec.mac("bureau")


def test_only_who_is_not_registered_is_told_as_a_stranger(lab: Lab) -> None:
    intruder = lab["intruder"]
    own = intruder.spec.mac("bureau")
    with watching(lab, "terminals") as probe:
        for host in ("portal", "terminal", "county", "intruder"):
            lab[host].run("ping", "-q", "-c", "1", "-W", "1", "10.100.160.10", check=False)
        seen: list[Event] = []
        told: dict[str, object] = {}
        while len(told) < 4:
            made = probe.wait_for(seen, 10, event__action="appeared")
            told[str(made["tengwang.terminal.mac"])] = made["tengwang.terminal.registered"]
        assert set(told) == {lab[h].spec.mac("bureau") for h in ("portal", "terminal", "county", "intruder")}
        assert set(told.values()) == {True}
        for address in ("02:de:ad:00:00:01", own):
            intruder.run("ip", "link", "set", "bureau", "down")
            intruder.run("ip", "link", "set", "bureau", "address", address)
            intruder.run("ip", "link", "set", "bureau", "up")
            intruder.run("ping", "-q", "-c", "1", "-W", "2", "10.100.160.10", check=False)
        stranger = probe.wait_for(seen, 10, event__action="appeared")
    assert (stranger["tengwang.terminal.mac"], stranger["tengwang.terminal.registered"]) == ("02:de:ad:00:00:01", False)


@pytest.mark.needs("dsniff")
def test_an_arp_spoofer_of_the_gateway_is_seen_by_everybody(lab: Lab) -> None:
    with watching(lab, "arp") as probe:
        lab["intruder"].start("arpspoof", "timeout", "4", "arpspoof", "-i", "bureau", "10.100.160.1")
        seen: list[Event] = []
        told = probe.wait_for(seen, 10, event__action="registered_address_claimed")
        lab["intruder"].stop("arpspoof")
    assert told["source.mac"] == lab["intruder"].spec.mac("bureau")


@pytest.mark.needs("nmap")
def test_a_scan_through_the_router_is_seen_there(lab: Lab) -> None:
    with watching(lab, "sources", host="county", unit="county") as probe:
        seen: list[Event] = []
        lab["intruder"].until("configured", lambda: "2d00:100:a0:1:" in lab["intruder"].run("ip", "-6", "addr").stdout)
        lab["intruder"].run("nmap", "-6", "-n", "-Pn", "-sS", "-p", "1-400", "2d00:100:0:f::10")
        told = probe.wait_for(seen, 15, event__action="activity")
        while int(str(told["tengwang.source.activity.ports"])) < 300:
            told = probe.wait_for(seen, 15, event__action="activity")
        outcome = probe.stop(seen)
    assert told["destination.ip"] == "2d00:100:0:f::10"
    assert told["tengwang.source.activity.syn"] == told["tengwang.source.activity.ports"], (
        "forwarded packets count once"
    )
    assert len(outcome.events) < 10


@pytest.mark.parametrize("input", ["arp", "ndp", "sources"])
def test_ordinary_days_give_nothing_to_judge(lab: Lab, input: str) -> None:
    with watching(lab, input) as probe:
        for host in ("terminal", "portal", "probe"):
            lab[host].run("ip", "neigh", "flush", "dev", "bureau")
        for _ in range(2):
            lab["terminal"].run("curl", "-sk6", "-o", "/dev/null", "https://www.bureau.test/", check=False)
            lab["terminal"].run("curl", "-sk4", "-o", "/dev/null", "https://www.bureau.test/", check=False)
        time.sleep(1.5)
        outcome = probe.stop()
    summaries = [event for event in outcome.events if "tengwang.ndp.type" not in event]
    assert summaries == []
