"""Whose flow export is taken: the devices of the agent's work, and what the configuration adds. Others are counted.

An unregistered exporter is told once a window with the number of its datagrams; nothing of what it sends is read, so it
can cost no more than one look into a table. Its sources are bounded (MOST): a flood of invented addresses is one count.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

import msgspec

from agent.decoders import addresses
from agent.input import Context
from telemetry.errors import ConfigError
from telemetry.event import Event, event
from telemetry.work import Work

DATASET = "tengwang.exporter"
MOST = 64
"""Unregistered exporters told in one window."""
MOST_KNOWN = 8192
"""Addresses whose answer is remembered."""
WINDOW_S = 60.0
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Exporter(msgspec.Struct, frozen=True):
    """``device`` is empty where only the configuration knows it; ``rate`` 0: it says its sampling itself."""

    address: str
    device: str = ""
    rate: int = 0


def parse(text: str) -> tuple[Network, int]:
    """``2001:db8::1``, ``192.0.2.0/24`` or ``2001:db8::1 1:1000``. Raises ValueError."""
    network, _, rate = text.strip().partition(" ")
    one, _, many = rate.strip().partition(":")
    if rate and (one != "1" or not many.isdigit() or not 1 <= int(many) <= 1_000_000):
        raise ValueError(f"{rate!r} is no sampling rate, which is written 1:N")
    return ipaddress.ip_network(network), int(many) if rate else 0


class Exporters:
    """``find`` for every datagram, ``tell`` each tick."""

    def __init__(self, name: str, configured: Sequence[str], rate: int, context: Context) -> None:
        """Raises ConfigError where an entry of ``configured`` is no address."""
        self._name, self._context, self._rate = name, context, rate
        try:
            self._configured = [parse(text) for text in configured]
        except ValueError as error:
            hint = "an address, a prefix, or an address and its rate: '2001:db8::1 1:1000'"
            raise ConfigError.one(f"option exporters of input {name}", str(error), hint) from error
        self._work: Work | None = None
        self._devices: dict[str, str] = {}
        self._known: dict[bytes, Exporter | None] = {}
        self._strangers: dict[bytes, list[int]] = {}
        self._others = 0
        self._until = context.clock.monotonic() + WINDOW_S

    def find(self, packed: bytes) -> Exporter | None:
        """None for one that is not registered; it has been counted then."""
        work = self._context.work()
        if work is not self._work:
            self._know(work)
        try:
            found = self._known[packed]
        except KeyError:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            found = self._known[packed] = self._look(packed)
        if found is None:
            self._stranger(packed)
        return found

    def _know(self, work: Work) -> None:
        self._work = work
        self._known.clear()
        self._devices = {target.address: target.device for target in work.snmp}
        registered = [(one.device, one.addresses) for one in work.routers]
        registered += [(one.device, one.addresses) for one in work.exporters]
        for device, texts in registered:
            self._devices.update(dict.fromkeys(texts, device))

    def _look(self, packed: bytes) -> Exporter | None:
        text = addresses.text(packed)
        address = ipaddress.ip_address(text)
        rates = [rate or self._rate for network, rate in self._configured if address in network]
        device = self._devices.get(text, "")
        if device or rates:
            return Exporter(text, device, rates[0] if rates else self._rate)
        return None

    def _stranger(self, packed: bytes) -> None:
        self._context.report.count("tengwang_exports_unregistered_total", input=self._name)
        held = self._strangers.get(packed)
        now_ms = self._context.clock.now_ms()
        if held is not None:
            held[0] += 1
            held[2] = now_ms
        elif len(self._strangers) < MOST:
            self._strangers[packed] = [1, now_ms, now_ms]
        else:
            self._others += 1

    def tell(self, at_once: bool = False) -> Iterator[Event]:
        """The unregistered ones of the window that has ended; what had no room is one more event without an address."""
        now = self._context.clock.monotonic()
        if now < self._until and not at_once:
            return
        self._until = now + WINDOW_S
        now_ms = self._context.clock.now_ms()
        for packed, (count, first, last) in self._strangers.items():
            made = self._event(now_ms, count)
            made["source.ip"] = addresses.text(packed)
            made["network.type"] = "ipv4" if len(packed) == 4 else "ipv6"
            made["event.start"], made["event.end"] = first, last
            yield made
        if self._others:
            made = self._event(now_ms, self._others)
            made["event.reason"] = "too_many_sources"
            yield made
        self._strangers.clear()
        self._others = 0

    def _event(self, now_ms: int, count: int) -> Event:
        made = event(now_ms, DATASET, "unregistered_exporter")
        made["tengwang.input.type"], made["tengwang.exporter.datagrams"] = self._name, count
        return made
