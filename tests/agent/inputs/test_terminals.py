from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from telemetry import work
from telemetry.event import Event
from tests.agent.inputs.pair import CABLE, HERE, MAC, THERE, Pair, pair, program


@pytest.fixture
def cable() -> Iterator[Pair]:
    with pair() as made:
        yield made


def known(*terminals: work.Terminal) -> str:
    return work.encode(work.Work(version="1", terminals=terminals)).decode()


@pytest.mark.needs("root", "iproute2")
def test_a_terminal_that_nobody_registered_is_told_within_seconds(cable: Pair) -> None:
    probe = cable.probe(HERE, "terminals", work=known(work.Terminal("pc", ("02:00:00:00:00:99",))))
    seen: list[Event] = []
    cable.run(THERE, "ping", "-q", "-c", "1", "192.0.2.1")
    told = probe.wait_for(seen, 5, event__action="appeared")
    probe.stop()
    for name in ("@timestamp", "event.start", "event.end", "tengwang.interface.index"):
        told.pop(name)
    assert told == {
        "event.dataset": "tengwang.terminals",
        "event.action": "appeared",
        "event.kind": "event",
        "source.mac": MAC[THERE],
        "source.ip": "192.0.2.2",
        "tengwang.terminal.mac": MAC[THERE],
        "tengwang.terminal.ip": ["192.0.2.2"],
        "tengwang.terminal.vendor": "random",
        "tengwang.terminal.registered": False,
        "tengwang.interface.name": CABLE,
        "tengwang.segment.prefixes": ["192.0.2.0/24", "2001:db8::/64"],
    }


@pytest.mark.needs("root", "iproute2")
def test_duplicate_address_detection_alone_shows_a_terminal_and_its_address(cable: Pair) -> None:
    probe = cable.probe(HERE, "terminals", work=known(work.Terminal("pc", (MAC[THERE],))))
    seen: list[Event] = []
    cable.run(THERE, "sysctl", "-qw", f"net.ipv6.conf.{CABLE}.accept_dad=1")
    cable.ip(THERE, f"addr add 2001:db8::77/64 dev {CABLE}")
    told = probe.wait_for(seen, 5, event__action="appeared")
    probe.stop()
    assert told["tengwang.terminal.ip"] == ["2001:db8::77"]
    assert told["tengwang.terminal.registered"] is True


@pytest.mark.needs("root", "iproute2", "udhcpc")
def test_what_it_calls_itself_and_a_new_address_are_changes_and_silence_is_leaving(cable: Pair) -> None:
    probe = cable.probe(HERE, "terminals", {"absent": 10})
    seen: list[Event] = []
    cable.run(THERE, program("udhcpc"), "-i", CABLE, "-n", "-q", "-f", "-t", "1", "-T", "1", "-s", "/bin/true",
              "-x", "hostname:pc-7", check=False)  # fmt: skip
    told = probe.wait_for(seen, 5, event__action="appeared", tengwang__terminal__mac=MAC[THERE])
    assert told["tengwang.terminal.name"] == "pc-7"
    assert "tengwang.terminal.registered" not in told
    assert "source.ip" not in told
    time.sleep(9)
    cable.run(THERE, "ping", "-q", "-c", "1", "192.0.2.1")
    changed = probe.wait_for(seen, 15, event__action="changed")
    assert changed["tengwang.terminal.ip"] == ["192.0.2.2"]
    cable.ip(THERE, f"link set {CABLE} down")
    left = probe.wait_for(seen, 20, event__action="left")
    assert left["tengwang.terminal.mac"] == MAC[THERE]
    probe.stop()
    # this host itself is never one of them
    assert {event["tengwang.terminal.mac"] for event in seen} == {MAC[THERE]}


@pytest.mark.needs("root", "iproute2", "thc-ipv6")
def test_a_flood_of_invented_terminals_is_bounded(cable: Pair) -> None:
    probe = cable.probe(HERE, "terminals", {"most": 500})
    cable.run(THERE, "timeout", "2", program("atk6-flood_advertise6"), CABLE, check=False)
    time.sleep(1.5)
    outcome = probe.stop()
    assert len(outcome.events) < 300
    assert outcome.counters["tengwang_input_cut_total input=terminals"] > 0
    assert outcome.rss < 60_000_000
    assert outcome.cpu < 3.0
