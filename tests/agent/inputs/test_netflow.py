from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.utils import PcapWriter

from agent.input import Blind, Context
from agent.inputs import netflow
from telemetry.clock import SystemClock
from telemetry.errors import ConfigError
from telemetry.event import Event
from telemetry.report import Report
from telemetry.validate import validate
from telemetry.work import Exporter, Work
from tests.agent.decoders.test_flow_exports import RECORD, SIMPLE, block, ipfix, v9

HERE: dict[str, object] = {"listen": ("[::]:0",), "exporters": ("::1", "127.0.0.1")}


def built(
    tmp_path: Path, events: list[Event], report: Report | None = None, work: Work | None = None, **options: object
) -> netflow.NetflowInput:
    context = Context(
        clock=SystemClock(), report=report or Report(), emit=lambda e: events.append(validate(e)),
        work=lambda: work or Work(), state=tmp_path,
    )  # fmt: skip
    return netflow.build(netflow.Config(**{**HERE, **options}), context)  # type: ignore[arg-type]


@asynccontextmanager
async def running(made: netflow.NetflowInput) -> AsyncIterator[int]:
    task = asyncio.ensure_future(made.collect())
    try:
        await asyncio.sleep(0.1)
        yield made.sockets.opened[0].address[1]
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        made.close()


def send(port: int, *datagrams: bytes, host: str = "::1", source: int = 0) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as out:
        out.bind((host, source))
        for data in datagrams:
            out.sendto(data, (host, port))


def of(events: list[Event], action: str) -> list[Event]:
    return [event for event in events if event["event.action"] == action]


@pytest.mark.parametrize("host", ["::1", "127.0.0.1"])
async def test_data_before_its_template_waits_and_a_gap_is_a_loss(tmp_path: Path, host: str) -> None:
    events: list[Event] = []
    now = int(time.monotonic() * 0 + SystemClock().now_ms() / 1000)
    async with running(built(tmp_path, events)) as port:
        send(port, ipfix(block(256, RECORD), sequence=0, seconds=now), ipfix(block(2, SIMPLE), sequence=1, seconds=now),
             ipfix(block(256, RECORD * 2), sequence=1, seconds=now),
             ipfix(block(256, RECORD), sequence=10, seconds=now),
             host=host)  # fmt: skip
        await asyncio.sleep(0.3)
    assert sum(int(str(e["network.bytes"])) for e in of(events, "flow")) == 4 * 1500
    assert [(e["tengwang.exporter.lost"], e["tengwang.exporter.lost_unit"]) for e in of(events, "export_gap")] == [
        (7, "records")
    ]
    assert [e["tengwang.input.lost"] for e in of(events, "input-lost")] == [7]
    (status,) = of(events, "status")
    assert (status["tengwang.exporter.records"], status["tengwang.exporter.templates"]) == (4, 1)
    assert of(events, "clock_skew") == []


async def test_an_unregistered_exporter_is_counted_and_not_read(tmp_path: Path) -> None:
    events: list[Event] = []
    report = Report()
    async with running(built(tmp_path, events, report, exporters=("2001:db8::1",))) as port:
        send(port, *[ipfix(block(2, SIMPLE), block(256, RECORD))] * 5)
        await asyncio.sleep(0.2)
    assert of(events, "flow") == []
    (told,) = of(events, "unregistered_exporter")
    assert (told["source.ip"], told["tengwang.exporter.datagrams"]) == ("::1", 5)
    assert report.value("tengwang_exports_unregistered_total") == 5


async def test_a_registered_device_is_heard_and_named_and_a_wrong_clock_flagged(tmp_path: Path) -> None:
    events: list[Event] = []
    work = Work(exporters=(Exporter("core-1", ("::1",)),))
    async with running(built(tmp_path, events, work=work, exporters=())) as port:
        send(port, v9(block(0, SIMPLE), block(256, RECORD)))
        await asyncio.sleep(0.2)
    assert of(events, "flow")[0]["tengwang.exporter.device"] == "core-1"
    (skew,) = of(events, "clock_skew")
    assert int(str(skew["tengwang.exporter.skew"])) < -1_000_000
    assert skew["tengwang.device.id"] == "core-1"


async def test_templates_are_kept_over_a_restart(tmp_path: Path) -> None:
    events: list[Event] = []
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as free:
        free.bind(("::1", 0))
        source = free.getsockname()[1]
    async with running(built(tmp_path, events)) as port:
        send(port, ipfix(block(2, SIMPLE)), source=source)
        await asyncio.sleep(0.2)
    async with running(built(tmp_path, events)) as port:
        send(port, ipfix(block(256, RECORD)), source=source)
        await asyncio.sleep(0.2)
    assert len(of(events, "flow")) == 1


