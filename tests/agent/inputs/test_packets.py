from __future__ import annotations

import asyncio
import gzip
import json
import lzma
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import zstandard

from agent.decoders import captures
from agent.input import Context
from agent.inputs import packets
from telemetry.clock import ManualClock
from telemetry.errors import ConfigError
from telemetry.event import Event
from telemetry.report import Report
from telemetry.validate import validate
from telemetry.work import Work
from tests.agent.decoders import tshark
from tests.agent.inputs.pair import CABLE, HERE, ROOT, THERE, Pair, pair

CAPTURES = ROOT / "tests" / "captures"
SEND_UDP = """
import socket, sys
count, size, host, port = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
out = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
out.bind(("", 4000))
for number in range(count):
    out.sendto(bytes(size), (host, port))
    if number % 200 == 199:
        import time; time.sleep(0.005)
"""
TRANSFER = """
import socket, struct, sys
if sys.argv[1] == "serve":
    listener = socket.create_server(("", 7000), family=socket.AF_INET6)
    print("listening", flush=True)
    peer, _ = listener.accept()
    while peer.recv(65536): pass
    peer.close()
else:
    peer = socket.create_connection(("2001:db8::2", 7000), source_address=("", 5000))
    peer.sendall(bytes(3_000_000)); peer.shutdown(socket.SHUT_WR); peer.recv(1)
    info = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 216)
    print(struct.unpack_from("=I", info, 136)[0], struct.unpack_from("=Q", info, 200)[0])  # segs_out, bytes_sent
    peer.close()
"""
KEEP = """
import asyncio, sys
from pathlib import Path
from agent.input import Context
from agent.inputs import packets
from telemetry.clock import SystemClock
from telemetry.report import Report
from telemetry.work import Work
async def main():
    context = Context(SystemClock(), Report(), lambda event: None, Work, Path(sys.argv[2]))
    made = packets.build(packets.Config(interfaces=(sys.argv[1],), evidence_mb=1), context)
    going = asyncio.ensure_future(made.collect())
    await asyncio.sleep(0.3)
    print("ready", flush=True)
    await asyncio.sleep(2)
    going.cancel()
    await asyncio.wait({going})
    made.close()
asyncio.run(main())
"""


@pytest.fixture
def cable() -> Iterator[Pair]:
    with pair() as made:
        yield made


def flows_of(events: list[Event], **wanted: object) -> list[Event]:
    names = {name.replace("__", "."): value for name, value in wanted.items()}
    return [event for event in events if all(event.get(name) == value for name, value in names.items())]


def total(events: list[Event], name: str) -> int:
    return sum(int(str(event[name])) for event in events)


@pytest.mark.needs("root", "iproute2")
def test_at_one_to_one_every_packet_is_counted_once_and_both_ways_are_told(cable: Pair) -> None:
    probe = cable.probe(HERE, "packets")
    cable.run(HERE, "ping", "-q", "-c", "20", "-i", "0.01", "-s", "100", "2001:db8::2")
    cable.run(HERE, "ping", "-q", "-c", "10", "-i", "0.01", "-s", "200", "192.0.2.2")
    cable.run(THERE, sys.executable, "-c", SEND_UDP, "500", "300", "2001:db8::1", "9")
    cable.run(HERE, sys.executable, "-c", "import time; time.sleep(0.3)")
    found = probe.stop().of("flow")
    for kind, source, direction in ((128, "2001:db8::1", "egress"), (129, "2001:db8::2", "ingress")):
        echo = flows_of(found, tengwang__flow__icmp_type=kind, source__ip=source, network__type="ipv6")
        assert total(echo, "network.packets") == 20
        assert total(echo, "network.bytes") == 20 * (40 + 8 + 100)
        assert {event["network.direction"] for event in echo} == {direction}
        assert {event["tengwang.interface.name"] for event in echo} == {CABLE}
    assert total(flows_of(found, tengwang__flow__icmp_type=8, network__type="ipv4"), "network.packets") == 10
    datagrams = flows_of(found, source__port=4000, destination__port=9, network__transport="udp")
    assert total(datagrams, "tengwang.flow.raw_packets") == 500
    assert total(datagrams, "network.bytes") == 500 * (40 + 8 + 300)


@pytest.mark.needs("root", "iproute2")
def test_a_tcp_transfer_has_the_packets_and_bytes_of_the_wire_though_the_kernel_joins_them(cable: Pair) -> None:
    probe = cable.probe(HERE, "packets")
    server = cable.start(THERE, sys.executable, "-c", TRANSFER, "serve")
    assert server.stdout
    server.stdout.readline()
    segments, data = map(int, cable.run(HERE, sys.executable, "-c", TRANSFER, "send").split())
    server.communicate(timeout=10)
    cable.run(HERE, sys.executable, "-c", "import time; time.sleep(0.3)")
    outcome = probe.stop()
    found = outcome.of("flow")
    (sent,) = flows_of(found, source__port=5000, destination__port=7000)
    (answered,) = flows_of(found, source__port=7000, destination__port=5000)
    assert outcome.counters["tengwang_packets_taken_total"] < segments, "the kernel joined no packets: nothing tested"
    assert sent["network.packets"] == segments
    # each packet has 40 bytes of IPv6 and 32 of TCP with timestamps; the SYN has 8 more of options
    assert sent["network.bytes"] == data + segments * 72 + 8
    assert int(str(sent["tengwang.flow.tcp_flags"])) & 0x13 == 0x13
    assert int(str(answered["network.packets"])) > 1
    assert int(str(sent["tengwang.flow.label"])) > 0


