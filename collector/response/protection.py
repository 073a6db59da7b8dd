"""What is never acted on: registered routers and other devices, important systems, collectors, agents, and a list.

An intruder that takes the address or MAC of one of these must not make us cut it off. Where something is named, the
action is not proposed at all, and the incident says what it would have hit.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from collector.inventory_index import Indexed
from collector.inventory_values import canonical_mac
from collector.registry import AgentRecord
from telemetry.event import canonical_ip

IMPORTANT_LEVEL = 3
"""等保 level from which a system is never cut off."""


class Protected:
    """Ask ``why(mac, address)``; empty where it may be acted on."""

    def __init__(
        self, index: Indexed, agents: Iterable[AgentRecord], collectors: Iterable[str], listed: Iterable[str] = ()
    ) -> None:
        """``collectors``: addresses. ``listed``: addresses, prefixes, MACs, or ids of devices and systems."""
        self._named: dict[str, str] = {}
        self._networks: list[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, str]] = []
        self._index = index
        ids = set(listed)
        for device in index.inventory.devices:
            for address in (device.address, *device.addresses):
                self._add_address(address, f"device {device.id}")
            for mac in device.macs:
                self._named[canonical_mac(mac)] = f"device {device.id}"
        for system in index.inventory.systems:
            if (system.level or 0) >= IMPORTANT_LEVEL or system.cii or system.id in ids:
                for address in system.addresses:
                    self._add_address(address, f"system {system.id}")
        for agent in agents:
            self._add_address(agent.address, f"agent {agent.name}")
            for mac in agent.host.macs:
                self._named[mac.lower()] = f"agent {agent.name}"
        for address in collectors:
            self._add_address(address, "a collector")
        for resolver in index.inventory.resolvers:
            self._add_address(resolver, "a name server")
        for word in ids:
            self._add_listed(word)

    def why(self, mac: str = "", address: str = "") -> str:
        """What would be hit, in words."""
        if mac and (found := self._named.get(mac.lower())):
            return found
        if not address:
            return ""
        try:
            canonical = canonical_ip(address)
        except ValueError:
            return "no address"
        if found := self._named.get(canonical):
            return found
        parsed = ipaddress.ip_address(canonical)
        if parsed.is_multicast or parsed.is_unspecified or parsed.is_loopback:
            return "no single host"
        return next((why for network, why in self._networks if parsed in network), "")

    def level_of(self, address: str) -> int:
        """The MLPS level of the system at an address; 0 where there is none."""
        try:
            canonical = canonical_ip(address)
        except ValueError:
            return 0
        levels = [s.level or 1 for s in self._index.inventory.systems if canonical in map(canonical_ip, s.addresses)]
        return max(levels, default=0)

    def _add_address(self, address: str, why: str) -> None:
        try:
            self._named[canonical_ip(address)] = why
        except ValueError:
            return  # an agent that was not heard yet has none; a collector may be told by name

    def _add_listed(self, word: str) -> None:
        try:
            network = ipaddress.ip_network(word, strict=False)
        except ValueError:
            self._named[word.lower()] = f"listed: {word}"
        else:
            self._networks.append((network, f"listed: {word}"))
