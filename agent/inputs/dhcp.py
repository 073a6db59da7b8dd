"""DHCP and DHCPv6 on this host's segments, unsampled: which servers answer, with what; and floods of requests.

What a server says is told once for each server, message type, resolvers and gateways, with the address that it gave
first; then once a window with how often (``agent/folding.py``). A switch hands most answers only to the client that
asked, but requests go to everybody and name the server that was chosen: each server named so is told as well. Whether
the inventory knows the server is told where it registers DHCP servers for this segment.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from agent import capture
from agent.decoders import addresses, datagram, dhcp, dhcpv6, segment_filters
from agent.decoders.datagram import Datagram
from agent.folding import Answer, Folding, Window
from agent.input import Context
from agent.listener import Listener, Listening
from agent.registered import Registered
from agent.tally import Tally
from telemetry.event import TIMESTAMP, Event, event
from telemetry.work import Work

DATASET = "tengwang.dhcp"
SNAP = 1600
MAX_WINDOWS, MAX_SEGMENTS = 1024, 256
ASKING = frozenset({"discover", "request", "solicit"})
Message = dhcp.Message | dhcpv6.Message


class Config(Listening, frozen=True, forbid_unknown_fields=True, kw_only=True):
    window: Annotated[
        float, msgspec.Meta(description="Seconds in which equal answers are folded into one event", ge=1, le=3600)
    ] = 60.0
    rate: Annotated[
        float, msgspec.Meta(description="New answers a second told; more are lost, and counted", ge=0.1)
    ] = 5.0
    burst: Annotated[int, msgspec.Meta(description="New answers told at once", ge=1, le=10_000)] = 50
    period: Annotated[float, msgspec.Meta(description="Seconds over which requests are counted", ge=1, le=600)] = 10.0
    flood: Annotated[
        int, msgspec.Meta(description="Different clients that ask in a period that are told", ge=2, le=4096)
    ] = 50


def build(config: Config, context: Context) -> DhcpInput:
    """Raises Blind without CAP_NET_RAW."""
    capture.require()
    return DhcpInput(config, context)


class DhcpInput:
    """Emits ``tengwang.dhcp`` events."""

    interval = 0.0

    def __init__(self, config: Config, context: Context) -> None:
        self._context = context
        self._registered = Registered(Work())
        self._folding: Folding[Event] = Folding(config.window, config.rate, config.burst, MAX_WINDOWS)
        self._asked: Tally[tuple[int, int]] = Tally(
            config.period, MAX_SEGMENTS, 1, 2, lambda entry: len(entry.values[0]) >= config.flood
        )
        self._listener = Listener("dhcp", config, context, segment_filters.dhcp(SNAP), self._take, self._tick)

    async def collect(self) -> None:
        """Until cancelled."""
        self._registered = self._registered.renewed(self._context.work())
        await self._listener.run()

    def close(self) -> None:
        self._listener.close()
        for window in self._folding.flush():
            self._tell_folded(window)
        self._tell_requests(float("inf"), self._context.clock.now_ms())

    def _take(self, taken: capture.Captured, now: float, now_ms: int) -> None:
        packet = datagram.locate(taken.frame, taken.vlan)
        if self._listener.forwarded(taken, packet.source):
            return
        message = dhcp.decode(packet.payload) if packet.version == 4 else dhcpv6.decode(packet.payload)
        if message.from_server:
            gateways = message.routers if isinstance(message, dhcp.Message) else ()
            said = (packet.source_mac, packet.source, message.resolvers, gateways)
            self._judge(packet, message, said, now, now_ms, taken.interface)
            return
        if message.server:
            self._judge(packet, message, (), now, now_ms, taken.interface)
        if message.type in ASKING:
            self._asked.add(
                (taken.interface, packet.version), 0, (message.client, packet.source_mac), now, now_ms
            )  # fmt: skip

    def _judge(
        self, packet: Datagram, message: Message, said: tuple[object, ...], now: float, now_ms: int, index: int
    ) -> None:
        """Tell or fold a message of a server, or one that names a server."""
        key = (index, packet.vlan, packet.version, message.type, message.server, said)
        answer, _ = self._folding.ask(key, "answer" if said else "request", now, now_ms)
        if answer is Answer.DROP:
            self._listener.losses.note(1)
        elif answer is Answer.TELL:
            made = self._describe(packet, message, now_ms, index)
            self._folding.start(key, made, now, now_ms)
            self._context.emit(dict(made))

    def _describe(self, packet: Datagram, message: Message, now_ms: int, index: int) -> Event:
        made = event(now_ms, DATASET, message.type)
        source, mac = addresses.text(packet.source), addresses.mac(packet.source_mac)
        made["network.type"], made["network.transport"] = f"ipv{packet.version}", "udp"
        made["source.ip"], made["destination.ip"] = source, addresses.text(packet.destination)
        made["source.mac"], made["destination.mac"] = mac, addresses.mac(packet.destination_mac)
        made["tengwang.dhcp.type"], made["tengwang.dhcp.count"] = message.type, 1
        made["tengwang.dhcp.client"] = message.client
        if isinstance(message, dhcp.Message):
            server, named, given = message.server, "", [message.address] * bool(message.address)
            if message.routers:
                made["tengwang.dhcp.gateway"] = list(message.routers)
        else:
            server, named, given = "", dhcpv6.duid_mac(message.server), list(message.addresses)
        if message.from_server:
            server = server or source
            registered = self._registered.dhcp_server(mac, source, server)
        else:
            registered = self._registered.dhcp_named(server, named)
        if registered is not None:
            made["tengwang.dhcp.registered"] = registered
        if server:
            made["tengwang.dhcp.server"] = server
        if message.server:
            made["tengwang.dhcp.server_id"] = message.server
        if given:
            made["tengwang.dhcp.address"] = given
        if message.resolvers:
            made["tengwang.dhcp.dns"] = list(message.resolvers)
        if packet.vlan:
            made["network.vlan.id"] = str(packet.vlan)
        self._listener.place(made, index)
        return made

    def _tick(self, now: float, now_ms: int) -> None:
        self._registered = self._registered.renewed(self._context.work())
        for window in self._folding.ended(now):
            self._tell_folded(window)
        self._tell_requests(now, now_ms)

    def _tell_folded(self, window: Window[Event]) -> None:
        made = {**window.what, TIMESTAMP: window.last_ms, "tengwang.dhcp.count": window.again}
        made["event.start"], made["event.end"] = window.first_ms, window.last_ms
        self._context.emit(made)

    def _tell_requests(self, now: float, now_ms: int) -> None:
        for (index, version), entry in self._asked.due(now):
            made = event(now_ms, DATASET, "request_flood")
            made["network.type"] = f"ipv{version}"
            made["tengwang.dhcp.count"], made["tengwang.dhcp.clients"] = entry.counts[0], len(entry.values[0])
            made["event.start"], made["event.end"] = entry.first_ms, entry.last_ms
            if isinstance(mac := entry.chief(1), bytes):
                made["source.mac"] = addresses.mac(mac)
            self._listener.place(made, index)
            self._context.emit(made)
        self._listener.cut(self._asked.left_out)
        self._asked.left_out = 0
