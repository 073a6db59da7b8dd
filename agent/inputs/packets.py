"""Packets on this host's interfaces to flow records, sampled at random in the kernel.

Which packet counts where is in ``agent/vantage.py``, the ring in ``agent/capture.py``, the table in
``agent/decoders/flows.py``. With ``file`` a capture is read instead, once and with its own times.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec

from agent import capture, capture_file
from agent.decoders import bpf, captures, flows, links, packet, pcap
from agent.evidence_ring import FOLDER, EvidenceRing
from agent.input import Context
from agent.losses import Losses
from agent.vantage import Vantage
from telemetry.errors import ConfigError, Permanent

MILLISECOND = 1_000_000
STEP_MS = 5000
"""Kernel stamps further than this from the agent's clock are moved to it: one of the two was set."""
COMPARE_NS = 100 * MILLISECOND
"""How often the two are compared."""
TICK_S = 1.0
YIELD_EVERY = 500
"""Records exported before other work gets a turn."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    interfaces: Annotated[
        tuple[str, ...], msgspec.Meta(description="Interfaces by name; none means all but loopback and repeating ones")
    ] = ()
    sampling: Annotated[
        int, msgspec.Meta(description="Take one packet in this many, at random", ge=1, le=1_000_000)
    ] = 1
    snap: Annotated[int, msgspec.Meta(description="Bytes of each packet that are looked at", ge=96, le=4096)] = 160
    promiscuous: Annotated[bool, msgspec.Meta(description="Also take frames for other hosts")] = False
    active: Annotated[float, msgspec.Meta(description="Seconds after which a lasting flow is told", ge=1, le=3600)] = (
        60.0
    )
    inactive: Annotated[float, msgspec.Meta(description="Seconds of silence that end a flow", ge=1, le=600)] = 15.0
    max_flows: Annotated[int, msgspec.Meta(description="Flows held at a time", ge=16, le=1_000_000)] = 16_384
    max_rate: Annotated[
        int,
        msgspec.Meta(description="Packets a second read at most; more are lost, and counted", ge=100, le=10_000_000),
    ] = 100_000
    ring: Annotated[
        int, msgspec.Meta(description="Bytes of the ring shared with the kernel", ge=131_072, le=1 << 30)
    ] = 2 << 20
    file: Annotated[
        str,
        msgspec.Meta(
            description="Read this capture instead of the interfaces: pcap or pcapng, plain or compressed (gzip, zstd, "
            "xz); - is standard input"
        ),
    ] = ""
    evidence_mb: Annotated[
        int,
        msgspec.Meta(
            description="Megabytes of the newest packets kept on disk as evidence; 0 keeps none", ge=0, le=65_536
        ),
    ] = 0
    evidence_payload: Annotated[
        bool, msgspec.Meta(description="Keep in the evidence what follows the headers too, as far as snap goes")
    ] = False


def build(config: Config, context: Context) -> PacketsInput:
    """Raises Blind without CAP_NET_RAW, ConfigError where the file is not there."""
    if not config.file:
        capture.require()
    elif config.file != capture_file.STANDARD_INPUT and (not Path(config.file).exists() or Path(config.file).is_dir()):
        raise ConfigError.one(config.file, "there is no such capture file", "option file of input packets")
    return PacketsInput(config, context)


class PacketsInput:
    """Emits ``tengwang.flow`` events; what was lost before is a ``tengwang.agent`` event ``input-lost``."""

    interval = 0.0

    def __init__(self, config: Config, context: Context) -> None:
        self._config = config
        self._context = context
        self._table = flows.FlowTable(config.max_flows, config.active, config.inactive)
        self._vantage = Vantage(context.clock, context.report)
        self._capture: capture.Capture | None = None
        self._reader: capture.Reader | None = None
        self._losses = Losses("packets", context)
        self._taken = 0
        self._compared_ns = self._shift = 0
        self._file_read = False
        self._stop = threading.Event()
        self._ring: EvidenceRing | None = None
        if config.evidence_mb and not config.file:
            folder, size = context.state / FOLDER, config.evidence_mb << 20
            self._ring = EvidenceRing(folder, size, config.evidence_payload, context.clock, context.report)
        if config.file:
            # one round, however long it takes
            self.interval = 3600.0

    async def collect(self) -> None:
        """Until cancelled; a capture file is read once, and then there is nothing more to come."""
        if not self._config.file:
            await self._live()
        elif not self._file_read:
            self._file_read = True
            reading = asyncio.get_running_loop().run_in_executor(None, self._read_file)
            try:
                await asyncio.shield(reading)
            finally:
                # the table is this thread's again only when the other one is done with it
                self._stop.set()
                await reading

    def close(self) -> None:
        """Flows that are not over yet are told as far as they went: what was counted is never thrown away."""
        if self._capture and self._reader:
            self._reader.drain()
            self._count()
            self._losses.note(self._capture.lost())
            self._losses.tell(at_once=True)
            self._capture.close()
            self._capture = self._reader = None
        if self._ring:
            self._ring.close()
            self._ring = None
        for export in self._table.flush():
            self._context.emit(flows.to_event(export, self._config.sampling))

    async def _live(self) -> None:
        self._vantage.refresh(0.0)
        if self._capture is None or self._reader is None:
            self._capture = capture.Capture(self._program(), self._config.ring)
            self._reader = capture.Reader(self._capture, self._take, self._config.max_rate)
        ring, reader = self._capture, self._reader
        self._open_wide(ring)
        try:
            while True:
                reader.resume()
                await self._context.clock.sleep(TICK_S)
                self._count()
                if self._vantage.refresh():
                    ring.filter(self._program())
                    self._open_wide(ring)
                self._losses.note(ring.lost())
                self._losses.tell()
                if self._ring:
                    self._ring.flush()
                await self._tell(self._table.expire(self._context.clock.now_ms() * MILLISECOND))
        finally:
            reader.stop()

    def _open_wide(self, ring: capture.Capture) -> None:
        if self._config.promiscuous:
            named = self._config.interfaces
            ring.join(capture.PROMISCUOUS, self._vantage.indexes(named) if named else self._vantage.names)

    def _take(self, taken: capture.Captured) -> None:
        self._taken += 1
        if abs(taken.time_ns - self._compared_ns) > COMPARE_NS:
            self._compared_ns = taken.time_ns
            away = self._context.clock.now_ms() - taken.time_ns // MILLISECOND
            self._shift = away * MILLISECOND if abs(away) > STEP_MS else 0
        self._add(taken, taken.time_ns + self._shift)

    def _keep(self, ring: EvidenceRing, taken: capture.Captured, at_ns: int) -> None:
        name = self._vantage.names.get(taken.interface, "")
        if taken.hardware in (bpf.ETHERNET, bpf.LOOPBACK):
            frame = taken.frame
            if taken.vlan:
                # the kernel has taken it off
                frame = frame[:12] + b"\x81\x00" + taken.vlan.to_bytes(2, "big") + frame[12:]
            ring.add(at_ns, links.ETHERNET, name, frame, taken.length + len(frame) - len(taken.frame))
        elif socket.ntohs(taken.protocol) in (packet.IPV4, packet.IPV6):
            start = max(taken.network, 0)
            ring.add(at_ns, links.RAW_IP, name, taken.frame[start:], taken.length - start)

    def _count(self) -> None:
        if self._taken:
            self._context.report.count("tengwang_packets_taken_total", self._taken)
            self._taken = 0

    def _add(self, taken: capture.Captured, at_ns: int) -> None:
        if self._ring:
            self._keep(self._ring, taken, at_ns)
        try:
            if taken.hardware in (bpf.ETHERNET, bpf.LOOPBACK):
                header = packet.decode(taken.frame, taken.length, taken.vlan)
            else:
                kind, start = socket.ntohs(taken.protocol), max(taken.network, 0)
                header = packet.decode_network(kind, taken.frame, start, taken.length, taken.vlan)
        except Permanent as error:
            self._skip(error.reason)
            return
        if header is None:
            self._skip("not_ip")
        elif taken.packet_type == capture.OUTGOING and not self._vantage.sent_here(header.source):
            self._skip("forwarded")
        else:
            name = self._vantage.names.get(taken.interface, "")
            joined = flows.ALONE
            if taken.segment:
                joined = packet.joined(taken.frame, taken.length, header, taken.segment, taken.transport)
            if not self._table.add(header, at_ns, name, self._direction, joined):
                self._context.report.count("tengwang_flow_table_full_total")

    def _skip(self, reason: str) -> None:
        self._context.report.count("tengwang_packets_skipped_total", reason=reason)

    def _direction(self, header: packet.Header) -> str:
        """As seen from this host; unknown is what it only forwards."""
        to_here, from_here = self._vantage.is_own(header.destination), self._vantage.is_own(header.source)
        if from_here:
            return "internal" if to_here else "egress"
        many = header.destination[0] == 0xFF if header.version == 6 else header.destination[0] >= 224
        return "ingress" if to_here or many else "unknown"

    def _program(self) -> bytes:
        """The filter for the interfaces as they are now."""
        seen = self._vantage
        if self._config.interfaces:
            indexes = seen.indexes(self._config.interfaces)
            missing = len(self._config.interfaces) - len(indexes)
            if missing:
                self._context.report.warn("packets.interfaces", f"{missing} of the named interfaces do not exist now")
            start = bpf.only(indexes)
            if seen.loopback in indexes:
                start += bpf.incoming_only(seen.loopback)
        else:
            start = bpf.without(sorted(seen.repeating | {seen.loopback}))
        return bpf.assemble([*start, *bpf.sample(self._config.sampling, self._config.snap)])

    async def _tell(self, exports: Iterable[flows.Export]) -> None:
        for number, export in enumerate(exports, 1):
            self._context.emit(flows.to_event(export, self._config.sampling))
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)

    def _read_file(self) -> None:
        """Expiry goes by the capture's own times. What follows a fault in the file is not read. Blocks."""
        report = self._context.report
        try:
            self._read_records(captures.records(capture_file.pieces(self._config.file, self._stop.is_set)))
        except Permanent as error:
            report.count("tengwang_input_refused_total", input="packets", reason=error.reason)
            report.warn("packets.file", f"{self._config.file}: {error}")
        self._export(self._table.flush())

    def _read_records(self, records: Iterable[pcap.Record]) -> None:
        swept = 0
        for record in records:
            try:
                header = links.decode(record.link, record.frame, record.length)
            except Permanent as error:
                self._skip(error.reason)
                continue
            if header is None:
                self._skip("not_ip")
                continue
            self._table.add(header, record.time_ns, "", lambda _: "unknown")
            if record.time_ns - swept >= flows.SECOND:
                swept = record.time_ns
                self._export(self._table.expire(swept))

    def _export(self, exports: Iterable[flows.Export]) -> None:
        for export in exports:
            self._context.emit(flows.to_event(export, self._config.sampling))
