"""What single sources do on the segment: scans, sweeps, floods, repeated log-in attempts, tunnels. Counted unsampled.

The kernel lets through only beginnings and refusals (TCP SYN without ACK, RST, echo requests, closed UDP ports) and
IPv6 inside IPv4, so a connection costs one packet however long it lasts. They are counted by source, by source and
log-in service, and by destination (``agent/tally.py``); what passes a floor is told as measured, and rules judge it.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from agent import capture
from agent.decoders import addresses, packet, segment_filters
from agent.folding import Answer, Folding, Window
from agent.input import Context
from agent.listener import Listener, Listening
from agent.tally import Entry, Tally
from telemetry.event import TIMESTAMP, Event, event

DATASET = "tengwang.sources"
SNAP = 128
MAX_KEYS, MAX_TUNNELS = 4096, 1024
SYN, REFUSED, ECHO = 0, 1, 2
TARGETS, PORTS, MACS = 0, 1, 2
LOGIN_PORTS = (21, 22, 23, 25, 110, 139, 143, 389, 445, 465, 587, 636, 993, 995, 1433, 1521, 3306, 3389, 5432, 5900,
               5985, 6379, 27017)  # fmt: skip
ECHO_REQUEST = (8 << 8, 128 << 8)
TEREDO = 3544


class Config(Listening, frozen=True, forbid_unknown_fields=True, kw_only=True):
    period: Annotated[float, msgspec.Meta(description="Seconds over which is counted", ge=1, le=600)] = 10.0
    targets: Annotated[
        int, msgspec.Meta(description="Different destinations of one source that are told", ge=2, le=4096)
    ] = 20
    ports: Annotated[
        int, msgspec.Meta(description="Different destination ports of one source that are told", ge=2, le=4096)
    ] = 15
    attempts: Annotated[
        int, msgspec.Meta(description="Connection attempts of one source, or to one destination, that are told", ge=2)
    ] = 300
    logins: Annotated[
        int, msgspec.Meta(description="Connections of one source to one log-in service that are told", ge=2)
    ] = 5
    login_period: Annotated[
        float, msgspec.Meta(description="Seconds over which connections to log-in services are counted", ge=1, le=3600)
    ] = 30.0
    login_ports: Annotated[tuple[int, ...], msgspec.Meta(description="TCP ports where people log in")] = LOGIN_PORTS
    window: Annotated[
        float, msgspec.Meta(description="Seconds in which the packets of a tunnel are one event", ge=1, le=3600)
    ] = 60.0


def build(config: Config, context: Context) -> SourcesInput:
    """Raises Blind without CAP_NET_RAW."""
    capture.require()
    return SourcesInput(config, context)


class SourcesInput:
    """Emits ``tengwang.sources`` events."""

    interval = 0.0

    def __init__(self, config: Config, context: Context) -> None:
        self._config, self._context = config, context
        self._logins = frozenset(config.login_ports)
        self._by_source: Tally[bytes] = Tally(config.period, MAX_KEYS, 3, 3, self._notable)
        self._by_login: Tally[tuple[bytes, bytes, int]] = Tally(
            config.login_period, MAX_KEYS, 2, 1, lambda entry: entry.counts[SYN] >= config.logins
        )
        self._by_target: Tally[bytes] = Tally(
            config.period, MAX_KEYS, 1, 2, lambda entry: entry.counts[SYN] >= config.attempts
        )
        self._tunnels: Folding[Event] = Folding(config.window, 5.0, 100, MAX_TUNNELS)
        self._listener = Listener("sources", config, context, segment_filters.activity(SNAP), self._take, self._tick)

    async def collect(self) -> None:
        """Until cancelled."""
        await self._listener.run()

    def close(self) -> None:
        self._listener.close()
        self._tell(float("inf"), self._context.clock.now_ms())

    def _notable(self, entry: Entry) -> bool:
        config = self._config
        return (
            len(entry.values[TARGETS]) >= config.targets
            or len(entry.values[PORTS]) >= config.ports
            or entry.counts[SYN] >= config.attempts
            or entry.counts[ECHO] >= config.attempts
        )

    def _take(self, taken: capture.Captured, now: float, now_ms: int) -> None:
        header = packet.decode(taken.frame, taken.length, taken.vlan)
        if header is None or self._listener.forwarded(taken, header.source):
            return
        source, target, mac = header.source, header.destination, taken.frame[6:12]
        if header.protocol == packet.TCP:
            port = header.destination_port
            if header.tcp_flags & segment_filters.RST:
                self._refuse(target, source, header.source_port, now, now_ms)
            else:
                self._by_source.add(source, SYN, (target, port, mac), now, now_ms)
                self._by_target.add(target, SYN, (source, port), now, now_ms)
                if port in self._logins:
                    self._by_login.add((source, target, port), SYN, (mac,), now, now_ms)
        elif header.protocol in (packet.ICMP, packet.ICMPV6):
            if header.destination_port in ECHO_REQUEST:
                self._by_source.add(source, ECHO, (target, None, mac), now, now_ms)
            else:
                self._refuse(target, source, 0, now, now_ms)
        elif header.protocol == segment_filters.IPV6_IN_IPV4 or TEREDO in (header.source_port, header.destination_port):
            self._tunnel(header, mac, now, now_ms, taken.interface)

    def _refuse(self, source: bytes, target: bytes, port: int, now: float, now_ms: int) -> None:
        """``target`` refused what ``source`` wanted. What nobody was seen to want is a reset for another reason."""
        if source in self._by_source:
            self._by_source.add(source, REFUSED, (), now, now_ms)
        if (source, target, port) in self._by_login:
            self._by_login.add((source, target, port), REFUSED, (), now, now_ms)

    def _tunnel(self, header: packet.Header, mac: bytes, now: float, now_ms: int, index: int) -> None:
        key = (index, header.protocol, header.source, header.destination)
        answer, _ = self._tunnels.ask(key, "tunnel", now, now_ms)
        if answer is Answer.DROP:
            self._listener.losses.note(1)
        elif answer is Answer.TELL:
            made = self._event("tunnel", header.source, now_ms)
            made["destination.ip"] = addresses.text(header.destination)
            made["source.mac"] = addresses.mac(mac)
            made["network.iana_number"] = str(header.protocol)
            if header.protocol == packet.UDP:
                made["network.transport"] = "udp"
                made["source.port"], made["destination.port"] = header.source_port, header.destination_port
            made["network.packets"] = 1
            self._listener.place(made, index)
            self._tunnels.start(key, made, now, now_ms)
            self._context.emit(dict(made))

    def _tick(self, now: float, now_ms: int) -> None:
        self._tell(now, now_ms)

    def _tell(self, now: float, now_ms: int) -> None:
        for source, entry in self._by_source.due(now):
            self._context.emit(self._activity(source, entry, now_ms))
        for (source, target, port), entry in self._by_login.due(now):
            made = self._event("attempts", source, now_ms, entry)
            made["destination.ip"], made["destination.port"] = addresses.text(target), port
            made["network.transport"] = "tcp"
            made["tengwang.source.activity.syn"] = entry.counts[SYN]
            made["tengwang.source.activity.refused"] = entry.counts[REFUSED]
            _mac(made, entry.chief(0))
            self._context.emit(made)
        for target, entry in self._by_target.due(now):
            self._context.emit(self._convergence(target, entry, now_ms))
        for window in self._tunnels.ended(now):
            self._tell_folded(window)
        for tally in (self._by_source, self._by_login, self._by_target):
            self._listener.cut(tally.left_out)
            tally.left_out = 0

    def _tell_folded(self, window: Window[Event]) -> None:
        made = {**window.what, TIMESTAMP: window.last_ms, "network.packets": window.again}
        made["event.start"], made["event.end"] = window.first_ms, window.last_ms
        self._context.emit(made)

    def _activity(self, source: bytes, entry: Entry, now_ms: int) -> Event:
        made = self._event("activity", source, now_ms, entry)
        if isinstance(target := entry.only(TARGETS), bytes):
            made["destination.ip"] = addresses.text(target)
        if isinstance(port := entry.only(PORTS), int):
            made["destination.port"] = port
        if not entry.counts[ECHO]:
            made["network.transport"] = "tcp"
        elif not entry.counts[SYN]:
            made["network.transport"] = "icmp" if len(source) == 4 else "ipv6-icmp"
        made["tengwang.source.activity.targets"] = len(entry.values[TARGETS])
        made["tengwang.source.activity.ports"] = len(entry.values[PORTS])
        made["tengwang.source.activity.syn"] = entry.counts[SYN]
        made["tengwang.source.activity.refused"] = entry.counts[REFUSED]
        made["tengwang.source.activity.echo"] = entry.counts[ECHO]
        _mac(made, entry.chief(MACS))
        return made

    def _convergence(self, target: bytes, entry: Entry, now_ms: int) -> Event:
        made = event(now_ms, DATASET, "convergence")
        made["network.type"], made["network.transport"] = "ipv4" if len(target) == 4 else "ipv6", "tcp"
        made["destination.ip"] = addresses.text(target)
        if isinstance(source := entry.chief(0), bytes):
            made["source.ip"] = addresses.text(source)
        if isinstance(port := entry.only(1), int):
            made["destination.port"] = port
        made["tengwang.source.activity.syn"] = entry.counts[SYN]
        made["tengwang.source.activity.sources"] = len(entry.values[0])
        made["tengwang.source.activity.ports"] = len(entry.values[1])
        made["event.start"], made["event.end"] = entry.first_ms, entry.last_ms
        return made

    def _event(self, action: str, source: bytes, now_ms: int, entry: Entry | None = None) -> Event:
        made = event(now_ms, DATASET, action)
        made["network.type"] = "ipv4" if len(source) == 4 else "ipv6"
        made["source.ip"] = addresses.text(source)
        if entry is not None:
            made["event.start"], made["event.end"] = entry.first_ms, entry.last_ms
        return made


def _mac(made: Event, mac: object) -> None:
    if isinstance(mac, bytes):
        made["source.mac"] = addresses.mac(mac)
