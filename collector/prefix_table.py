"""Longest-prefix match over IPv4 and IPv6, fast and of even cost at 100,000 prefixes and more.

Prefixes nest or are disjoint, so they cut the address space into disjoint ranges, each with one longest match. The
table keeps the first address of every range, sorted, and answers by one binary search in C. The cost is that of
about ``log2(2 n)`` comparisons, whatever lengths are present; the usual dictionary a length pays for every length
(IPv6 has 129), and a trie in Python pays for every bit. Figures are in decisions/prefix-table.md.

An IPv4-mapped IPv6 address (``::ffff:192.0.2.1``) is the IPv4 address, as in telemetry.event.canonical_ip.
"""

from __future__ import annotations

import ipaddress
import socket
from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from typing import Generic, TypeVar

V = TypeVar("V")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAPPED = 0xFFFF << 32
CACHE = 65_536


def address_bits(text: str) -> tuple[int, int] | None:
    """``(4 or 6, address as a number)``; None where it is no address. A zone (``%eth0``) is ignored."""
    if ":" not in text:
        try:
            return 4, int.from_bytes(socket.inet_pton(socket.AF_INET, text), "big")
        except (OSError, ValueError):
            return None
    try:
        bits = int.from_bytes(socket.inet_pton(socket.AF_INET6, text.partition("%")[0]), "big")
    except (OSError, ValueError):
        return None
    return (4, bits & 0xFFFFFFFF) if bits >> 32 == 0xFFFF else (6, bits)


def bounds(network: Network) -> tuple[int, int]:
    """First address and the one after the last, as numbers; ``num_addresses`` makes address objects for that."""
    first = int(network.network_address)
    return first, first + (1 << network.max_prefixlen - network.prefixlen)


def unmapped(network: Network) -> Network:
    """An IPv4-mapped IPv6 network as the IPv4 network that it means; any other as it is."""
    if network.prefixlen >= 96 and int(network.network_address) >> 32 == 0xFFFF:
        return ipaddress.IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    return network


class PrefixTable(Generic[V]):
    """Immutable. The last value given for a network holds."""

    def __init__(self, prefixes: Iterable[tuple[Network, V]]) -> None:
        values = {unmapped(network): value for network, value in prefixes}
        self._tables = {
            version: _ranges([(n, v) for n, v in values.items() if n.version == version]) for version in (4, 6)
        }
        self.lookup = lru_cache(maxsize=CACHE)(self.find)
        """``find`` that remembers the last 65,536 different addresses."""

    def find(self, text: str) -> V | None:
        """The value of the longest prefix that holds the address; None where none does or it is no address."""
        found = address_bits(text)
        if found is None:
            return None
        starts, values = self._tables[found[0]]
        return values[bisect_right(starts, found[1])]


def _ranges(prefixes: list[tuple[Network, V]]) -> tuple[list[int], list[V | None]]:
    """First addresses of the disjoint ranges, and values; ``values[i]`` is for addresses before ``starts[i]``."""
    spans = sorted(((*bounds(network), value) for network, value in prefixes), key=lambda s: (s[0], -s[1]))
    starts: list[int] = []
    values: list[V | None] = [None]
    open_until: list[tuple[int, V]] = []  # the prefixes that hold the present address, outermost first

    def begin(address: int, value: V | None) -> None:
        if starts and starts[-1] == address:
            values[-1] = value
        else:
            starts.append(address)
            values.append(value)

    def close(before: int | None) -> None:
        while open_until and (before is None or open_until[-1][0] <= before):
            end, _ = open_until.pop()
            begin(end, open_until[-1][1] if open_until else None)

    for first, end, value in spans:
        close(first)
        begin(first, value)
        open_until.append((end, value))
    close(None)
    return starts, values
