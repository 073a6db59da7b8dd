from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from telemetry.event import Event
from tests.agent.inputs.pair import CABLE, HERE, MAC, THERE, Outcome, Pair, pair, program


@pytest.fixture
def cable() -> Iterator[Pair]:
    with pair() as made:
        yield made


def number(event: Event, name: str) -> int:
    return int(str(event[f"tengwang.source.activity.{name}"]))


@pytest.mark.needs("root", "iproute2", "nmap")
@pytest.mark.parametrize(("options", "target"), [(("-6",), "2001:db8::1"), ((), "192.0.2.1")])
def test_a_port_scan_is_told_within_seconds(cable: Pair, options: tuple[str, ...], target: str) -> None:
    probe = cable.probe(HERE, "sources")
    seen: list[Event] = []
    cable.run(THERE, program("nmap"), *options, "-n", "-Pn", "-sS", target)
    told = probe.wait_for(seen, 10, event__action="activity")
    while number(told, "ports") < 500:
        told = probe.wait_for(seen, 15, event__action="activity")
    probe.stop()
    assert told["source.mac"] == MAC[THERE]
    assert (told["destination.ip"], number(told, "targets")) == (target, 1)
    assert number(told, "refused") >= 500
    assert "destination.port" not in told


@pytest.mark.needs("root", "iproute2", "nmap")
def test_a_ping_sweep_over_ipv6_is_told_with_how_many_it_asked(cable: Pair) -> None:
    probe = cable.probe(HERE, "sources")
    seen: list[Event] = []
    # off the link, so that there is something to send without neighbours to be found first
    cable.ip(THERE, f"-6 route add 2001:db8:1::/64 via 2001:db8::1 dev {CABLE}")
    cable.run(THERE, program("nmap"), "-6", "-n", "-sn", "-PE", "--max-retries", "0", "2001:db8:1::/122")
    told = probe.wait_for(seen, 15, event__action="activity")
    while number(told, "targets") < 60:
        told = probe.wait_for(seen, 15, event__action="activity")
    probe.stop()
    assert (told["network.transport"], told["source.ip"]) == ("ipv6-icmp", "2001:db8::2")
    assert number(told, "echo") >= 60
    assert number(told, "syn") == 0


def flooded(cable: Pair, *options: str) -> tuple[Event, Outcome]:
    probe = cable.probe(HERE, "sources")
    seen: list[Event] = []
    tool = cable.start(THERE, "timeout", "2", program("hping3"), "--flood", "-S", "-p", "80", *options, "192.0.2.1")
    told = probe.wait_for(seen, 10, event__action="convergence")
    tool.communicate(timeout=15)
    time.sleep(1.2)
    return told, probe.stop(seen)


@pytest.mark.needs("root", "iproute2", "hping3")
def test_a_syn_flood_is_told_by_its_source_and_by_its_destination(cable: Pair) -> None:
    told, outcome = flooded(cable)
    assert (told["destination.ip"], told["destination.port"]) == ("192.0.2.1", 80)
    assert (told["source.ip"], number(told, "sources")) == ("192.0.2.2", 1)
    assert number(told, "syn") >= 300
    (first, *_) = outcome.of("activity")
    assert (first["source.ip"], first["source.mac"], first["destination.port"]) == ("192.0.2.2", MAC[THERE], 80)
    assert len(outcome.events) < 20
    assert outcome.rss < 60_000_000
    assert outcome.cpu < 3.0


@pytest.mark.needs("root", "iproute2", "hping3")
def test_a_flood_of_forged_sources_is_bounded_and_told_by_its_destination(cable: Pair) -> None:
    told, outcome = flooded(cable, "--rand-source")
    assert number(told, "sources") >= 200
    assert "source.ip" not in told
    assert len(outcome.events) < 20
    assert outcome.rss < 60_000_000


@contextmanager
def ssh_server(cable: Pair, folder: Path) -> Iterator[None]:
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    Path("/run/sshd").mkdir(exist_ok=True)
    options = ("-o", "PidFile=none", "-o", "UsePAM=no", "-o", "ListenAddress=[2001:db8::1]:22", "-o", "StrictModes=no")
    running = cable.start(HERE, program("sshd"), "-D", "-e", "-f", "/dev/null", "-h", str(key), *options)
    try:
        for _ in range(100):
            if ":22 " in cable.run(HERE, "ss", "-tln"):
                break
            time.sleep(0.1)
        yield
    finally:
        running.terminate()
        running.communicate(timeout=10)


@pytest.mark.needs("root", "iproute2", "hydra", "sshd")
def test_log_ins_that_are_tried_again_and_again_are_told(cable: Pair, tmp_path: Path) -> None:
    words = tmp_path / "words"
    words.write_text("".join(f"wrong{n}\n" for n in range(40)))
    probe = cable.probe(HERE, "sources")
    seen: list[Event] = []
    with ssh_server(cable, tmp_path):
        # it leaves a file where it is stopped
        command = (
            f"cd {tmp_path} && exec timeout 20 {program('hydra')} -6 -I -t 4 -l root -P {words} ssh://[2001:db8::1]"
        )
        tool = cable.start(THERE, "sh", "-c", command)
        told = probe.wait_for(seen, 20, event__action="attempts")
        tool.terminate()
        tool.communicate(timeout=10)
    probe.stop()
    assert (told["source.ip"], told["destination.ip"], told["destination.port"]) == ("2001:db8::2", "2001:db8::1", 22)
    assert number(told, "syn") >= 5
    assert told["source.mac"] == MAC[THERE]


@pytest.mark.needs("root", "iproute2")
def test_a_tunnel_is_told_at_its_first_packet(cable: Pair) -> None:
    probe = cable.probe(HERE, "sources")
    seen: list[Event] = []
    # what a 6in4 tunnel sends; not every kernel has the tunnel itself
    code = (
        "import socket,time\n"
        "s=socket.socket(socket.AF_INET,socket.SOCK_RAW,41)\n"
        "for _ in range(3):\n"
        "  s.sendto(b'\\x60'+bytes(5)+b'\\x3b\\x40'+bytes(32),('192.0.2.1',0))\n"
        "  time.sleep(0.1)\n"
    )
    started = time.monotonic()
    cable.run(THERE, "python3", "-c", code)
    told = probe.wait_for(seen, 5, event__action="tunnel")
    assert time.monotonic() - started < 5
    time.sleep(0.3)  # the kernel hands over its last packets a moment later
    outcome = probe.stop()
    assert (told["network.type"], told["network.iana_number"]) == ("ipv4", "41")
    assert (told["source.ip"], told["destination.ip"], told["source.mac"]) == ("192.0.2.2", "192.0.2.1", MAC[THERE])
    assert told["network.packets"] == 1
    (rest,) = outcome.of("tunnel")
    assert rest["network.packets"] == 2


@pytest.mark.needs("root", "iproute2")
def test_ordinary_use_stays_below_the_floors(cable: Pair) -> None:
    probe = cable.probe(HERE, "sources")
    cable.run(THERE, "ping", "-q", "-c", "3", "-i", "0.2", "2001:db8::1")
    code = "import socket\nfor n in range(30):\n  socket.socket().connect_ex(('192.0.2.1', 443))"
    cable.run(THERE, "python3", "-c", code)
    time.sleep(1.2)
    outcome = probe.stop()
    assert outcome.events == []
