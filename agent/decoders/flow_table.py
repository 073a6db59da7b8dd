"""Packets by the thousand to flow records, in a table of bounded size. Needs numpy (the extra ``fast``). Pure.

The same promises as ``agent/decoders/flows.py``, and held against it by a model test: a flow is one direction of one
conversation; it is exported after ``inactive_s`` of silence or ``active_s`` of life; nothing is evicted; packets of
flows for which there is no room are counted in a rest record of their IP version and protocol, so totals stay exact.

The key is VLAN, addresses, protocol and ports of the innermost packet, and the tunnel it came in (kind, outer
addresses, identifier, depth). Tunnels are numbered in an index of their own, so that a key stays 48 bytes; a tunnel
for which there is no number is counted by its outer addresses alone.

With ``biflow`` both directions are one record (RFC 5103), told from the side of the first packet. ICMP is not paired:
a type stands in the place of its port, and an answer has another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.decoders.columns import Columns
from agent.decoders.columns_network import KEY, WORDS
from agent.decoders.columns_tunnel import FOUR_IN_SIX, GRE, OUTER, SIX_IN_FOUR, TEREDO_KIND, VXLAN_KIND
from agent.decoders.key_index import KeyIndex, Words

SECOND = 1_000_000_000
NEVER = np.iinfo(np.int64).max
TUNNELS = 65_536
PROTOCOLS = {FOUR_IN_SIX: 4, SIX_IN_FOUR: 41, GRE: 47, VXLAN_KIND: 17, TEREDO_KIND: 17}
KINDS_OF_REST = 512
UNKNOWN = 0
AT_ONCE = 16_384
"""Records given together."""
Numbers = NDArray[np.int64]
Direction = Callable[[Words], NDArray[np.uint8]]
"""Asked once a flow, for many keys: a code for each, that the caller knows the meaning of."""


@dataclass(slots=True, eq=False)
class Side:
    """What was counted in one direction."""

    packets: Numbers
    bytes: Numbers
    first_ns: Numbers
    last_ns: Numbers
    flags: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.packets)

    def take(self, which: Numbers) -> Side:
        return Side(
            self.packets[which], self.bytes[which], self.first_ns[which], self.last_ns[which], self.flags[which]
        )

    def clear(self, which: Numbers) -> None:
        self.packets[which] = self.bytes[which] = 0
        self.flags[which] = 0
        self.first_ns[which], self.last_ns[which] = NEVER, -NEVER

    def add(
        self, cells: Numbers, sizes: Numbers, times: Numbers, flags: NDArray[np.uint8], packets: Numbers | int
    ) -> None:
        np.add.at(self.packets, cells, packets)
        np.add.at(self.bytes, cells, sizes)
        np.maximum.at(self.last_ns, cells, times)
        fresh = flags & ~self.flags[cells]
        some = np.flatnonzero(fresh)
        if len(some):
            np.bitwise_or.at(self.flags, cells[some], fresh[some])

    def begin(self, cells: Numbers, times: Numbers) -> None:
        """The first row of a cell that has none yet says when it began."""
        fresh = np.flatnonzero(self.packets[cells] == 0)
        if len(fresh):
            self.first_ns[cells[fresh][::-1]] = times[fresh][::-1]

    def grow(self, size: int) -> Side:
        made = empty_side(size)
        for name in ("packets", "bytes", "first_ns", "last_ns", "flags"):
            getattr(made, name)[: len(self)] = getattr(self, name)
        return made


def empty_side(size: int) -> Side:
    return Side(
        np.zeros(size, np.int64), np.zeros(size, np.int64), np.full(size, NEVER), np.full(size, -NEVER),
        np.zeros(size, np.uint8),
    )  # fmt: skip


@dataclass(slots=True, eq=False)
class Records:
    """Finished flow records as columns. ``back`` is the other direction where it was asked for.

    ``keys`` are words of ``columns_network.KEY``; ``words`` the first four bytes of the first IP header; ``outer`` rows
    of ``columns_tunnel.OUTER`` for the records named in ``wrapped``; the last ``rests`` records stand for flows that
    the table had no room for, and have no addresses.
    """

    keys: Words
    side: Side
    back: Side | None
    words: NDArray[np.uint32]
    extensions: NDArray[np.uint16]
    interfaces: NDArray[np.int32]
    directions: NDArray[np.uint8]
    wrapped: Numbers
    outer: Words
    rests: int

    def __len__(self) -> int:
        return len(self.keys)


class FlowTable:
    """``add`` for every batch, ``expire`` from time to time, ``flush`` at the end."""

    def __init__(self, most: int, active_s: float, inactive_s: float, seed: int, biflow: bool = False) -> None:
        self._active, self._inactive = int(active_s * SECOND), int(inactive_s * SECOND)
        self._biflow = biflow
        self._index = KeyIndex(WORDS, most, seed)
        self._tunnels = KeyIndex(OUTER.itemsize // 8, min(most, TUNNELS), seed + 1)
        self._references = np.zeros(self._tunnels.capacity, np.int64)
        self._sides = empty_side(0)
        self._rest = empty_side(KINDS_OF_REST)
        self._words = np.zeros(0, np.uint32)
        self._extensions = np.zeros(0, np.uint16)
        self._interfaces = np.zeros(0, np.int32)
        self._directions = np.zeros(0, np.uint8)
        self._turned = np.zeros(0, np.bool_)
        self._fit()

    def __len__(self) -> int:
        return len(self._index) + int(np.count_nonzero(self._rest.packets))

    def add(
        self,
        columns: Columns,
        times_ns: Numbers,
        interfaces: NDArray[np.int32] | int = 0,
        direction: Direction | None = None,
        packets: Numbers | None = None,
        more_bytes: Numbers | None = None,
    ) -> int:
        """Count these packets; gives how many went into rest records.

        All but ``columns`` are by packet of the batch. ``packets`` and ``more_bytes``: what each large packet that the
        network card cuts or joins stands for on the wire.
        """
        rows = columns.rows
        if not len(rows):
            return 0
        keys, sizes, flags = columns.keys, columns.sizes, columns.flags
        times = times_ns[rows]
        if more_bytes is not None:
            sizes = sizes + more_bytes[rows]
        counts: Numbers | int = 1 if packets is None else packets[rows]
        turned = _turned(keys) if self._biflow else None
        if turned is not None:
            keys = _turn(keys, turned)
        if len(columns.wrapped):
            keys = self._through(keys, columns, turned)
        numbers, entered = self._index.find(keys, rows)
        if len(entered):
            self._begin(numbers[entered], entered, keys, columns, interfaces, direction, turned, times)
        lost = np.flatnonzero(numbers < 0)
        if len(lost):
            weights = counts if isinstance(counts, int) else counts[lost]
            self._add_rest(keys[lost], sizes[lost], times[lost], flags[lost], weights)
            if len(columns.wrapped):
                self._forget(keys.view(np.uint32)[lost, 10].astype(np.int64) - 1)
            keep = np.flatnonzero(numbers >= 0)
            numbers, sizes, times, flags = numbers[keep], sizes[keep], times[keep], flags[keep]
            counts = counts if isinstance(counts, int) else counts[keep]
            turned = None if turned is None else turned[keep]
            bits = columns.extensions[keep]
        else:
            bits = columns.extensions
        if turned is not None:
            cells = numbers * 2 + turned
            self._sides.begin(cells, times)
        else:
            cells = numbers
        self._sides.add(cells, sizes, times, flags, counts)
        some = np.flatnonzero(bits)
        if len(some):
            np.bitwise_or.at(self._extensions, numbers[some], bits[some])
        return len(lost)

    def expire(self, now_ns: int) -> Iterator[Records]:
        """Take out and give what is over at ``now_ns``; some at a time, so that a flood's end needs no more memory."""
        first, last = self._ends()
        over = self._index.live & self._over(first, last, now_ns)
        rest = (self._rest.packets != 0) & self._over(self._rest.first_ns, self._rest.last_ns, now_ns)
        return self._give(np.flatnonzero(over), np.flatnonzero(rest))

    def flush(self) -> Iterator[Records]:
        """Take out and give everything."""
        return self._give(np.flatnonzero(self._index.live), np.flatnonzero(self._rest.packets))

    def _give(self, numbers: Numbers, rest: Numbers) -> Iterator[Records]:
        none = rest[:0]
        for first in range(0, len(numbers), AT_ONCE):
            some = numbers[first : first + AT_ONCE]
            yield self._take(some, rest if first + AT_ONCE >= len(numbers) else none)
        if len(rest) and not len(numbers):
            yield self._take(numbers, rest)

    def _over(self, first: Numbers, last: Numbers, now_ns: int) -> NDArray[np.bool_]:
        over: NDArray[np.bool_] = last <= now_ns - self._inactive
        over |= first <= now_ns - self._active
        # ahead of now: the clock was set back, and this flow would never be over
        over |= first > now_ns + self._inactive
        return over

    def _ends(self) -> tuple[Numbers, Numbers]:
        first, last = self._sides.first_ns, self._sides.last_ns
        if self._biflow:
            return np.minimum(first[::2], first[1::2]), np.maximum(last[::2], last[1::2])
        return first, last

    def _fit(self) -> None:
        """Columns as long as the index has numbers."""
        size = self._index.capacity
        if size > len(self._words):
            self._sides = self._sides.grow(size * 2 if self._biflow else size)
            for name in ("_words", "_extensions", "_interfaces", "_directions", "_turned"):
                before = getattr(self, name)
                setattr(self, name, np.concatenate([before, np.zeros(size - len(before), before.dtype)]))

    def _begin(
        self,
        numbers: Numbers,
        entered: Numbers,
        keys: Words,
        columns: Columns,
        interfaces: NDArray[np.int32] | int,
        direction: Direction | None,
        turned: NDArray[np.bool_] | None,
        times: Numbers,
    ) -> None:
        self._fit()
        self._words[numbers] = columns.words[entered]
        self._extensions[numbers] = 0
        self._interfaces[numbers] = interfaces if isinstance(interfaces, int) else interfaces[columns.rows[entered]]
        self._directions[numbers] = UNKNOWN if direction is None else direction(columns.keys[entered])
        if turned is None:
            self._sides.first_ns[numbers] = self._sides.last_ns[numbers] = times[entered]
        else:
            self._turned[numbers] = turned[entered]
        tunnel = keys.view(np.uint32)[entered, 10].astype(np.int64)
        if tunnel.any():
            np.add.at(self._references, tunnel[tunnel != 0] - 1, 1)

    def _through(self, keys: Words, columns: Columns, turned: NDArray[np.bool_] | None) -> Words:
        """Keys with the numbers of their tunnels."""
        which, outer = columns.wrapped, columns.outer
        if turned is not None:
            outer = _turn_addresses(outer, turned[which])
        numbers, _ = self._tunnels.find(outer)
        if self._tunnels.capacity > len(self._references):
            more = self._tunnels.capacity - len(self._references)
            self._references = np.concatenate([self._references, np.zeros(more, np.int64)])
        keys = keys.copy()
        keys.view(np.uint32)[which, 10] = numbers + 1
        lost = np.flatnonzero(numbers < 0)
        if len(lost):
            rows, described = which[lost], outer[lost].view(OUTER)[:, 0]
            table = np.zeros(256, np.uint8)
            table[list(PROTOCOLS)] = list(PROTOCOLS.values())
            protocol = table[described["kind"]]
            protocol[protocol == 0] = np.where(described["version"][protocol == 0] == 6, 41, 4)
            keys[rows, :4] = outer[lost, :4]
            parts = keys.view(np.uint8)
            parts[rows, 32:36] = 0
            parts[rows, 36], parts[rows, 37] = protocol, described["version"]
        return keys

    def _add_rest(
        self, keys: Words, sizes: Numbers, times: Numbers, flags: NDArray[np.uint8], packets: Numbers | int
    ) -> None:
        parts = keys.view(np.uint8)
        cells = parts[:, 36].astype(np.int64) + np.where(parts[:, 37] == 6, 256, 0)
        self._rest.begin(cells, times)
        self._rest.add(cells, sizes, times, flags, packets)

    def _take(self, numbers: Numbers, rest: Numbers) -> Records:
        keys = self._index.keys[numbers]
        back = None
        if self._biflow:
            turned = self._turned[numbers]
            side, back = self._sides.take(numbers * 2 + turned), self._sides.take(numbers * 2 + ~turned)
            keys = _turn(keys, turned)
            self._sides.clear(np.concatenate([numbers * 2, numbers * 2 + 1]))
        else:
            turned = None
            side = self._sides.take(numbers)
            self._sides.clear(numbers)
        tunnel = keys.view(np.uint32)[:, 10].astype(np.int64)
        wrapped = np.flatnonzero(tunnel)
        outer = self._tunnels.keys[tunnel[wrapped] - 1]
        if turned is not None:
            outer = _turn_addresses(outer, turned[wrapped])
        keys.view(np.uint32)[:, 10] = 0
        made = Records(
            keys, side, back, self._words[numbers], self._extensions[numbers], self._interfaces[numbers],
            self._directions[numbers], wrapped, outer, 0,
        )  # fmt: skip
        self._index.remove(numbers)
        self._release(tunnel[wrapped] - 1)
        return self._with_rest(made, rest) if len(rest) else made

    def _release(self, tunnels: Numbers) -> None:
        if not len(tunnels):
            return
        np.subtract.at(self._references, tunnels, 1)
        self._forget(tunnels)

    def _forget(self, tunnels: Numbers) -> None:
        """Those of these that no flow names any more."""
        unused = np.unique(tunnels[tunnels >= 0])
        self._tunnels.remove(unused[self._references[unused] == 0])

    def _with_rest(self, made: Records, rest: Numbers) -> Records:
        keys = np.zeros((len(rest), WORDS), np.uint64)
        parts = keys.view(np.uint8)
        parts[:, 36], parts[:, 37] = rest & 255, np.where(rest >= KINDS_OF_REST // 2, 6, 4)
        side = self._rest.take(rest)
        self._rest.clear(rest)
        made.keys = np.concatenate([made.keys, keys])
        made.side = _both(made.side, side)
        if made.back is not None:
            none = empty_side(len(rest))
            made.back = _both(made.back, none)
        for name in ("words", "extensions", "interfaces", "directions"):
            before = getattr(made, name)
            setattr(made, name, np.concatenate([before, np.zeros(len(rest), before.dtype)]))
        made.rests = len(rest)
        return made


def _both(one: Side, other: Side) -> Side:
    names = ("packets", "bytes", "first_ns", "last_ns", "flags")
    return Side(*(np.concatenate([getattr(one, name), getattr(other, name)]) for name in names))


def _turned(keys: Words) -> NDArray[np.bool_]:
    """Which packets go from the greater end to the lesser; any order will do that is the same for both directions."""
    parts = keys.view(KEY)[:, 0]
    source, destination = parts["source_port"].astype(np.int64), parts["destination_port"].astype(np.int64)
    turned: NDArray[np.bool_] = source > destination
    for one in (1, 0):
        turned = np.where(keys[:, one] == keys[:, one + 2], turned, keys[:, one] > keys[:, one + 2])
    turned &= (parts["protocol"] != 1) & (parts["protocol"] != 58)
    return turned


def _turn_addresses(keys: Words, turned: NDArray[np.bool_]) -> Words:
    made = keys.copy()
    some = np.flatnonzero(turned)
    made[some, :2], made[some, 2:4] = keys[some, 2:4], keys[some, :2]
    return made


def _turn(keys: Words, turned: NDArray[np.bool_]) -> Words:
    made = _turn_addresses(keys, turned)
    some = np.flatnonzero(turned)
    before, ports = keys.view(np.uint16), made.view(np.uint16)
    ports[some, 16], ports[some, 17] = before[some, 17], before[some, 16]
    return made
