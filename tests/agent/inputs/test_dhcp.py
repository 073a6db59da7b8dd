from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from telemetry import work
from telemetry.event import Event
from tests.agent.inputs.pair import CABLE, HERE, MAC, THERE, Pair, pair, program

DNSMASQ = """
port=0
interface=cable0
bind-interfaces
dhcp-authoritative
dhcp-range=192.0.2.100,192.0.2.150,255.255.255.0,2m
dhcp-range=2001:db8::100,2001:db8::1ff,64,2m
dhcp-option=option:dns-server,192.0.2.53
dhcp-option=option6:dns-server,[2001:db8::53]
dhcp-leasefile={folder}/leases
no-ping
"""


@pytest.fixture
def cable() -> Iterator[Pair]:
    with pair() as made:
        yield made


@contextmanager
def server(cable: Pair, side: str, folder: Path) -> Iterator[None]:
    """dnsmasq for both families."""
    config = folder / "dnsmasq.conf"
    config.write_text(DNSMASQ.format(folder=folder))
    running = cable.start(side, program("dnsmasq"), "-k", "-u", "root", "-C", str(config))
    try:
        for _ in range(100):
            if ":67 " in cable.run(side, "ss", "-uln") and ":547 " in cable.run(side, "ss", "-uln"):
                break
            time.sleep(0.1)
        yield
    finally:
        running.terminate()
        running.communicate(timeout=10)


def ask4(cable: Pair, side: str, name: str = "pc-7") -> None:
    words = ("-i", CABLE, "-n", "-q", "-f", "-t", "5", "-s", "/bin/true", "-x", f"hostname:{name}")
    cable.run(side, program("udhcpc"), *words)


def ask6(cable: Pair, side: str, folder: Path) -> None:
    # a copy: AppArmor's profile for /usr/sbin/dhclient (Ubuntu) lets it write only under /var/lib/dhcp
    copy = str(shutil.copy(program("dhclient"), folder / "dhclient"))
    files = ("-lf", str(folder / "lease6"), "-pf", str(folder / "pid6"), "-sf", "/bin/true")
    client = cable.start(side, "timeout", "20", copy, "-6", "-1", "-d", *files, CABLE)
    for _ in range(150):
        if (folder / "lease6").exists() and "iaaddr" in (folder / "lease6").read_text():
            break
        time.sleep(0.1)
    client.send_signal(subprocess.signal.SIGTERM)  # type: ignore[attr-defined]
    client.communicate(timeout=25)


def known(mac: str, address: str) -> str:
    return work.encode(work.Work(version="1", dhcp=(work.DhcpServer("d1", (address,), (mac,)),))).decode()


@pytest.mark.needs("root", "iproute2", "dnsmasq", "udhcpc", "dhclient")
def test_a_second_server_is_told_with_what_it_gives_and_that_nobody_knows_it(cable: Pair, tmp_path: Path) -> None:
    probe = cable.probe(HERE, "dhcp", work=known("02:00:00:00:00:fe", "192.0.2.254"))
    seen: list[Event] = []
    with server(cable, THERE, tmp_path):
        ask4(cable, HERE)
        told = probe.wait_for(seen, 10, event__action="ack")
        ask6(cable, HERE, tmp_path)
        told6 = probe.wait_for(seen, 10, event__action="reply")
    probe.stop()
    assert told["tengwang.dhcp.registered"] is False
    assert (told["network.type"], told["tengwang.dhcp.server"], told["source.mac"]) == ("ipv4", "192.0.2.2", MAC[THERE])
    assert (told["tengwang.dhcp.dns"], told["tengwang.dhcp.gateway"]) == (["192.0.2.53"], ["192.0.2.2"])
    assert str(told["tengwang.dhcp.address"][0]).startswith("192.0.2.1")  # type: ignore[index]
    assert told["tengwang.dhcp.client"] == MAC[HERE]
    assert told6["tengwang.dhcp.registered"] is False
    assert (told6["network.type"], told6["source.mac"]) == ("ipv6", MAC[THERE])
    assert told6["tengwang.dhcp.server"] == "fe80::ff:fe00:2"
    assert told6["tengwang.dhcp.dns"] == ["2001:db8::53"]
    assert str(told6["tengwang.dhcp.server_id"]).endswith("020000000002")


@pytest.mark.needs("root", "iproute2", "dnsmasq", "udhcpc", "dhclient")
def test_a_registered_server_is_told_as_one_and_its_many_answers_are_few_events(cable: Pair, tmp_path: Path) -> None:
    probe = cable.probe(HERE, "dhcp", work=known(MAC[THERE], "192.0.2.2"))
    with server(cable, THERE, tmp_path):
        for _ in range(4):
            ask4(cable, HERE)
        time.sleep(0.3)  # the kernel hands over its last packets a moment later
    outcome = probe.stop()
    acks = outcome.of("ack")
    assert [event["tengwang.dhcp.count"] for event in acks] == [1, 3]
    assert {event["tengwang.dhcp.registered"] for event in outcome.events} == {True}


@pytest.mark.needs("root", "iproute2", "dnsmasq", "udhcpc", "dhclient")
def test_the_server_that_a_request_names_is_told_though_its_answers_went_elsewhere(cable: Pair, tmp_path: Path) -> None:
    """On a switch an agent sees of others only what goes to everybody: the client's request."""
    probe = cable.probe(HERE, "dhcp", work=known("02:00:00:00:00:fe", "192.0.2.254"))
    seen: list[Event] = []
    with server(cable, HERE, tmp_path):
        ask4(cable, THERE)
        told = probe.wait_for(seen, 10, event__action="request", network__type="ipv4")
        ask6(cable, THERE, tmp_path)
        told6 = probe.wait_for(seen, 10, event__action="request", network__type="ipv6")
    probe.stop()
    assert (told["tengwang.dhcp.server"], told["tengwang.dhcp.registered"]) == ("192.0.2.1", False)
    assert (told["source.mac"], told["source.ip"]) == (MAC[THERE], "0.0.0.0")
    assert str(told6["tengwang.dhcp.server_id"]).endswith("020000000001")
    assert told6["tengwang.dhcp.registered"] is False


@pytest.mark.needs("root", "iproute2")
def test_many_clients_that_want_an_address_at_once_are_told_as_a_flood(cable: Pair) -> None:
    probe = cable.probe(HERE, "dhcp")
    code = (
        "import os,socket\n"
        "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.setsockopt(socket.SOL_SOCKET,socket.SO_BROADCAST,1)\n"
        "s.bind(('',68))\n"
        "for n in range(80):\n"
        "  s.sendto(b'\\1\\1\\6\\0'+os.urandom(4)+bytes(20)+b'\\2'+os.urandom(5)+bytes(202)+b'\\x63\\x82\\x53\\x63'"
        "+b'\\x35\\1\\1\\xff',('192.0.2.255',67))\n"
    )
    cable.run(THERE, "python3", "-c", code)
    seen: list[Event] = []
    told = probe.wait_for(seen, 5, event__action="request_flood")
    probe.stop()
    assert told["tengwang.dhcp.clients"] == 80
    assert told["source.mac"] == MAC[THERE]
