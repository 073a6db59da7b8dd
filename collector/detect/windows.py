"""Correlations that add hits up within a time: event_count, value_count, temporal, temporal_ordered, value_*.

Where more hits can only make a condition truer, the window slides: it ends at each hit and reaches ``timespan`` back,
and what holds is known at once. One alert a group for each stretch of ``timespan`` (counted from 1970) that holds a hit
at which the condition held: the same stretches however the hits came.

Where a later hit could make it untrue (less than, equal, an average), the stretches themselves are the windows, judged
when they are over. A condition with ``not`` is judged around each hit: what must be there from it on, what must not be
there before it as well.

Design of the sliding: hits of a group are a sorted list; a tally (tally.py) is kept over the newest window, so a hit
that comes in order costs the same however many there are. A late hit makes the tally be built again from there.
"""

from __future__ import annotations

import bisect
import collections
from collections.abc import Iterator, Mapping

from collector.detect.correlation import Correlation
from collector.detect.tally import Tally
from collector.detect.watch import GRACE_MS, LATE_MS, MAX_ALL, MAX_GROUPS, MAX_HITS, Finding, Hit, sample
from telemetry.event import Event


class _Group:
    def __init__(self, correlation: Correlation) -> None:
        self.hits: list[Hit] = []
        self.ids: set[str] = set()
        self.doc: Event = {}
        self.doc_at = -1
        self.dirty = -1
        """Where the first hit stands that was not looked at yet; -1: all were."""
        self.swept = 0
        """So many hits, from the first, are in or behind the tally's window."""
        self.left = 0
        self.tally = Tally(correlation)
        self.raised: set[int] = set()
        self.todo: set[int] = set()
        """Windows that are judged when they are over: numbers of stretches, or times of hits."""
        self.judged_ms = -1
        self.touched_ms = 0

    def insert(self, hit: Hit, doc: Event) -> bool:
        if hit.id in self.ids:
            return False
        self.ids.add(hit.id)
        if not self.hits or hit > self.hits[-1]:
            at = len(self.hits)
            self.hits.append(hit)
        else:
            at = bisect.bisect(self.hits, hit)
            self.hits.insert(at, hit)
        self.dirty = at if self.dirty < 0 else min(self.dirty, at)
        if hit.at_ms >= self.doc_at:
            self.doc, self.doc_at = doc, hit.at_ms
        self.touched_ms = max(self.touched_ms, hit.arrived_ms)
        return True

    def cut(self, keep: list[Hit]) -> None:
        self.ids.difference_update({hit.id for hit in self.hits}.difference(hit.id for hit in keep))
        self.hits = keep
        self.swept = -1
        if self.dirty >= 0:
            self.dirty = 0

    def between(self, since_ms: int, until_ms: int) -> tuple[int, int]:
        """``since_ms <= at < until_ms``."""
        return (
            bisect.bisect_left(self.hits, since_ms, key=lambda hit: hit.at_ms),
            bisect.bisect_left(self.hits, until_ms, key=lambda hit: hit.at_ms),
        )


