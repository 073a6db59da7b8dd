"""How often something may be tried: a token bucket per key, in a table that can not grow without end.

The table holds at most ``entries`` keys; the one touched longest ago goes first. An attacker who fills it from many
addresses only frees other attackers' buckets: the bucket of the account under attack is touched at every try.
"""

from __future__ import annotations

import collections
import ipaddress

from telemetry.clock import Clock


class Throttle:
    """``burst`` tries at once, then one more every ``refill_s`` seconds."""

    def __init__(self, clock: Clock, burst: int, refill_s: float, entries: int = 10_000) -> None:
        self._clock = clock
        self._burst = burst
        self._refill = refill_s
        self._entries = entries
        self._table: collections.OrderedDict[str, tuple[float, float]] = collections.OrderedDict()

    def take(self, key: str) -> float:
        """Use one try. Returns 0 where it is allowed, else the seconds until the next one is."""
        now = self._clock.monotonic()
        left, at = self._table.pop(key, (float(self._burst), now))
        left = min(float(self._burst), left + (now - at) / self._refill)
        allowed = left >= 1
        self._table[key] = (left - 1 if allowed else left, now)
        if len(self._table) > self._entries:
            self._table.popitem(last=False)
        return 0.0 if allowed else (1 - left) * self._refill

    def forget(self, key: str) -> None:
        """Give a key its full burst back, after a success."""
        self._table.pop(key, None)

    def __len__(self) -> int:
        return len(self._table)


def network_of(address: str) -> str:
    """What counts as one source: an IPv4 address, or the /64 of an IPv6 address (one host owns a whole /64)."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    return str(ip) if ip.version == 4 else str(ipaddress.ip_network((ip, 64), strict=False))