@pytest.mark.needs("root", "iproute2")
def test_the_packets_of_a_flow_are_kept_as_evidence_without_what_they_say(cable: Pair, tmp_path: Path) -> None:
    keeper = cable.start(HERE, sys.executable, "-c", KEEP, CABLE, str(tmp_path))
    assert keeper.stdout
    assert keeper.stdout.readline() == "ready\n"
    cable.run(HERE, "ping", "-q", "-c", "5", "-i", "0.01", "-p", "5ec7e7", "2001:db8::2")
    keeper.communicate(timeout=20)
    found = [r for path in sorted(tmp_path.glob("evidence/*.pcapng")) for r in captures.records([path.read_bytes()])]
    echoes = [record.frame for record in found if record.frame[20:21] == b"\x3a" and record.frame[54] in (128, 129)]
    assert len(echoes) == 10
    assert {len(frame) for frame in echoes} == {14 + 40 + 8}
    assert {record.interface for record in found} == {CABLE}
    assert not any(b"\x5e\xc7\xe7\x5e" in record.frame for record in found)


@pytest.mark.needs("root", "iproute2")
def test_one_in_ten_is_unbiased_and_raw_counts_stay_apart(cable: Pair) -> None:
    probe = cable.probe(HERE, "packets", {"sampling": 10})
    cable.run(THERE, sys.executable, "-c", SEND_UDP, "20000", "50", "2001:db8::1", "9")
    cable.run(HERE, sys.executable, "-c", "import time; time.sleep(0.3)")
    outcome = probe.stop()
    found = flows_of(outcome.of("flow"), destination__port=9)
    raw = total(found, "tengwang.flow.raw_packets")
    sigma = (20_000 * 0.1 * 0.9) ** 0.5
    assert abs(raw - 2000) < 5 * sigma
    assert total(found, "network.packets") == raw * 10
    assert total(found, "network.bytes") == total(found, "tengwang.flow.raw_bytes") * 10
    assert not outcome.of("input-lost")


@pytest.mark.needs("root", "iproute2")
def test_what_a_router_forwards_and_a_bridge_repeats_is_counted_once(cable: Pair) -> None:
    """``there`` has the cable in a bridge, and routes to an address behind a second cable."""
    cable.ip(THERE, "link add bridge0 type bridge mcast_snooping 0")
    cable.ip(THERE, f"addr flush dev {CABLE}")
    cable.ip(THERE, f"link set {CABLE} master bridge0")
    cable.ip(THERE, "link set bridge0 up")
    cable.ip(THERE, "addr add 2001:db8::2/64 dev bridge0 nodad")
    cable.ip(THERE, f"link add inner0 type veth peer name outer0 netns {cable.space(HERE)}")
    cable.ip(THERE, "link set inner0 up")
    cable.ip(HERE, "link set outer0 up")
    cable.ip(THERE, "addr add 2001:db8:1::1/64 dev inner0 nodad")
    cable.ip(THERE, "neigh add 2001:db8:1::9 lladdr 02:00:00:00:00:99 dev inner0 nud permanent")
    cable.run(THERE, "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
    cable.ip(HERE, "route add 2001:db8:1::/64 via 2001:db8::2")
    probe = cable.probe(THERE, "packets")
    cable.run(HERE, "ping", "-q", "-c", "5", "-i", "0.01", "2001:db8::2")
    cable.run(HERE, sys.executable, "-c", SEND_UDP, "100", "50", "2001:db8:1::9", "9")
    cable.run(HERE, sys.executable, "-c", "import time; time.sleep(0.3)")
    outcome = probe.stop()
    found = outcome.of("flow")
    assert total(flows_of(found, tengwang__flow__icmp_type=128), "network.packets") == 5
    assert total(flows_of(found, tengwang__flow__icmp_type=129), "network.packets") == 5
    forwarded = flows_of(found, destination__ip="2001:db8:1::9", tengwang__interface__name=CABLE)
    assert total(forwarded, "network.packets") == 100
    assert {event["network.direction"] for event in forwarded} == {"unknown"}
    assert outcome.counters["tengwang_packets_skipped_total reason=forwarded"] >= 100


@pytest.mark.needs("root", "iproute2")
def test_what_the_ring_has_no_room_for_is_counted_and_told(cable: Pair) -> None:
    probe = cable.probe(HERE, "packets", {"ring": 131_072, "max_rate": 100})
    cable.run(THERE, sys.executable, "-c", SEND_UDP, "20000", "50", "2001:db8::1", "9")
    cable.run(HERE, sys.executable, "-c", "import time; time.sleep(0.3)")
    outcome = probe.stop()
    counted = total(flows_of(outcome.of("flow"), destination__port=9), "network.packets")
    lost = total(outcome.of("input-lost"), "tengwang.input.lost")
    assert lost > 0
    # neighbour discovery and the like are a few packets on either side
    assert 20_000 <= counted + lost <= 20_050


@pytest.mark.needs("root")
def test_without_the_capability_it_is_blind_and_the_command_given_works(tmp_path: Path) -> None:
    say = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from agent import capture; capture.require(); print('sees')"
    blind = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from agent import capture\n" + (
        "try: capture.require()\nexcept capture.Blind as error: print(error.why, '|', error.advice)"
    )
    drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]
    said = subprocess.run(
        [*drop, sys.executable, "-c", blind], capture_output=True, text=True, env={"TENGWANG_COMMAND": "COMMAND"}
    ).stdout
    why, _, advice = said.strip().partition(" | ")
    assert why.startswith("no CAP_NET_RAW")
    assert advice == (
        "sudo setpriv --reuid=65534 --regid=65534 --init-groups --inh-caps=+net_raw --ambient-caps=+net_raw -- COMMAND"
    )
    words = advice.removeprefix("sudo ").removesuffix("COMMAND").split()
    seen = subprocess.run([*words, sys.executable, "-c", say], capture_output=True, text=True, check=False)
    assert seen.stdout == "sees\n", seen.stderr