class Windows:
    """``floor_ms``: from there on the hits are all there; a window that begins before is not judged by what is not."""

    def __init__(self, correlation: Correlation, floor_ms: int = 0) -> None:
        self._of = correlation
        self._span = correlation.timespan_ms
        self._floor = floor_ms
        self._groups: collections.OrderedDict[str, _Group] = collections.OrderedDict()
        self._changed: dict[str, None] = {}
        self._waiting: dict[str, None] = {}
        self._held = 0
        self._pruned_ms = 0
        self.evicted = 0

    def take(self, group: str, hit: Hit, doc: Event) -> None:
        known = self._groups.get(group)
        if known is None:
            known = self._groups[group] = _Group(self._of)
        self._groups.move_to_end(group)
        if not known.insert(hit, doc):
            return
        self._held += 1
        self._changed[group] = None
        if not self._of.grows:
            self._note(group, known, hit.at_ms)
        self._bound(group, known)

    def known(self, group: str, at_ms: int, value: str) -> None:
        """Nothing: a window is found again and recognised by its id."""

    def due(self, now_ms: int) -> Iterator[Finding]:
        if self._of.grows:
            for name in list(self._changed):
                known = self._groups.get(name)
                if known is not None and known.dirty >= 0:
                    yield from self._sweep(name, known)
        else:
            for name in list(self._waiting):
                known = self._groups.get(name)
                if known is not None:
                    yield from self._judge(name, known, now_ms)
                if known is None or not known.todo:
                    del self._waiting[name]
        self._changed.clear()
        if now_ms - self._pruned_ms >= max(min(self._span, 300_000), 10_000):
            self._pruned_ms = now_ms
            self._prune(now_ms)

    def _sweep(self, name: str, group: _Group) -> Iterator[Finding]:
        hits, span = group.hits, self._span
        start, group.dirty = group.dirty, -1
        if start != group.swept:
            group.tally = Tally(self._of)
            group.left, _ = group.between(hits[start].at_ms - span + 1, 0)
            for hit in hits[group.left : start]:
                group.tally.add(hit)
        tally, left = group.tally, group.left
        found = []
        for at in range(start, len(hits)):
            hit = hits[at]
            tally.add(hit)
            while hits[left].at_ms <= hit.at_ms - span:
                tally.drop(hits[left])
                left += 1
            stretch = hit.at_ms // span
            if stretch not in group.raised and tally.holds(hits, left, at + 1):
                group.raised.add(stretch)
                found.append(self._finding(name, group, str(stretch), left, at + 1))
        group.left, group.swept = left, len(hits)
        yield from found

    def _note(self, name: str, group: _Group, at_ms: int) -> None:
        """Which windows have to be judged, now that there is a hit at this time."""
        if self._of.joint is None:
            group.todo.add(at_ms // self._span)
        else:
            group.todo.add(at_ms)
            if at_ms - self._span < group.judged_ms:  # it is late: those around it may be otherwise now
                first, last = group.between(at_ms - self._span + 1, min(group.judged_ms + 1, at_ms + self._span))
                group.todo.update(hit.at_ms for hit in group.hits[first:last])
        self._waiting[name] = None

    def _judge(self, name: str, group: _Group, now_ms: int) -> Iterator[Finding]:
        span, around = self._span, self._of.joint is not None
        times: dict[str, list[int]] = {}
        for window in sorted(group.todo):
            begin = window if around else window * span
            if begin + span + GRACE_MS > now_ms:
                return
            group.todo.discard(window)
            group.judged_ms = max(group.judged_ms, begin)
            stretch = begin // span
            if stretch in group.raised or begin - (span if around else 0) < self._floor:
                continue
            if around and not times:
                for hit in group.hits:
                    times.setdefault(hit.rule, []).append(hit.at_ms)
            first, last = group.between(begin, begin + span)
            if first < last and (self._around(times, begin) if around else self._holds(group, first, last)):
                group.raised.add(stretch)
                yield self._finding(name, group, str(stretch), first, last)

    def _around(self, times: Mapping[str, list[int]], begin: int) -> bool:
        joint, end = self._of.joint, begin + self._span
        seen = [rule for rule, at in times.items() if bisect.bisect_left(at, begin) < bisect.bisect_left(at, end)]
        before = begin - self._span + 1
        near = [rule for rule, at in times.items() if bisect.bisect_left(at, before) < bisect.bisect_left(at, end)]
        return joint is not None and joint.holds(seen, near)

    def _holds(self, group: _Group, first: int, last: int) -> bool:
        tally = Tally(self._of)
        for hit in group.hits[first:last]:
            tally.add(hit)
        return tally.holds(group.hits, first, last)

    def _finding(self, name: str, group: _Group, part: str, first: int, last: int) -> Finding:
        hits = group.hits[first:last]
        tally = Tally(self._of)
        for hit in hits:
            tally.add(hit)
        measured = tally.measure()
        return Finding(
            self._of,
            name,
            part,
            hits[-1].at_ms,
            len({hit.event or hit.id for hit in hits}),
            hits[0].at_ms,
            hits[-1].at_ms,
            f"{measured:.10g}" if self._of.fields and measured is not None else "",
            sample(hits),
            group.doc,
        )

    def _bound(self, name: str, group: _Group) -> None:
        if len(group.hits) > MAX_HITS:
            self._lose(group, MAX_HITS // 10)
        while len(self._groups) > MAX_GROUPS or self._held > MAX_ALL:
            oldest, lost = next(iter(self._groups.items()))
            if oldest == name:
                self._lose(group, max(len(group.hits) // 10, 1))
                continue
            del self._groups[oldest]
            self._held -= len(lost.hits)
            self.evicted += len(lost.hits)

    def _lose(self, group: _Group, count: int) -> None:
        group.cut(group.hits[count:])
        self._held -= count
        self.evicted += count

    def _prune(self, now_ms: int) -> None:
        """What no window will ask for any more, neither by its own time nor as part of a batch that came late."""
        reach = 2 * self._span if self._of.joint is not None or not self._of.grows else self._span
        oldest = now_ms - reach - GRACE_MS - LATE_MS
        for name, group in list(self._groups.items()):
            if group.touched_ms < oldest and (not group.hits or group.hits[-1].at_ms < oldest):
                del self._groups[name]
                self._held -= len(group.hits)
            elif group.hits and group.hits[0].at_ms < oldest:
                keep = [hit for hit in group.hits if hit.at_ms >= oldest or hit.arrived_ms >= oldest]
                if len(keep) < len(group.hits):
                    self._held -= len(group.hits) - len(keep)
                    group.cut(keep)
                group.raised = {one for one in group.raised if (one + 1) * self._span >= (keep or group.hits)[0].at_ms}
