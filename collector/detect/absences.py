"""``absence``: a group that gave signs of life has given none for ``timespan``.

Measured on the collector's clock against the time of the last sign that was kept; of those there are four in
``timespan`` (collector/detect/outcome.py), so a quarter more is waited for. Raised again while it lasts, at most every
``timespan`` and so often that an incident does not count as quiet. A sign that comes back is the proof of its end.
Nothing is raised before this collector has listened for ``timespan`` itself: after a time without any collector every
group would seem to be absent. A group is forgotten after ``FORGET_MS``; who takes a device out of service does not have
to say so here.
"""

from __future__ import annotations

import collections
import heapq
from collections.abc import Iterator

from collector.detect.correlation import Correlation
from collector.detect.watch import MAX_GROUPS, Finding, Hit
from telemetry.event import Event

FORGET_MS = 7 * 86_400_000


class _Group:
    __slots__ = ("absent", "doc", "due", "last", "returned", "told")

    def __init__(self, last: Hit, doc: Event) -> None:
        self.last = last
        self.doc = doc
        self.told = -1
        """The newest number of an alert in the present absence."""
        self.absent = False
        self.returned: Hit | None = None
        self.due = 0


class Absences:
    def __init__(self, correlation: Correlation, begun_ms: int) -> None:
        self._of = correlation
        self._begun = begun_ms
        self._span = correlation.timespan_ms + correlation.timespan_ms // 4
        self._period = max(correlation.timespan_ms, correlation.info.quiet_ms // 2, 1000)
        self._groups: collections.OrderedDict[str, _Group] = collections.OrderedDict()
        self._returned: dict[str, None] = {}
        self._deadlines: list[tuple[int, str]] = []
        self.evicted = 0

    def take(self, group: str, hit: Hit, doc: Event) -> None:
        known = self._groups.get(group)
        if known is None:
            known = self._groups[group] = _Group(hit, doc)
            self._push(group, known, hit.at_ms + self._span + 1)
        elif hit > known.last:
            known.last, known.doc, known.told = hit, doc, -1
            if known.absent:
                known.absent, known.returned = False, hit
                self._returned[group] = None
            self._push(group, known, hit.at_ms + self._span + 1)
        self._groups.move_to_end(group)
        while len(self._groups) > MAX_GROUPS:
            self._groups.popitem(last=False)
            self.evicted += 1

    def known(self, group: str, at_ms: int, value: str) -> None:  # noqa: ARG002 - only groups matter here
        found = self._groups.get(group)
        if found is not None and at_ms > found.last.at_ms:
            found.absent = True

    def due(self, now_ms: int) -> Iterator[Finding]:
        for name in self._returned:
            group = self._groups.get(name)
            if group is not None and group.returned is not None:
                hit, group.returned = group.returned, None
                yield self._finding(name, group, hit.id, hit.at_ms, True)
        self._returned.clear()
        while self._deadlines and self._deadlines[0][0] <= now_ms:
            due, name = heapq.heappop(self._deadlines)
            group = self._groups.get(name)
            if group is None or group.due != due:  # a later sign has its own
                continue
            end = group.last.at_ms + self._span
            if now_ms - end > FORGET_MS:
                del self._groups[name]
                continue
            number = max(now_ms - end, 0) // self._period
            self._push(name, group, end + (number + 1) * self._period)
            if number > group.told:
                group.told, group.absent = number, True
                yield self._finding(name, group, f"{group.last.at_ms}/{number}", end + number * self._period, False)

    def _push(self, name: str, group: _Group, due_ms: int) -> None:
        group.due = max(due_ms, self._begun + self._span + 1)
        heapq.heappush(self._deadlines, (group.due, name))
        if len(self._deadlines) > 4 * MAX_GROUPS:
            self._deadlines = [(known.due, name) for name, known in self._groups.items()]
            heapq.heapify(self._deadlines)

    def _finding(self, name: str, group: _Group, part: str, at_ms: int, over: bool) -> Finding:
        last = group.last
        return Finding(self._of, name, part, at_ms, 1, last.at_ms, last.at_ms, "", (last.event,), group.doc, over)
