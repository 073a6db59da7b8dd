"""Who has which address on a segment, by ARP and neighbour discovery: both say "this address is at this MAC". Pure.

A claim is told when it takes an address away from another MAC, when two MACs take one from each other by turns, when it
answers a host that asks whether an address is free (RFC 4862 5.4, RFC 5227 2.1), and when the inventory has another MAC
for that address. A registered router may answer for others (proxy ARP and ND, RFC 1027, RFC 4389). Bounded: the address
longest unclaimed is forgotten first.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Hashable
from typing import NamedTuple

from telemetry.work import DhcpServer, Router, Terminal, Work

CONFLICT_S = 60.0
"""An address that comes back to a MAC within this time is fought for."""
QUIET_S = 3600.0
"""An address whose holder was not heard for this long is free to be given to another."""
PROBE_S = 3.0
"""How long after it asked a host is waiting for an answer: RetransTimer and PROBE_MAX with some room."""
MOST = 8192


class Kind(enum.StrEnum):
    MOVED = "address_moved"
    CONFLICT = "address_conflict"
    DUPLICATE = "duplicate_address"
    REGISTERED = "registered_address_claimed"


class Claim(NamedTuple):
    """``former`` had the address before, asked for it, or is registered for it."""

    kind: Kind
    former: bytes


class _Holder:
    __slots__ = ("former", "lost", "mac", "seen")

    def __init__(self, mac: bytes, now: float) -> None:
        self.mac, self.seen = mac, now
        self.former, self.lost = b"", float("-inf")


class Claims:
    """``place`` tells segments apart (interface and VLAN); addresses and MACs are packed."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._holders: dict[tuple[Hashable, bytes], _Holder] = {}
        self._probes: dict[tuple[Hashable, bytes], tuple[bytes, float]] = {}
        self._work: Work | None = None
        self._registered: dict[bytes, frozenset[bytes]] = {}
        self._routers: frozenset[bytes] = frozenset()

    def __len__(self) -> int:
        return len(self._holders)

    def know(self, work: Work) -> None:
        """What is registered, from now on."""
        if work is self._work:
            return
        self._work = work
        known: dict[bytes, set[bytes]] = {}
        entries: tuple[Router | DhcpServer | Terminal, ...] = (*work.routers, *work.dhcp, *work.terminals)
        for entry in entries:
            for address in entry.addresses:
                if entry.macs and (packed := _packed(address)):
                    known.setdefault(packed, set()).update(map(_octets, entry.macs))
        self._registered = {address: frozenset(macs) for address, macs in known.items()}
        self._routers = frozenset(_octets(mac) for router in work.routers for mac in router.macs)

    def ask(self, place: Hashable, address: bytes, mac: bytes, now: float) -> Claim | None:
        """A host asks whether the address is free; a claim where another asks for the same at the same time."""
        asker, until = self._probes.pop((place, address), (mac, now))
        if len(self._probes) >= self._most:
            del self._probes[next(iter(self._probes))]
        self._probes[place, address] = (mac, now + PROBE_S)
        return Claim(Kind.DUPLICATE, asker) if asker != mac and until > now else None

    def claim(self, place: Hashable, address: bytes, mac: bytes, now: float) -> Claim | None:
        """The claim that this message makes, where it is one to tell."""
        key = (place, address)
        registered = self._registered.get(address)
        if registered and mac not in registered and mac not in self._routers:
            return Claim(Kind.REGISTERED, min(registered))
        if self._probes:
            asker, until = self._probes.get(key, (mac, now))
            if asker != mac and until > now:
                return Claim(Kind.DUPLICATE, asker)
        holder = self._holders.pop(key, None)
        if holder is None:
            if len(self._holders) >= self._most:
                del self._holders[next(iter(self._holders))]
            self._holders[key] = _Holder(mac, now)
            return None
        self._holders[key] = holder
        quiet, holder.seen = now - holder.seen > QUIET_S, now
        if holder.mac == mac:
            return None
        kind = Kind.CONFLICT if holder.former == mac and now - holder.lost <= CONFLICT_S else Kind.MOVED
        holder.former, holder.lost, holder.mac = holder.mac, now, mac
        return None if quiet or mac in self._routers else Claim(kind, holder.former)


def _packed(address: str) -> bytes:
    """Empty where it is none: the collector has checked them."""
    try:
        return ipaddress.ip_address(address).packed
    except ValueError:
        return b""


def _octets(mac: str) -> bytes:
    try:
        return bytes.fromhex(mac.replace(":", ""))
    except ValueError:
        return b""
