"""Batches of packets to finished flow records. Needs numpy (the extra ``fast``). Pure.

Expiry goes by the packets' own times, once in ``TICK_NS`` of them. A batch that lasts longer is taken in parts, so
that a flow ends after the same silence however slowly packets came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from agent.decoders.batch import Batch
from agent.decoders.columns import decode
from agent.decoders.flow_table import SECOND, FlowTable, Records

TICK_NS = SECOND


class FlowMeter:
    """``meter`` for a file; what was skipped, odd or without room in the table is counted."""

    def __init__(self, table: FlowTable) -> None:
        self._table = table
        self._swept = 0
        self.packets = 0
        self.table_full = 0
        self.skipped: Counter[str] = Counter()
        self.odd: Counter[str] = Counter()

    def meter(self, batches: Iterable[Batch]) -> Iterator[Records]:
        """Records as they are over, and at the end all that is left."""
        for batch in batches:
            for part in self._parts(batch):
                yield from self._take(part)
        yield from self._table.flush()

    def _take(self, batch: Batch) -> Iterator[Records]:
        now = int(batch.times_ns[0])
        # before these packets count: what was silent until now is over, whoever speaks now.
        # Also where time went back by more: the capture's clock was set
        if abs(now - self._swept) >= TICK_NS:
            self._swept = now
            yield from self._table.expire(now)
        columns = decode(batch)
        self.packets += len(batch)
        if columns.skipped:
            self.skipped += columns.skipped
        if columns.odd:
            self.odd += columns.odd
        self.table_full += self._table.add(columns, batch.times_ns)

    def _parts(self, batch: Batch) -> Iterator[Batch]:
        """The batch, cut where a tick is over."""
        if not len(batch):
            return
        ticks = (batch.times_ns - batch.times_ns[0]) // TICK_NS
        if ticks[-1] == 0 and not ticks.any():
            yield batch
            return
        cuts = [0, *(np.flatnonzero(ticks[1:] != ticks[:-1]) + 1).tolist(), len(batch)]
        for first, last in pairwise(cuts):
            part = slice(first, last)
            yield replace(
                batch,
                starts=batch.starts[part],
                captured=batch.captured[part],
                lengths=batch.lengths[part],
                times_ns=batch.times_ns[part],
            )
