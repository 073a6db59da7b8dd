"""ARP on this host's segments, unsampled: addresses that move, are fought for or claimed by the wrong host; floods.

Only what changes is told. What is claimed by whom is in ``agent/claims.py``; a claim that repeats is folded
(``agent/folding.py``), each kind with an allowance of its own. Announcements and requests are counted for each source
(``agent/tally.py``) and told when there are more than the floors. IPv6's counterpart is in the ndp input.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from agent import capture
from agent.claims import Claim, Claims, Kind
from agent.decoders import addresses, arp, segment_filters
from agent.folding import Answer, Folding, Window
from agent.input import Context
from agent.listener import Listener, Listening
from agent.tally import Entry, Tally
from telemetry.event import TIMESTAMP, Event, event

DATASET = "tengwang.arp"
SNAP = 64
MAX_WINDOWS, MAX_SOURCES = 4096, 1024
ANNOUNCED, ASKED = "gratuitous_flood", "scan"


class Config(Listening, frozen=True, forbid_unknown_fields=True, kw_only=True):
    window: Annotated[
        float, msgspec.Meta(description="Seconds in which equal claims are folded into one event", ge=1, le=3600)
    ] = 60.0
    rate: Annotated[
        float, msgspec.Meta(description="New claims a second told, for each kind; more are lost, and counted", ge=0.1)
    ] = 5.0
    burst: Annotated[int, msgspec.Meta(description="New claims told at once, for each kind", ge=1, le=10_000)] = 100
    period: Annotated[
        float, msgspec.Meta(description="Seconds over which announcements and requests are counted", ge=1, le=600)
    ] = 10.0
    flood: Annotated[
        int, msgspec.Meta(description="Announcements of one source in a period that are told", ge=2, le=1_000_000)
    ] = 30
    scan: Annotated[
        int, msgspec.Meta(description="Addresses that one source asks for in a period that are told", ge=2, le=4096)
    ] = 30


def build(config: Config, context: Context) -> ArpInput:
    """Raises Blind without CAP_NET_RAW."""
    capture.require()
    return ArpInput(config, context)


class ArpInput:
    """Emits ``tengwang.arp`` events."""

    interval = 0.0

    def __init__(self, config: Config, context: Context) -> None:
        self._context = context
        self._claims = Claims()
        self._folding: Folding[Event] = Folding(config.window, config.rate, config.burst, MAX_WINDOWS)
        self._announced: Tally[tuple[int, bytes]] = Tally(
            config.period, MAX_SOURCES, 1, 1, lambda entry: entry.counts[0] >= config.flood
        )
        self._asked: Tally[tuple[int, bytes]] = Tally(
            config.period, MAX_SOURCES, 1, 1, lambda entry: len(entry.values[0]) >= config.scan
        )
        self._listener = Listener("arp", config, context, segment_filters.arp(SNAP), self._take, self._tick)

    async def collect(self) -> None:
        """Until cancelled."""
        self._claims.know(self._context.work())
        await self._listener.run()

    def close(self) -> None:
        self._listener.close()
        for window in self._folding.flush():
            self._tell_folded(window)
        self._tell_tallies(float("inf"), self._context.clock.now_ms())

    def _take(self, taken: capture.Captured, now: float, now_ms: int) -> None:
        packet = arp.decode(taken.frame, taken.vlan)
        if self._listener.forwarded(taken, packet.sender):
            return
        place = (self._listener.vantage.segment(taken.interface), packet.vlan)
        operation = packet.operation
        if operation == "probe":
            claim = self._claims.ask(place, packet.target, packet.sender_mac, now)
            address = packet.target
        else:
            claim = self._claims.claim(place, packet.sender, packet.sender_mac, now)
            address = packet.sender
            if taken.packet_type != capture.OUTGOING and self._listener.vantage.is_own(address):
                claim = claim or Claim(Kind.CONFLICT, b"")  # an address of this host
        if claim is not None:
            self._judge(claim, packet, address, operation, now, now_ms, taken.interface)
        source = (taken.interface, packet.source_mac)
        if operation == "announcement":
            self._announced.add(source, 0, (address,), now, now_ms)
        elif packet.code == arp.REQUEST:
            self._asked.add(source, 0, (packet.target,), now, now_ms)
        elif packet.destination_mac[0] & 1:  # a reply to everybody answers nobody
            self._announced.add(source, 0, (address,), now, now_ms)

    def _judge(
        self, claim: Claim, packet: arp.Packet, address: bytes, operation: str, now: float, now_ms: int, index: int
    ) -> None:
        key = (index, packet.vlan, claim.kind, address, packet.sender_mac)
        answer, _ = self._folding.ask(key, claim.kind, now, now_ms)
        if answer is Answer.DROP:
            self._listener.losses.note(1)
        elif answer is Answer.TELL:
            made = self._event(claim.kind.value, packet.source_mac, now_ms, index)
            made["source.ip"] = addresses.text(address)
            made["tengwang.arp.operation"] = operation
            if claim.former:
                made["tengwang.arp.former_mac"] = addresses.mac(claim.former)
            made["tengwang.arp.count"] = 1
            if packet.vlan:
                made["network.vlan.id"] = str(packet.vlan)
            self._folding.start(key, made, now, now_ms)
            self._context.emit(dict(made))

    def _tick(self, now: float, now_ms: int) -> None:
        self._claims.know(self._context.work())
        for window in self._folding.ended(now):
            self._tell_folded(window)
        self._tell_tallies(now, now_ms)

    def _tell_folded(self, window: Window[Event]) -> None:
        made = {**window.what, TIMESTAMP: window.last_ms, "tengwang.arp.count": window.again}
        made["event.start"], made["event.end"] = window.first_ms, window.last_ms
        self._context.emit(made)

    def _tell_tallies(self, now: float, now_ms: int) -> None:
        for action, tally in ((ANNOUNCED, self._announced), (ASKED, self._asked)):
            for (index, mac), entry in tally.due(now):
                self._context.emit(self._summary(action, mac, entry, now_ms, index))
            self._listener.cut(tally.left_out)
            tally.left_out = 0

    def _summary(self, action: str, mac: bytes, entry: Entry, now_ms: int, index: int) -> Event:
        made = self._event(action, mac, now_ms, index)
        made["tengwang.arp.count"], made["tengwang.arp.addresses"] = entry.counts[0], len(entry.values[0])
        made["event.start"], made["event.end"] = entry.first_ms, entry.last_ms
        return made

    def _event(self, action: str, mac: bytes, now_ms: int, index: int) -> Event:
        made = event(now_ms, DATASET, action)
        made["network.type"], made["source.mac"] = "ipv4", addresses.mac(mac)
        self._listener.place(made, index)
        return made
