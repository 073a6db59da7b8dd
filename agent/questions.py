"""DNS questions summed up by client and registered domain: how many, how different, how long, how random. Pure.

That is what shows a tunnel or a program that asks at random, and it keeps who asked for what out of the record. A sum
is told when its ``window`` ends, or at the end of ``quick`` where it is busy by then, so that a tunnel shows soon. Each
client has a sum of all its questions as well, for what spreads over many domains. Bounded: ``most`` sums, MOST_NAMES
different names in all of them together, MOST_OPEN questions waiting for their answers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from agent.decoders.dns import Message

MOST_NAMES = 65_536
MOST_OPEN = 8192
ANSWER_S = 10.0
Key = tuple[bytes, bytes, str]
"""Client, server, registered domain. The sum of all that a client asks has no server."""


class Sum:
    """One client's questions for one domain in one period."""

    __slots__ = ("answered", "bytes", "failed", "first_ms", "last_ms", "latency", "length", "letters", "longest",
                 "names", "queries", "quick", "refused", "until")  # fmt: skip

    def __init__(self, quick: float, until: float, now_ms: int) -> None:
        self.quick, self.until = quick, until
        self.first_ms = self.last_ms = now_ms
        self.queries = self.refused = self.failed = self.bytes = self.length = self.answered = 0
        self.latency = 0.0
        self.names: set[int] = set()
        """Hashes: a tenth of the memory of the names."""
        self.letters: Counter[int] = Counter()
        self.longest = ""

    def label_length(self) -> float:
        """Mean length of the part below the registered domain, over the different names."""
        return self.length / len(self.names) if self.names else 0.0

    def entropy(self) -> float:
        """Bits a letter of that part, over all of them together."""
        total = self.letters.total()
        return -sum(n / total * math.log2(n / total) for n in self.letters.values()) if total else 0.0


class Questions:
    """``ask`` and ``answer`` for every message, ``due`` each tick."""

    def __init__(self, window_s: float, quick_s: float, busy_names: int, busy_queries: int, most: int) -> None:
        self._window_s, self._quick_s = window_s, quick_s
        self._busy_names, self._busy_queries, self._most = busy_names, busy_queries, most
        self._sums: dict[Key, Sum] = {}
        self._open: dict[tuple[bytes, int, int], float] = {}
        self._names = 0
        self.left_out = 0

    def __len__(self) -> int:
        return len(self._sums)

    def ask(
        self, client: bytes, server: bytes, port: int, message: Message, domain: str, size: int, now: float, now_ms: int
    ) -> None:
        for key in ((client, server, domain), (client, b"", "")):
            if (held := self._sum(key, now, now_ms)) is not None:
                held.queries += 1
                held.bytes += size
                held.last_ms = now_ms
                self._see(held, message, len(domain))
        if len(self._open) >= MOST_OPEN:
            del self._open[next(iter(self._open))]
        self._open[client, port, message.id] = now

    def answer(
        self, client: bytes, server: bytes, port: int, message: Message, domain: str, size: int, now: float, now_ms: int
    ) -> None:
        asked = self._open.pop((client, port, message.id), None)
        for key in ((client, server, domain), (client, b"", "")):
            if (held := self._sum(key, now, now_ms)) is not None:
                held.bytes += size
                held.last_ms = now_ms
                held.refused += message.code == "NXDOMAIN"
                held.failed += message.code == "SERVFAIL"
                if asked is not None and now - asked <= ANSWER_S:
                    held.answered += 1
                    held.latency += now - asked

    def due(self, now: float) -> Iterator[tuple[Key, Sum]]:
        """Sums that are over, or busy by now; they are forgotten."""
        for key, held in list(self._sums.items()):
            if held.until > now and (not key[1] or held.quick > now or not self._busy(held)):
                continue
            del self._sums[key]
            self._names -= len(held.names)
            if held.queries and (key[1] or self._busy(held)):
                yield key, held

    def flush(self) -> Iterator[tuple[Key, Sum]]:
        yield from self.due(float("inf"))

    def _busy(self, held: Sum) -> bool:
        return len(held.names) >= self._busy_names or held.queries >= self._busy_queries

    def _sum(self, key: Key, now: float, now_ms: int) -> Sum | None:
        held = self._sums.get(key)
        if held is None:
            if len(self._sums) >= self._most:
                self.left_out += 1
                return None
            held = self._sums[key] = Sum(now + self._quick_s, now + self._window_s, now_ms)
        return held

    def _see(self, held: Sum, message: Message, domain: int) -> None:
        known = hash(message.octets)
        if known in held.names or self._names >= MOST_NAMES:
            return
        self._names += 1
        held.names.add(known)
        below = message.octets[: -domain - 1] if domain else message.octets
        held.length += len(below)
        held.letters.update(below)
        if len(message.name) > len(held.longest):
            held.longest = message.name
