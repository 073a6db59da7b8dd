"""From where this host sees packets: its interfaces by index, which of them repeat others, which addresses are its own.

Packet sockets show a packet once at every interface it passes. It is counted once by these rules:
- what comes in is counted where it comes in first: an interface that stands on another one of this host (a bridge, bond
  or VRF on its members, a VLAN or macvlan on its lower interface) repeats it and is not looked at;
- what goes out is counted when this host itself sent it: its source address is an own one, or none yet (``::`` and
  ``0.0.0.0``). Otherwise it is forwarded, and was counted when it came in;
- on loopback each packet passes out and in; the way in is counted.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from agent import netlink
from agent.decoders import rtnetlink
from telemetry.clock import Clock
from telemetry.errors import Permanent, Transient
from telemetry.event import Event
from telemetry.report import Report

REFRESH_S = 15.0
"""How often interfaces and addresses are looked at again."""
UNKNOWN_S = 1.0
"""How often at most when a packet goes out from an address that is not known as an own one."""
JOINING = frozenset({"bridge", "bond", "team"})
"""Kinds of interface whose members are one segment."""
STACKED = frozenset({"vlan", "macvlan", "macvtap", "ipvlan", "ipvtap"})
LOOPBACK = 772
MAX_PREFIXES = 8
UNSPECIFIED = frozenset({bytes(4), bytes(16)})


def repeating(links: Iterable[rtnetlink.Link]) -> frozenset[int]:
    """Interfaces that show again what another interface of this host has shown."""
    links = list(links)
    masters = {link.master for link in links if link.master}
    return frozenset(link.index for link in links if link.index in masters or (link.kind in STACKED and link.lower))


def segments(links: Iterable[rtnetlink.Link]) -> dict[int, int]:
    """The interface that stands for the segment of each one that is a member of it."""
    links = list(links)
    joining = {link.index for link in links if link.kind in JOINING}
    return {link.index: link.master for link in links if link.master in joining}


def prefixes(addresses: Iterable[rtnetlink.Address]) -> dict[int, list[str]]:
    """The networks of each interface's global addresses, by interface; at most ``MAX_PREFIXES`` each."""
    found: dict[int, set[str]] = {}
    for address in addresses:
        network = ipaddress.ip_network(f"{address.ip}/{address.prefix_length}", strict=False)
        if not (network.is_link_local or network.is_loopback):
            found.setdefault(address.index, set()).add(str(network))
    return {index: sorted(networks)[:MAX_PREFIXES] for index, networks in found.items()}


class Vantage:
    """A snapshot of netlink that is renewed when it is old or when a packet does not fit it."""

    def __init__(self, clock: Clock, report: Report) -> None:
        self._clock = clock
        self._report = report
        self._read_at = float("-inf")
        self._own: frozenset[bytes] = frozenset()
        self._segments: dict[int, int] = {}
        self._prefixes: dict[int, list[str]] = {}
        self.names: dict[int, str] = {}
        self.repeating: frozenset[int] = frozenset()
        self.loopback = 0

    def refresh(self, older_than: float = REFRESH_S) -> bool:
        """Look again if the last look is older than this; true where interfaces have changed."""
        now = self._clock.monotonic()
        if now - self._read_at < older_than:
            return False
        self._read_at = now
        before = (self.names, self.repeating)
        try:
            links = [rtnetlink.link(message.body) for message in netlink.dump(rtnetlink.GET_LINK)]
            addresses = [rtnetlink.address(message.body) for message in netlink.dump(rtnetlink.GET_ADDRESS)]
        except (Permanent, Transient) as error:
            self._report.warn("vantage", f"interfaces and addresses can not be read: {error}")
            return False
        self._own = frozenset(ipaddress.ip_address(address.ip).packed for address in addresses)
        self.names = {link.index: link.name for link in links}
        self.repeating = repeating(links)
        self._segments = segments(links)
        self._prefixes = prefixes(addresses)
        self.loopback = next((link.index for link in links if link.hardware == LOOPBACK), 0)
        return before != (self.names, self.repeating)

    def sent_here(self, source: bytes) -> bool:
        """Did this host itself send a packet that goes out with this source address?"""
        if source in self._own or source in UNSPECIFIED:
            return True
        self.refresh(UNKNOWN_S)
        return source in self._own

    def segment(self, index: int) -> int:
        """The interface that stands for the segment which this one is on: a bridge for its ports, else itself."""
        return self._segments.get(index, index)

    def place(self, made: Event, index: int) -> Event:
        """Adds on which interface, and of which segment, something was seen. The same event."""
        if name := self.names.get(index):
            made["tengwang.interface.name"], made["tengwang.interface.index"] = name, index
            if found := self._prefixes.get(self.segment(index)):
                made["tengwang.segment.prefixes"] = found
        return made

    def is_own(self, address: bytes) -> bool:
        return address in self._own

    def indexes(self, names: Iterable[str]) -> list[int]:
        """The interfaces of these names that exist."""
        wanted = set(names)
        return sorted(index for index, name in self.names.items() if name in wanted)
