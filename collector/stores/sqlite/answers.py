"""Answers over whole files, remembered: the console asks the same again and again, and a finished day stays the same.

The number of records is part of the key, so an answer lasts exactly until something is written to the file. Bounded
in answers and in groups an answer; sets of values (distinct, percentile) are not kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from collector.query import Aggregate
from collector.stores.sqlite.grouping import TALLIED, Groups

MAX_ANSWERS = 512
MAX_GROUPS = 2000
Version = tuple[str, int, int]
Key = tuple[Version, Aggregate]


class Answers:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[Key, Groups] = OrderedDict()

    def get(self, version: Version, query: Aggregate, compute: Callable[[], Groups]) -> Groups:
        """The groups of a whole file at this ``version`` (name, inode, records). The caller may change what it gets."""
        if any(measure.op in TALLIED for measure in query.measures):
            return compute()
        key = (version, msgspec.structs.replace(query, since_ms=0, until_ms=0, limit=1))
        with self._lock:
            held = self._held.get(key)
            if held is not None:
                self._held.move_to_end(key)
        if held is None:
            held = compute()
            if len(held) > MAX_GROUPS:
                return held
            with self._lock:
                self._held[key] = held
                if len(self._held) > MAX_ANSWERS:
                    self._held.popitem(last=False)
        return {group: list(parts) for group, parts in held.items()}
