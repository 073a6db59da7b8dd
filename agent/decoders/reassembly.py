"""Fragments of neighbour discovery put together: how a rogue advertisement hides from a switch (RFC 7113, 3.2).

No host should take such a message (RFC 6980), but old ones do, so it must be seen. Bounded: MAX_PACKETS at a time, each
of at most MAX_PARTS fragments and MAX_SIZE bytes. Where fragments overlap (RFC 5722 forbids it) hosts differ in which
one they keep; the reading that is neighbour discovery is given. Pure: time is passed in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent.decoders import ndp
from telemetry.errors import Permanent

MAX_PACKETS, MAX_PARTS, MAX_SIZE = 64, 16, 9000
Key = tuple[bytes, bytes, bytes]
Part = tuple[int, bytes]


class _Packet:
    __slots__ = ("first", "parts", "since", "total")

    def __init__(self, since: float) -> None:
        self.since = since
        self.parts: list[Part] = []
        self.first: ndp.Message | None = None
        self.total: int | None = None


class Reassembly:
    """``add`` every fragment; ``overdue`` from time to time."""

    def __init__(self) -> None:
        self._packets: dict[Key, _Packet] = {}

    def __len__(self) -> int:
        return len(self._packets)

    def add(self, part: ndp.Message, now: float) -> ndp.Message | None:
        """The whole message where this fragment completes it. Raises Permanent where it is out of bounds."""
        word = part.fragment[2] << 8 | part.fragment[3]
        offset, more = word & 0xFFF8, word & 1
        key = (part.source, part.destination, part.fragment[4:8])
        packet = self._packets.get(key)
        if packet is None:
            if len(self._packets) >= MAX_PACKETS:
                raise Permanent("many_fragments", f"more than {MAX_PACKETS} fragmented packets at a time")
            packet = self._packets[key] = _Packet(now)
        if len(packet.parts) >= MAX_PARTS or offset + len(part.body) > MAX_SIZE:
            del self._packets[key]
            raise Permanent("many_fragments", f"offset {offset}, {len(packet.parts) + 1} fragments")
        packet.parts.append((offset, part.body))
        if not offset and packet.first is None:
            packet.first = part
        if not more:
            packet.total = offset + len(part.body)
        if packet.first is None or packet.total is None or not _covered(packet.parts, packet.total):
            return None
        del self._packets[key]
        keep_last = _joined(packet.parts, packet.total)
        keep_first = _joined(packet.parts[::-1], packet.total)
        message = ndp.resume(packet.first, keep_last)
        if message.type not in ndp.NAMES and keep_first != keep_last:
            message = ndp.resume(packet.first, keep_first)
        return message

    def overdue(self, before: float) -> Iterator[ndp.Message]:
        """Forget packets begun earlier than ``before``; give of each what its first fragment shows."""
        for key, packet in list(self._packets.items()):
            if packet.since < before:
                del self._packets[key]
                if packet.first is not None:
                    try:
                        yield ndp.resume(packet.first, packet.first.body, cut=True)
                    except Permanent:
                        continue


def _covered(parts: Sequence[Part], total: int) -> bool:
    reached = 0
    for offset, body in sorted(parts):
        if offset > reached:
            return False
        reached = max(reached, offset + len(body))
    return reached >= total


def _joined(parts: Sequence[Part], total: int) -> bytes:
    """Later parts over earlier ones."""
    whole = bytearray(total)
    for offset, body in parts:
        whole[offset : offset + len(body)] = body
    return bytes(whole[:total])
