"""What of a table to tell: entries that are new, changed or gone; and everything again from time to time.

A table is a mapping from a key to a row. Whoever holds it gives each row a signature: two rows with the same signature
are the same state, so what flaps (an ND entry between reachable and stale) is no change.
"""

from __future__ import annotations

import enum
from collections.abc import Hashable, Iterator, Mapping
from typing import Generic, TypeVar

Row = TypeVar("Row")


class Change(enum.StrEnum):
    """ECS ``event.type`` of a told row; INFO is the regular retelling of what is known."""

    CREATION = "creation"
    CHANGE = "change"
    DELETION = "deletion"
    INFO = "info"


class ChangeTable(Generic[Row]):
    """Compares one round with the one before."""

    def __init__(self, again_s: float) -> None:
        self._again_s = again_s
        self._told_at: float | None = None
        self._rows: dict[Hashable, tuple[Hashable, Row]] = {}

    def compare(
        self, rows: Mapping[Hashable, tuple[Hashable, Row]], now: float, complete: bool = True
    ) -> Iterator[tuple[Change, Row]]:
        """What to tell of ``rows`` (key: (signature, row)) at ``now`` seconds; the first round tells all as INFO.

        In a round that is not ``complete`` (cut at a bound) a missing row is not gone: it was not looked at.
        """
        before, self._rows = self._rows, dict(rows)
        first = self._told_at is None
        again = self._told_at is None or now - self._told_at >= self._again_s
        if again:
            self._told_at = now
        for key, (signature, row) in rows.items():
            old = before.get(key)
            if first or (old is not None and old[0] == signature):
                if again:
                    yield Change.INFO, row
            else:
                yield (Change.CREATION if old is None else Change.CHANGE), row
        if complete:
            yield from ((Change.DELETION, row) for key, (_, row) in before.items() if key not in rows)
