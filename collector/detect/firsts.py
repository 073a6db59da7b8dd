"""``first_seen``: a group has a value that it did not have for ``timespan``.

Sightings come at least once a day for a value that is there (collector/detect/outcome.py). A group is learned from its
first sighting on; while that lasts nothing is raised about it. What was seen before ``floor_ms`` was judged when it
came. Of a value that was raised already nothing is raised again within ``timespan``, whichever of its sightings comes
first.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator

from collector.detect.correlation import Correlation
from collector.detect.watch import MAX_GROUPS, Finding, Hit
from telemetry.event import Event

MAX_VALUES = 500_000


class _Value:
    __slots__ = ("first", "last", "raised")

    def __init__(self, at_ms: int) -> None:
        self.first = self.last = at_ms
        self.raised = -1


class Firsts:
    def __init__(self, correlation: Correlation, floor_ms: int = 0) -> None:
        self._of = correlation
        self._floor = floor_ms
        self._values: collections.OrderedDict[tuple[str, str], _Value] = collections.OrderedDict()
        self._groups: collections.OrderedDict[str, int] = collections.OrderedDict()
        """When a group was first seen."""
        self._new: list[tuple[str, Hit, Event]] = []
        self.evicted = 0

    def take(self, group: str, hit: Hit, doc: Event) -> None:
        self._groups[group] = min(self._groups.get(group, hit.at_ms), hit.at_ms)
        self._groups.move_to_end(group)
        key = (group, hit.value)
        known = self._values.get(key)
        if known is None or hit.at_ms - known.last > self._of.timespan_ms:
            raised = known.raised if known else -1
            known = self._values[key] = _Value(hit.at_ms)
            known.raised = raised
            self._new.append((group, hit, doc))
        else:
            known.first, known.last = min(known.first, hit.at_ms), max(known.last, hit.at_ms)
        self._values.move_to_end(key)
        while len(self._values) > MAX_VALUES:
            self._values.popitem(last=False)
            self.evicted += 1
        while len(self._groups) > MAX_GROUPS:
            self._groups.popitem(last=False)
            self.evicted += 1

    def known(self, group: str, at_ms: int, value: str) -> None:
        found = self._values.setdefault((group, value), _Value(at_ms))
        found.raised = max(found.raised, at_ms)

    def due(self, now_ms: int) -> Iterator[Finding]:  # noqa: ARG002 - a first sighting waits for nothing
        new, self._new = self._new, []
        span = self._of.timespan_ms
        for group, hit, doc in sorted(new, key=lambda one: one[1]):
            known = self._values.get((group, hit.value))
            if known is None or hit.at_ms < self._floor:
                continue
            if known.raised >= 0 and abs(hit.at_ms - known.raised) <= span:
                continue
            if hit.at_ms - self._groups.get(group, hit.at_ms) < self._of.learning_ms:
                continue
            known.raised = hit.at_ms
            yield Finding(self._of, group, hit.id, hit.at_ms, 1, hit.at_ms, hit.at_ms, hit.value, (hit.event,), doc)
