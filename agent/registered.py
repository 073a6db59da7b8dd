"""Which terminals and DHCP servers the inventory has for this segment, and whether one seen is one of them. Pure.

What has MAC addresses in the inventory is known by these alone: an address can be taken by anybody.
"""

from __future__ import annotations

from collections.abc import Collection

from telemetry.work import DhcpServer, Terminal, Work


class Registered:
    """What one state of the agent's work has registered. Answers None while it has nothing to go by."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._terminals = bool(work.terminals)
        self._dhcp = bool(work.dhcp)
        self._macs = frozenset(mac for one in work.terminals for mac in one.macs)
        self._addresses = frozenset(ip for one in work.terminals if not one.macs for ip in one.addresses)

    def renewed(self, work: Work) -> Registered:
        """This one, or a new one where the work has changed."""
        return self if work is self._work or work == self._work else Registered(work)

    def terminal(self, mac: str, addresses: Collection[str]) -> bool | None:
        if not self._terminals:
            return None
        return mac in self._macs or not self._addresses.isdisjoint(addresses)

    def dhcp_server(self, mac: str, address: str, server: str) -> bool | None:
        """``address`` is the packet's source, ``server`` what the message says (it differs behind a relay)."""
        if not self._dhcp:
            return None
        return any(_serves(one, mac, address, server) for one in self._work.dhcp)

    def dhcp_named(self, address: str, mac: str) -> bool | None:
        """As ``dhcp_server``, for one that only a client's message names, by its address or by the MAC in its DUID."""
        if not self._dhcp or not (address or mac):
            return None
        return any(address in one.addresses if address else mac in one.macs for one in self._work.dhcp)


def _serves(one: DhcpServer | Terminal, mac: str, address: str, server: str) -> bool:
    return mac in one.macs if one.macs else address in one.addresses or server in one.addresses
