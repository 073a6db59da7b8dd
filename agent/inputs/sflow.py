"""sFlow version 5 that network devices export to this host, over UDP on IPv6 and IPv4: flow samples and counters.

Samples of one flow are added up over ``window`` seconds, as one packet in a thousand is no flow record yet; each is
scaled by the rate it came with. Interface counters become the events that SNMP polls give.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from agent import export_socket
from agent.decoders import addresses, exported_flows, mib, sflow
from agent.decoders.exported_flows import Source
from agent.decoders.flow_exports import Head
from agent.decoders.flow_templates import Record
from agent.decoders.sflow import FlowSample, InterfaceCounters
from agent.export_options import Allowance, Receiving
from agent.export_socket import ExportSockets, Peer
from agent.export_watch import Domain, Watch
from agent.exporters import Exporter, Exporters
from agent.input import Context
from agent.losses import Losses
from telemetry.errors import Permanent
from telemetry.event import Event, event

NAME, PROTOCOL = "sflow", "sflow5"
TICK_S = 1.0
NO_HEAD = Head(0, 0, 0, 0, -1)
Key = tuple[Exporter, int, int, str, int, int, int, bytes, bytes, int, int, int, int]


class Config(Receiving, frozen=True, forbid_unknown_fields=True, kw_only=True):
    listen: Annotated[
        tuple[str, ...], msgspec.Meta(description='UDP addresses and ports; "[::]" takes IPv4 too, where the host can')
    ] = ("[::]:6343",)
    window: Annotated[
        float, msgspec.Meta(description="Seconds over which samples of one flow are added up", ge=1, le=600)
    ] = 10.0
    max_flows: Annotated[
        int, msgspec.Meta(description="Flows held at a time; when more come, all are told early", ge=16, le=1_000_000)
    ] = 16_384


def build(config: Config, context: Context) -> SflowInput:
    """Raises ConfigError where an address can not be read."""
    export_socket.check(NAME, config.listen)
    return SflowInput(config, context)


class Sum:
    """Of one flow: sampled packets and their bytes. Not a frozen struct: it is added to for every sample."""

    __slots__ = ("bytes", "dscp", "first_ms", "flags", "label", "last_ms", "packets")

    def __init__(self, sample: FlowSample, now_ms: int) -> None:
        self.first_ms = self.last_ms = now_ms
        self.dscp, self.label = sample.header.dscp, sample.header.label
        self.bytes = self.packets = self.flags = 0


class SflowInput:
    """Emits ``tengwang.flow``, interface counters as ``tengwang.snmp``, and ``tengwang.exporter`` about the senders."""

    interval = 0.0

    def __init__(self, config: Config, context: Context) -> None:
        self._config, self._context = config, context
        self._losses = Losses(NAME, context)
        self._exporters = Exporters(NAME, config.exporters, config.sampling, context)
        self._watch = Watch(NAME, context, self._losses, config.max_domains, float("inf"), float("inf"))
        self._sockets = ExportSockets(config.listen, config.buffer, context, self._losses, self._datagram)
        self._allowed = Allowance(config.max_records, context.clock)
        self._sums: dict[Key, Sum] = {}
        self._window_ends = context.clock.monotonic() + config.window
        self._received = self._read = 0

    @property
    def sockets(self) -> ExportSockets:
        return self._sockets

    async def collect(self) -> None:
        """Until cancelled. Raises Blind where an address can not be listened on."""
        try:
            self._sockets.start()
            while True:
                await self._context.clock.sleep(TICK_S)
                self.tick()
        finally:
            self._sockets.stop()

    def tick(self) -> None:
        """What is done each second."""
        now = self._context.clock.monotonic()
        self._watch.dropped(self._sockets.tick())
        self._watch.tick(now)
        if now >= self._window_ends:
            self._window_ends = now + self._config.window
            self._tell_flows()
        for made in self._exporters.tell():
            self._context.emit(made)
        self._count()
        self._losses.tell()

    def close(self) -> None:
        """What has arrived is still told."""
        self._watch.dropped(self._sockets.close())
        self._tell_flows()
        self._watch.flush()
        for made in self._exporters.tell(at_once=True):
            self._context.emit(made)
        self._count()
        self._losses.tell(at_once=True)

    def _count(self) -> None:
        report = self._context.report
        if self._received:
            report.count("tengwang_exports_received_total", self._received, input=NAME)
        if self._read:
            report.count("tengwang_exports_records_total", self._read, input=NAME)
        self._received = self._read = 0

    def _datagram(self, data: bytes, peer: Peer) -> None:
        exporter = self._exporters.find(peer[0])
        if exporter is None:
            return
        self._received += 1
        try:
            made = sflow.decode(data)
        except Permanent as error:
            self._refuse(error.reason)
            return
        held = self._watch.get((peer[0], made.agent, made.sub_agent), exporter, made.sub_agent)
        session, now_ms = held.session, self._context.clock.now_ms()
        session.protocol, session.heard = PROTOCOL, self._context.clock.monotonic()
        session.datagrams += 1
        session.note_uptime(made.uptime_ms)
        session.sequence.see(made.sequence, 1)
        session.malformed += len(made.malformed)
        for reason in (*made.malformed, *made.other):
            self._refuse(reason)
        for sample in made.flows:
            self._add(sample, held, now_ms)
        for counters in made.counters:
            self._tell_counters(counters, made, exporter, now_ms)

    def _add(self, sample: FlowSample, held: Domain, now_ms: int) -> None:
        self._read += 1
        session, exporter, header = held.session, held.exporter, sample.header
        session.records += 1
        rate, said = (exporter.rate, "configuration") if exporter.rate else (sample.rate, "record")
        session.rate, session.rate_source = rate, said
        key = (
            exporter, held.number, rate, said, sample.ingress, sample.egress, header.version, header.source,
            header.destination, header.protocol, header.source_port, header.destination_port, header.vlan,
        )  # fmt: skip
        found = self._sums.get(key)
        if found is None:
            if len(self._sums) >= self._config.max_flows:
                self._tell_flows()
            found = self._sums[key] = Sum(sample, now_ms)
        found.last_ms = now_ms
        found.packets += 1
        found.bytes += header.size
        found.flags |= header.tcp_flags

    def _tell_flows(self) -> None:
        sums, self._sums = self._sums, {}
        for key, held in sums.items():
            if not self._allowed.take():
                self._losses.note(held.packets)
                continue
            exporter, domain, rate, said, ingress, egress, version, start, end, protocol, port, other_port, vlan = key
            record: Record = {
                f"source{version}": start, f"destination{version}": end, "protocol": protocol, "source_port": port,
                "destination_port": other_port, "vlan": vlan, "dscp": held.dscp, "label": held.label,
                "flags": held.flags, "bytes": held.bytes, "packets": held.packets, "ingress": ingress,
                "egress": egress, "start_ms": held.first_ms, "end_ms": held.last_ms,
            }  # fmt: skip
            source = Source(exporter.address, exporter.device, PROTOCOL, domain, rate, said)
            try:
                for made in exported_flows.events(record, NO_HEAD, source):
                    self._context.emit(made)
            except Permanent as error:
                self._refuse(error.reason)

    def _tell_counters(
        self, counters: InterfaceCounters, datagram: sflow.Datagram, exporter: Exporter, now_ms: int
    ) -> None:
        if not self._allowed.take():
            self._losses.note(1)
            return
        self._context.emit(interface_event(counters, datagram, exporter, now_ms))

    def _refuse(self, reason: str) -> None:
        self._context.report.count("tengwang_input_refused_total", input=NAME, reason=reason)


def interface_event(counters: InterfaceCounters, datagram: sflow.Datagram, exporter: Exporter, now_ms: int) -> Event:
    """As an SNMP poll tells an interface. Packets are left out: they are counted in 32 bits, the octets in 64."""
    made = event(now_ms, "tengwang.snmp", "interface", kind="metric")
    if exporter.device:
        made["tengwang.device.id"] = exporter.device
    made["observer.ip"] = exporter.address
    if len(datagram.agent) in (4, 16):
        made["tengwang.exporter.agent"] = addresses.text(datagram.agent)
    made["tengwang.exporter.protocol"], made["tengwang.exporter.domain"] = PROTOCOL, datagram.sub_agent
    made["tengwang.interface.index"] = counters.index
    made["tengwang.interface.type"] = mib.named(counters.type, mib.INTERFACE_TYPE)
    made["tengwang.interface.speed"] = min(counters.speed, exported_flows.LONG_MAX)
    made["tengwang.interface.admin_status"] = "up" if counters.admin_up else "down"
    made["tengwang.interface.oper_status"] = "up" if counters.oper_up else "down"
    made["tengwang.interface.counter_bits"] = 64
    for name in ("in_octets", "in_discards", "in_errors", "out_octets", "out_discards", "out_errors"):
        value: int = getattr(counters, name)
        if value >= 0:
            made[f"tengwang.interface.{name}"] = min(value, exported_flows.LONG_MAX)
    return made
