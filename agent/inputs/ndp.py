"""Neighbour discovery on this host's segments, unsampled: router and neighbour messages and redirects.

Two rings with a filter of their own: one for router messages (types 133, 134, 137), one for neighbour messages (135,
136), so a flood of neighbour messages can not push a rogue router's advertisement out. Identical messages are folded,
each kind has its own allowance (``agent/folding.py``), and an advertisement of a router that is not registered has one
apart from those that look registered. With ``file`` a capture is read instead, every message of it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec

from agent import capture, routers, segment
from agent.capture_file import open_capture
from agent.decoders import addresses, bpf, dissection, ndp, pcap
from agent.decoders.reassembly import Reassembly
from agent.folding import Answer, Folding, Window
from agent.input import Context
from agent.losses import Losses
from agent.neighbours import Neighbours
from agent.vantage import Vantage
from telemetry.errors import ConfigError, Permanent
from telemetry.event import TIMESTAMP, Event
from telemetry.work import Work

MILLISECOND = 1_000_000
STEP_MS = 5000
"""Kernel stamps further than this from the agent's clock are moved to it: one of the two was set."""
TICK_S = 1.0
SNAP = 2048
FRAGMENTS_S = 1.0
"""How long the other fragments of a message are waited for."""
ROUTER_TYPES = (ndp.SOLICIT_ROUTER, ndp.ADVERTISE_ROUTER, ndp.REDIRECT)
NEIGHBOR_TYPES = (ndp.SOLICIT_NEIGHBOR, ndp.ADVERTISE_NEIGHBOR)
MAX_WINDOWS = 8192


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    interfaces: Annotated[
        tuple[str, ...], msgspec.Meta(description="Interfaces by name; none means all but repeating ones")
    ] = ()
    window: Annotated[
        float, msgspec.Meta(description="Seconds in which identical messages are folded into one event", ge=1, le=3600)
    ] = 60.0
    rate: Annotated[
        float, msgspec.Meta(description="New messages a second told, for each kind; more are lost, and counted", ge=1)
    ] = 20.0
    burst: Annotated[int, msgspec.Meta(description="New messages told at once, for each kind", ge=1, le=10_000)] = 200
    max_rate: Annotated[
        int, msgspec.Meta(description="Messages a second read at most; more are lost, and counted", ge=100)
    ] = 10_000
    ring: Annotated[
        int, msgspec.Meta(description="Bytes of each of the two rings shared with the kernel", ge=131_072, le=1 << 28)
    ] = 256 << 10
    file: Annotated[str, msgspec.Meta(description="Read this pcap file instead of the interfaces")] = ""


def build(config: Config, context: Context) -> NdpInput:
    """Raises Blind without CAP_NET_RAW, ConfigError where the file is not there."""
    if not config.file:
        capture.require()
    elif not Path(config.file).is_file():
        raise ConfigError.one(config.file, "there is no such capture file", "option file of input ndp")
    return NdpInput(config, context)


