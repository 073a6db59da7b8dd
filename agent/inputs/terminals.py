"""Who is on this host's segments: every MAC that broadcasts, asks by ARP or neighbour discovery, or wants an address.

Each is told when it appears, when it has another address or name, when it has not been heard for long, and from time to
time while it is there; with whether the inventory knows it, where that registers terminals for this segment. The table
is ``agent/presence.py``. This host itself is not told: it has an agent.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from agent import capture, presence
from agent.decoders import addresses, arp, datagram, dhcp, dhcpv6, ndp, segment_filters
from agent.decoders.packet import IPV4, IPV6, UDP
from agent.input import Context
from agent.listener import Listener, Listening
from agent.presence import Change, Key, Presence, Terminal
from agent.registered import Registered
from telemetry.errors import Permanent
from telemetry.event import Event, event
from telemetry.work import Work

DATASET = "tengwang.terminals"
SNAP = 700
"""Room for a DHCP request with its options."""
UNSPECIFIED = frozenset({bytes(4), bytes(16)})


class Config(Listening, frozen=True, forbid_unknown_fields=True, kw_only=True):
    most: Annotated[
        int, msgspec.Meta(description="Terminals known at a time; the longest unseen is forgotten", ge=16, le=100_000)
    ] = 4096
    again: Annotated[
        float, msgspec.Meta(description="Seconds after which a terminal that is there is told again", ge=60, le=86_400)
    ] = 3600.0
    absent: Annotated[
        float, msgspec.Meta(description="Seconds of silence after which a terminal has left", ge=10, le=86_400)
    ] = 900.0
    rate: Annotated[float, msgspec.Meta(description="Changes a second told; others wait", ge=0.1)] = 5.0
    burst: Annotated[int, msgspec.Meta(description="Changes told at once", ge=1, le=10_000)] = 200


def build(config: Config, context: Context) -> TerminalsInput:
    """Raises Blind without CAP_NET_RAW."""
    capture.require()
    return TerminalsInput(config, context)


class TerminalsInput:
    """Emits ``tengwang.terminals`` events."""

    interval = 0.0

    def __init__(self, config: Config, context: Context) -> None:
        self._config, self._context = config, context
        self._presence = Presence(config.most, config.again, config.absent)
        self._registered = Registered(Work())
        self._judged: Work | None = None
        self._tokens, self._tokens_at = float(config.burst), context.clock.monotonic()
        self._listener = Listener(
            "terminals", config, context, segment_filters.presence(SNAP), self._take, self._tick, wide=True
        )

    async def collect(self) -> None:
        """Until cancelled."""
        self._registered = self._registered.renewed(self._context.work())
        await self._listener.run()

    def close(self) -> None:
        self._listener.close()
        self._tell(self._context.clock.monotonic(), self._context.clock.now_ms())

    def _take(self, taken: capture.Captured, now: float, now_ms: int) -> None:
        frame = taken.frame
        mac = frame[6:12]
        if taken.packet_type == capture.OUTGOING or len(mac) < 6 or mac[0] & 1:
            return  # this host's own, or taken where it came in; a group can not send
        address, name = b"", ""
        try:
            address, name = _signs(frame, taken.vlan, mac)
        finally:
            text = addresses.text(address) if address and address not in UNSPECIFIED else ""
            self._presence.see((self._listener.vantage.segment(taken.interface), mac), text, name, now, now_ms)

    def _tick(self, now: float, now_ms: int) -> None:
        self._registered = self._registered.renewed(self._context.work())
        self._tell(now, now_ms)

    def _tell(self, now: float, now_ms: int) -> None:
        tokens = self._tokens + (now - self._tokens_at) * self._config.rate
        self._tokens, self._tokens_at = min(self._config.burst, tokens), now
        for key, held, change in self._presence.due(now):
            if self._tokens >= 1:
                self._tokens -= 1
                self._context.emit(self._describe(key, held, change, now_ms))
                presence.told(held, now)
            elif change is Change.LEFT:
                self._listener.losses.note(1)
            else:
                break  # told at a later tick
        self._listener.cut(self._presence.left_out)
        self._presence.left_out = 0

    def _describe(self, key: Key, held: Terminal, change: Change, now_ms: int) -> Event:
        index, packed = key
        mac = addresses.mac(packed)
        made = event(now_ms, DATASET, change.value, kind="state" if change is Change.PRESENT else "event")
        made["tengwang.terminal.mac"] = made["source.mac"] = mac
        if held.addresses:
            made["tengwang.terminal.ip"] = list(held.addresses)
            made["source.ip"] = _telling(held.addresses)
        if held.name:
            made["tengwang.terminal.name"] = held.name
        if packed[0] & 2:
            made["tengwang.terminal.vendor"] = "random"
        registered = self._registered.terminal(mac, held.addresses)
        if registered is not None:
            made["tengwang.terminal.registered"] = registered
        made["event.start"], made["event.end"] = held.first_ms, held.last_ms
        self._listener.place(made, index)
        return made


def _telling(known: dict[str, None]) -> str:
    """Of its addresses the newest that is not link-local: the inventory says whose that is."""
    return next((a for a in reversed(known) if not a.startswith(("fe80:", "169.254."))), next(reversed(known)))


def _signs(frame: bytes, vlan: int, mac: bytes) -> tuple[bytes, str]:
    """An address and a name of the sender, where the frame shows one. Raises Permanent where it is malformed."""
    kind, at = frame[12] << 8 | frame[13], 14
    if kind in (0x8100, 0x88A8) and len(frame) >= 18:
        kind, at = frame[16] << 8 | frame[17], 18
    if kind == arp.ETHERTYPE:
        packet = arp.decode(frame, vlan)
        return (packet.sender if packet.sender_mac == mac else b""), ""
    if kind == IPV6:
        if len(frame) > at + 6 and frame[at + 6] == UDP:
            return b"", _name(frame, vlan)
        return _neighbor(ndp.locate(frame, vlan), mac), ""
    if kind == IPV4 and len(frame) > at + 9 and frame[at + 9] == UDP:
        return b"", _name(frame, vlan)
    return b"", ""


def _name(frame: bytes, vlan: int) -> str:
    packet = datagram.locate(frame, vlan)
    if packet.version == 4 and packet.destination_port == 67:
        message: dhcp.Message | dhcpv6.Message = dhcp.decode(packet.payload)
    elif packet.version == 6 and packet.destination_port == 547:
        message = dhcpv6.decode(packet.payload)
    else:
        return ""
    return "" if message.relayed or message.from_server else message.name


def _neighbor(message: ndp.Message, mac: bytes) -> bytes:
    """The address of the sender: what it asks for before it uses it, what it announces, or what it sends from."""
    if message.hop_limit != 255 or message.type not in ndp.NAMES:
        return b""
    if message.type == ndp.ADVERTISE_NEIGHBOR and len(message.body) >= 24:
        try:
            for number, option in ndp.options(message.body[24:]):
                if number == 2 and option[2:8] != mac:
                    return b""  # for another: a proxy
        except Permanent:
            return b""
        return message.body[8:24]
    if message.type == ndp.SOLICIT_NEIGHBOR and not any(message.source) and len(message.body) >= 24:
        return message.body[8:24]
    return message.source