def context(events: list[Event]) -> Context:
    def emit(event: Event) -> None:
        events.append(validate(event))

    return Context(clock=ManualClock(), report=Report(), emit=emit, work=Work, state=Path("/nonexistent"))


async def test_a_capture_file_is_read_once_to_the_flows_it_holds() -> None:
    events: list[Event] = []
    made = packets.build(packets.Config(file=str(CAPTURES / "headers.pcap")), context(events))
    await made.collect()
    expected = json.loads((CAPTURES / "headers.json").read_text())
    assert sorted(events, key=str) == sorted(expected, key=str)
    await made.collect()
    made.close()
    assert len(events) == len(expected)


async def test_a_broken_file_gives_what_came_before_and_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pcap"
    broken.write_bytes((CAPTURES / "headers.pcap").read_bytes()[:-5])
    events: list[Event] = []
    made_context = context(events)
    made = packets.build(packets.Config(file=str(broken)), made_context)
    await made.collect()
    assert events
    assert made_context.report.value("tengwang_input_refused_total", input="packets", reason="short_file") == 1


@pytest.mark.parametrize("form", ["pcapng", "nsecpcap"])
@pytest.mark.parametrize("packed", [bytes, gzip.compress, lzma.compress, zstandard.compress])
async def test_the_same_flows_come_of_every_form_of_a_capture(
    form: str, packed: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    made = tmp_path / "made"
    tshark.run("editcap", "-F", form, str(CAPTURES / "headers.pcap"), str(made))
    made.write_bytes(packed(made.read_bytes()))
    events: list[Event] = []
    await packets.build(packets.Config(file=str(made)), context(events)).collect()
    assert sorted(events, key=str) == sorted(json.loads((CAPTURES / "headers.json").read_text()), key=str)


def tried(file: str, given: bytes = b"", *more: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "agent.main", "try", "packets", "--json", "--set", f"file={file}", *more]
    return subprocess.run(command, input=given, capture_output=True, check=True, cwd=ROOT)


def test_the_program_reads_standard_input_and_tells_where_a_cut_file_ends() -> None:
    data = (CAPTURES / "links" / "several.pcapng").read_bytes()
    whole = [json.loads(line) for line in tried("-", zstandard.compress(data)).stdout.splitlines()]
    assert {flow["network.type"] for flow in whole} == {"ipv4", "ipv6"}
    cut = tried("-", gzip.compress(data[:-9]))
    assert b"short_file: at byte" in cut.stderr
    assert 0 < len(cut.stdout.splitlines()) <= len(whole)


async def test_a_pipe_that_is_silent_does_not_keep_the_program(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)
    os.write(writer, (CAPTURES / "headers.pcap").read_bytes())
    events: list[Event] = []
    made = packets.build(packets.Config(file=str(pipe)), context(events))
    reading = asyncio.ensure_future(made.collect())
    await asyncio.sleep(0.3)
    assert not reading.done()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    made.close()
    os.close(writer)
    assert events


def test_a_file_that_is_not_there_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="no such capture file"):
        packets.build(packets.Config(file="/nonexistent.pcap"), context([]))


def test_options_are_bounded() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"sampling": 0}, packets.Config)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"nap": 100}, packets.Config)