class NdpInput:
    """Emits ``tengwang.ndp`` events and fills ``agent.segment.view()``."""

    interval = 0.0

    def __init__(self, config: Config, context: Context) -> None:
        self._config = config
        self._context = context
        self._vantage = Vantage(context.clock, context.report)
        self._folding: Folding[Event] = Folding(config.window, config.rate, config.burst, MAX_WINDOWS)
        self._losses = Losses("ndp", context)
        self._rings: list[capture.Capture] = []
        self._readers: list[capture.Reader] = []
        self._register = routers.Register(Work())
        self._reassembly = Reassembly()
        self._neighbours = Neighbours()
        self._file_read = False

    async def collect(self) -> None:
        """Until cancelled; a capture file is read once, and then there is nothing more to come."""
        if not self._config.file:
            await self._live()
        elif self._file_read:
            await asyncio.Event().wait()
        else:
            self._file_read = True
            self._read_file()

    def close(self) -> None:
        for reader, ring in zip(self._readers, self._rings, strict=True):
            reader.drain()
            self._losses.note(ring.lost())
            ring.close()
        self._readers, self._rings = [], []
        for window in self._folding.flush():
            self._tell_folded(window)
        self._tell_together(float("inf"))
        self._losses.tell(at_once=True)

    async def _live(self) -> None:
        dissection.layers()  # now, not in the middle of the first message
        self._vantage.refresh(0.0)
        if not self._rings:
            for program in self._programs():
                self._rings.append(capture.Capture(program, self._config.ring))
                self._readers.append(capture.Reader(self._rings[-1], self._take, self._config.max_rate))
        self._open_wide()
        since = self._context.clock.now_ms()
        try:
            while True:
                segment.view().listening(since, self._listened())
                self._register = self._register.renewed(self._context.work())
                self._neighbours.know(self._context.work())
                for reader in self._readers:
                    reader.resume()
                await self._context.clock.sleep(TICK_S)
                self._tick()
        finally:
            for reader in self._readers:
                reader.stop()
            segment.view().listening(None, ())

    def _tick(self) -> None:
        changed = self._vantage.refresh()
        for ring, program in zip(self._rings, self._programs(), strict=True):
            if changed:
                ring.filter(program)
            self._losses.note(ring.lost())
        if changed:
            self._open_wide()
        now = self._context.clock.monotonic()
        for message in self._reassembly.overdue(now - FRAGMENTS_S):
            try:
                self._judge(message, now, self._context.clock.now_ms(), 0)
            except Permanent as error:
                self._refused(error)
        for window in self._folding.ended(now):
            self._tell_folded(window)
        self._tell_together(now)
        self._losses.tell()

    def _take(self, taken: capture.Captured) -> None:
        now, now_ms = self._context.clock.monotonic(), taken.time_ns // MILLISECOND
        if abs(self._context.clock.now_ms() - now_ms) > STEP_MS:
            now_ms = self._context.clock.now_ms()
        try:
            message: ndp.Message | None = ndp.locate(taken.frame, taken.vlan)
            if message and taken.packet_type == capture.OUTGOING and not self._vantage.sent_here(message.source):
                return  # forwarded by a bridge, and taken where it came in
            if message and message.part:
                message = self._reassembly.add(message, now)
            if message and message.type:
                self._judge(message, now, now_ms, taken.interface)
        except Permanent as error:
            self._refused(error)

    def _judge(self, message: ndp.Message, now: float, now_ms: int, index: int) -> None:
        """Fold, drop or tell one message. Raises Permanent where it is malformed."""
        if message.type not in ndp.NAMES:
            return
        if (shown := self._neighbours.see(message, self._vantage.segment(index), now, now_ms)) is not None:
            self._context.emit(self._placed(shown, index))
        source, mac = addresses.text(message.source), addresses.mac(message.source_mac)
        identified = self._register.identified(source, mac)
        # all of it but the fragment identification, which differs each time
        key = (index, identified, msgspec.structs.replace(message, fragment=message.fragment[:1]))
        kind = f"{ndp.NAMES[message.type]} {identified}"
        answer, told = self._folding.ask(key, kind, now, now_ms)
        if answer is Answer.DROP:
            self._losses.note(1)
        elif answer is Answer.FOLD and told is not None:
            if message.type == ndp.ADVERTISE_ROUTER:
                segment.view().record({**told, TIMESTAMP: now_ms})
        else:
            made = self._describe(message, now_ms, index)
            self._folding.start(key, made, now, now_ms)
            self._context.emit(dict(made))
            if message.type == ndp.ADVERTISE_ROUTER:
                segment.view().record(made)

    def _describe(self, message: ndp.Message, now_ms: int, index: int) -> Event:
        made = ndp.describe(message, now_ms)
        made["tengwang.ndp.count"] = 1
        self._placed(made, index)
        if message.type == ndp.ADVERTISE_ROUTER:
            registered = self._register.registered(made)
            if registered is not None:
                made["tengwang.ndp.registered"] = registered
        return made

    def _placed(self, made: Event, index: int) -> Event:
        return self._vantage.place(made, index)

    def _tell_together(self, now: float) -> None:
        """What several messages show together."""
        for index, made in self._neighbours.due(now, self._context.clock.now_ms()):
            self._context.emit(self._placed(made, index))
        self._losses.note(self._neighbours.left_out)
        self._neighbours.left_out = 0

    def _tell_folded(self, window: Window[Event]) -> None:
        made = {**window.what, TIMESTAMP: window.last_ms, "tengwang.ndp.count": window.again}
        made["event.start"], made["event.end"] = window.first_ms, window.last_ms
        self._context.emit(made)

    def _open_wide(self) -> None:
        """Solicitations go to multicast groups that this host is in no need of: its cards must not filter them out."""
        listened = self._vantage.indexes(self._listened())
        self._rings[0].join(capture.ALL_MULTICAST, listened)

    def _refused(self, error: Permanent) -> None:
        self._context.report.count("tengwang_input_refused_total", input="ndp", reason=error.reason)

    def _listened(self) -> tuple[str, ...]:
        seen = self._vantage
        skipped = seen.repeating | {seen.loopback}
        wanted = self._config.interfaces
        return tuple(sorted(n for i, n in seen.names.items() if (n in wanted if wanted else i not in skipped)))

    def _programs(self) -> list[bytes]:
        """The filters of the two rings, for the interfaces as they are now."""
        seen = self._vantage
        named = self._config.interfaces
        start = bpf.only(seen.indexes(named)) if named else bpf.without(sorted(seen.repeating | {seen.loopback}))
        start += bpf.ethernet_only()
        return [
            bpf.assemble([*start, *bpf.neighbor_discovery(ROUTER_TYPES, SNAP, hidden=True)]),
            bpf.assemble([*start, *bpf.neighbor_discovery(NEIGHBOR_TYPES, SNAP, hidden=False)]),
        ]

    def _read_file(self) -> None:
        """Every message, unfolded. What follows a fault in the file is not read."""
        self._register = self._register.renewed(self._context.work())
        try:
            with open_capture(Path(self._config.file)) as data:
                for record in pcap.records(data):
                    self._read_record(record)
        except Permanent as error:
            self._refused(error)
            self._context.report.warn("ndp.file", f"{self._config.file}: {error}")

    def _read_record(self, record: pcap.Record) -> None:
        try:
            message: ndp.Message | None = ndp.locate(record.frame)
            if message and message.part:
                message = self._reassembly.add(message, record.time_ns / 1e9)
            if message and message.type in ndp.NAMES:
                self._context.emit(self._describe(message, record.time_ns // MILLISECOND, 0))
        except Permanent as error:
            if error.reason != "not_ipv6":
                self._refused(error)
