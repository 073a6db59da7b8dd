from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from telemetry import work
from telemetry.event import Event
from tests.agent.inputs.pair import CABLE, HERE, MAC, THERE, Pair, pair, program

GATEWAY_MAC = "02:00:00:00:00:fe"
KNOWN = work.encode(
    work.Work(version="1", routers=(work.Router(device="r1", addresses=("192.0.2.254",), macs=(GATEWAY_MAC,)),))
).decode()


@pytest.fixture
def cable() -> Iterator[Pair]:
    with pair() as made:
        yield made


def announce(cable: Pair, address: str, times: int = 1, pause: str = "1") -> None:
    """A gratuitous ARP of an address: what arpspoof does, without its clean-up."""
    code = (
        "import socket,sys,time\n"
        "s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW); s.bind((sys.argv[1],0)); m=s.getsockname()[4]\n"
        "a=socket.inet_aton(sys.argv[2])\n"
        "for _ in range(int(sys.argv[3])):\n"
        "  s.send(b'\\xff'*6+m+b'\\x08\\x06\\0\\1\\x08\\0\\6\\4\\0\\2'+m+a+b'\\xff'*6+a)\n"
        "  time.sleep(float(sys.argv[4]))\n"
    )
    cable.run(THERE, "python3", "-c", code, CABLE, address, str(times), pause)


@pytest.mark.needs("root", "iproute2", "dsniff")
def test_an_arp_spoofer_is_told_within_seconds(cable: Pair) -> None:
    probe = cable.probe(HERE, "arp", work=KNOWN)
    seen: list[Event] = []
    tool = cable.start(THERE, "timeout", "5", program("arpspoof"), "-i", CABLE, "192.0.2.254")
    told = probe.wait_for(seen, 10, event__action="registered_address_claimed")
    tool.communicate(timeout=15)
    for name in ("@timestamp", "tengwang.interface.index"):
        told.pop(name)
    assert told == {
        "event.dataset": "tengwang.arp",
        "event.action": "registered_address_claimed",
        "event.kind": "event",
        "network.type": "ipv4",
        "source.ip": "192.0.2.254",
        "source.mac": MAC[THERE],
        "tengwang.interface.name": CABLE,
        "tengwang.segment.prefixes": ["192.0.2.0/24", "2001:db8::/64"],
        "tengwang.arp.operation": "reply",
        "tengwang.arp.former_mac": GATEWAY_MAC,
        "tengwang.arp.count": 1,
    }
    # what it goes on claiming is one event more, with how often
    again = [e for e in probe.stop().events if e["event.action"] == "registered_address_claimed"]
    assert [int(str(e["tengwang.arp.count"])) >= 1 for e in again] == [True]


@pytest.mark.needs("root", "iproute2")
def test_an_address_of_this_host_in_other_hands_moves_and_is_then_fought_for(cable: Pair) -> None:
    probe = cable.probe(HERE, "arp")
    cable.run(HERE, "ping", "-q", "-c", "1", "192.0.2.2")
    seen: list[Event] = []
    announce(cable, "192.0.2.1")
    told = probe.wait_for(seen, 5, event__action="address_moved")
    assert (told["source.mac"], told["tengwang.arp.former_mac"]) == (MAC[THERE], MAC[HERE])
    announce(cable, "192.0.2.1")
    told = probe.wait_for(seen, 5, event__action="address_conflict")
    assert told["source.ip"] == "192.0.2.1"
    probe.stop()


@pytest.mark.needs("root", "iproute2", "nmap")
def test_a_sweep_and_a_flood_of_announcements_are_told_with_their_extent(cable: Pair) -> None:
    probe = cable.probe(HERE, "arp")
    seen: list[Event] = []
    cable.run(THERE, program("nmap"), "-n", "-sn", "192.0.2.0/24")
    told = probe.wait_for(seen, 15, event__action="scan")
    assert told["source.mac"] == MAC[THERE]
    assert int(str(told["tengwang.arp.addresses"])) >= 30
    announce(cable, "192.0.2.9", times=40, pause="0.01")
    told = probe.wait_for(seen, 15, event__action="gratuitous_flood")
    assert int(str(told["tengwang.arp.count"])) >= 30
    assert told["tengwang.arp.addresses"] == 1
    probe.stop()


@pytest.mark.needs("root", "iproute2")
def test_a_quiet_segment_gives_no_event(cable: Pair) -> None:
    probe = cable.probe(HERE, "arp", work=KNOWN)
    for _ in range(3):
        cable.run(HERE, "ip", "neigh", "flush", "all")
        cable.run(HERE, "ping", "-q", "-c", "1", "192.0.2.2")
    time.sleep(1.2)
    outcome = probe.stop()
    assert outcome.events == []
    assert outcome.rss < 50_000_000
