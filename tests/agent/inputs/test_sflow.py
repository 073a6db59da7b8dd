from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

from agent.input import Context
from agent.inputs import sflow
from telemetry.clock import SystemClock
from telemetry.event import Event
from telemetry.report import Report
from telemetry.validate import validate
from telemetry.work import Work
from tests.agent.decoders.test_sflow import COUNTERS, SYN, datagram, flow, opaque, raw, words


async def test_samples_of_a_flow_are_added_up_and_scaled_and_counters_told_as_snmp_does(tmp_path: Path) -> None:
    events: list[Event] = []
    context = Context(
        clock=SystemClock(), report=Report(), emit=lambda e: events.append(validate(e)), work=Work, state=tmp_path
    )
    made = sflow.build(sflow.Config(listen=("[::1]:0",), exporters=("::1",)), context)
    task = asyncio.ensure_future(made.collect())
    await asyncio.sleep(0.1)
    counters = (2, words(1, 4, 1) + words(1) + opaque(COUNTERS))
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as out:
        for number in (1, 2, 5):
            out.sendto(datagram(flow(raw(SYN, 12)), counters, sequence=number), made.sockets.opened[0].address)
    await asyncio.sleep(0.2)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    made.close()
    (found,) = [e for e in events if e["event.action"] == "flow"]
    assert (found["network.packets"], found["network.bytes"]) == (3 * 512, 3 * 60 * 512)
    assert (found["tengwang.flow.raw_packets"], found["tengwang.flow.sampling_source"]) == (3, "record")
    assert (found["tengwang.flow.ingress"], found["tengwang.flow.egress"]) == (3, 4)
    interface = [e for e in events if e["event.action"] == "interface"]
    assert len(interface) == 3
    assert interface[0]["event.dataset"] == "tengwang.snmp"
    assert interface[0]["tengwang.interface.in_octets"] == 2**40
    (gap,) = [e for e in events if e["event.action"] == "export_gap"]
    assert (gap["tengwang.exporter.lost"], gap["tengwang.exporter.lost_unit"]) == (2, "datagrams")