async def test_more_than_is_told_a_second_is_lost_and_counted(tmp_path: Path) -> None:
    events: list[Event] = []
    async with running(built(tmp_path, events, max_records=10)) as port:
        send(port, ipfix(block(2, SIMPLE), block(256, RECORD * 50)))
        await asyncio.sleep(0.2)
    told, lost = len(of(events, "flow")), sum(int(str(e["tengwang.input.lost"])) for e in of(events, "input-lost"))
    assert told + lost == 50
    assert 10 <= told <= 20  # the allowance goes on filling while they come


async def test_ipfix_over_tcp_in_pieces_with_a_withdrawal(tmp_path: Path) -> None:
    events: list[Event] = []
    made = built(tmp_path, events, tcp=("[::1]:0",))
    async with running(made):
        reader, writer = await asyncio.open_connection("::1", made.ports[0])
        stream = ipfix(block(2, SIMPLE), block(256, RECORD)) + ipfix(block(2, b"\1\0\0\0"), sequence=1)
        for at in range(0, len(stream), 7):
            writer.write(stream[at : at + 7])
            await writer.drain()
        writer.write(ipfix(block(256, RECORD), sequence=1))
        await writer.drain()
        await asyncio.sleep(0.2)
        writer.close()
        del reader
    assert len(of(events, "flow")) == 1


async def test_a_port_that_is_taken_is_blind_with_advice_and_nonsense_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as taken:
        taken.bind(("::", 0))
        with pytest.raises(Blind, match="can not be listened on"):
            await built(tmp_path, [], listen=(f"[::]:{taken.getsockname()[1]}",)).collect()
    with pytest.raises(ConfigError):
        built(tmp_path, [], listen=("nonsense",))
    with pytest.raises(ConfigError):
        built(tmp_path, [], exporters=("::1 2:5",))


async def test_a_hundred_thousand_strangers_cost_a_bounded_table(tmp_path: Path) -> None:
    events: list[Event] = []
    made = built(tmp_path, events)
    for number in range(100_000):
        made._datagram(b"", (bytes(12) + number.to_bytes(4, "big"), 1)) if number != 1 else None
    made.close()
    assert len(of(events, "unregistered_exporter")) == 65


def capture(path: Path) -> tuple[int, int]:
    """40 flows of UDP, half of them IPv6; packets and bytes of IP."""
    packets = octets = 0
    with PcapWriter(str(path)) as out:
        for flow in range(40):
            for number in range(flow % 5 + 1):
                head = IPv6(src="2001:db8::1", dst=f"2001:db8::{flow + 16:x}") if flow % 2 else IP(
                    src="192.0.2.1", dst=f"198.51.100.{flow}")  # fmt: skip
                whole = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / head / UDP(
                    sport=1000 + flow, dport=53) / bytes(100 + flow)  # fmt: skip
                whole.time = 1_700_000_000 + number / 10
                out.write(whole)
                packets, octets = packets + 1, octets + len(whole) - 14
    return packets, octets


@pytest.mark.needs("softflowd")
@pytest.mark.parametrize("host", ["::1", "127.0.0.1"])
@pytest.mark.parametrize(("version", "protocol"), [("5", "netflow5"), ("9", "netflow9"), ("10", "ipfix")])
async def test_softflowd_exports_what_it_was_given(tmp_path: Path, host: str, version: str, protocol: str) -> None:
    path = tmp_path / "given.pcap"
    packets, octets = capture(path)
    events: list[Event] = []
    async with running(built(tmp_path, events)) as port:
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        command = ["softflowd", "-r", str(path), "-n", target, "-v", version, "-p", str(tmp_path / "pid"),
                   "-c", "none"]  # fmt: skip
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=20,
            check=False,
        )
        assert done.returncode == 0
        await asyncio.sleep(0.5)
    found = of(events, "flow")
    if version == "5":  # it has no IPv6
        found = [e for e in found if e["network.type"] == "ipv4"]
    assert {e["source.ip"] for e in found} <= {"192.0.2.1", "2001:db8::1"}
    assert {e["tengwang.exporter.protocol"] for e in found} == {protocol}
    if version != "5":
        assert len(found) == 40
        assert sum(int(str(e["network.packets"])) for e in found) == packets
        assert sum(int(str(e["network.bytes"])) for e in found) == octets
    else:
        assert len(found) == 20
    if version != "10":  # where RFC 7011 counts what was sent before a message, it counts the message's own as well
        assert of(events, "export_gap") == []
