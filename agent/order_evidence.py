"""Packets that an order asks for, on their way to the collector: events with parts of a compressed pcapng.

Who asked is in the extract itself, in the record on this host (evidence.jsonl), and in the collector's order.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

import msgspec
import zstandard

from agent import evidence
from agent.action import no_ring
from agent.fence import Effect
from agent.home import Home
from telemetry.clock import Clock
from telemetry.errors import Permanent
from telemetry.event import Event, event
from telemetry.order import EVIDENCE_DATASET, EVIDENCE_PART, MAX_EVIDENCE, Order

UNPACKED = 4 * MAX_EVIDENCE
"""Headers shrink to about a quarter; where they do not, fewer are sent."""


class TakeOut:
    """``__call__`` blocks while the ring is read."""

    def __init__(self, home: Home, clock: Clock, emit: Callable[[Event], None]) -> None:
        self._home, self._clock, self._emit = home, clock, emit

    def __call__(self, order: Order) -> Effect:
        """Raises Permanent: no_ring, no_packets, no_record."""
        folders = evidence.folders(self._home.state)
        if not folders:
            return no_ring(order)
        asked = evidence.Asked(
            around_ms=order.around_ms,
            before_s=order.seconds,
            after_s=order.seconds,
            about=tuple(filter(None, (order.mac, order.address))),
            max_bytes=UNPACKED,
            by=f"{order.approved_by} at the collector",
            why=f"incident {order.incident}, order {order.id}",
        )
        made = evidence.extract(folders[0], asked)
        packed = zstandard.compress(made.data, 9)
        while len(packed) > MAX_EVIDENCE:
            asked = msgspec.structs.replace(asked, max_bytes=asked.max_bytes * MAX_EVIDENCE // len(packed) * 9 // 10)
            made = evidence.extract(folders[0], asked)
            packed = zstandard.compress(made.data, 9)
        try:
            evidence.note(self._home.path / "evidence.jsonl", asked, made, self._clock.now_ms())
        except OSError as error:
            raise Permanent("no_record", f"who asked can not be put on record: {error.strerror or error}") from error
        if not made.packets:
            raise Permanent("no_packets", "the ring has no such packets")
        parts = [packed[at : at + EVIDENCE_PART] for at in range(0, len(packed), EVIDENCE_PART)]
        for number, part in enumerate(parts, 1):
            told = event(self._clock.now_ms(), EVIDENCE_DATASET, "packets")
            told |= {
                "tengwang.order.id": order.id,
                "tengwang.evidence.part": number,
                "tengwang.evidence.parts": len(parts),
                "tengwang.evidence.data": base64.b64encode(part).decode(),
            }
            if order.incident:
                told["tengwang.incident.id"] = order.incident[:64]
            self._emit(told)
        left = f", {made.left_out} left out" if made.left_out else ""
        return Effect(made.packets, len(made.data), f"{made.packets} packets, {len(made.data)} bytes{left}")
