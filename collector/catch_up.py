"""Reads alerts and hits from the store that the leader did not get from its own pipeline.

Two occasions: other collectors write to the same store (asked about again and again), and after a start, a take-over
or an overflow of the feed (everything that may not have been looked at, once).

What has arrived is known by ``event.ingested``, which is the clock of the collector that wrote it. So there is one
cursor for each collector, in that collector's own time: a clock that is a day off matters to nobody, and where one
was set back the cursor follows (collector/clock_notes.py). Records become visible a while after that time (a queue,
Elasticsearch's refresh), so each question reaches back by an overlap, and what was looked at already is left out by
its id. A store finds records by their *own* time, and most are of now; so it is asked often about the last minutes, now
and then about a day, and seldom about all that is kept, which is where an agent's backlog of last week is found.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from collector import clock_notes
from collector.query import Condition, Equals, Exists, Kind, Not, Range, Search
from collector.store import INGESTED, Record, Store, time_of
from telemetry.clock import Clock

COLLECTOR = "tengwang.collector.id"
KINDS = (Kind.ALERT, Kind.HIT)
MINUTE_MS = 60_000
DAY_MS = 86_400_000
OVERLAP_MS = 10 * MINUTE_MS
"""How long a record may take from its arrival until the store shows it."""
FIRST_MS = 60 * MINUTE_MS
"""How far the very first look reaches back, where no cursor was ever saved."""
EVER_MS = 400 * DAY_MS
HEED_S = 5.0
PAGE = 1000
MAX_KNOWN = 200_000


class Reach(msgspec.Struct, frozen=True):
    """Own times within ``around_ms`` of now, asked about every ``every_s``."""

    around_ms: int
    every_s: float
    overlap_ms: int


REACHES = (
    Reach(15 * MINUTE_MS, 1.0, 20_000),
    Reach(26 * 60 * MINUTE_MS, 60.0, OVERLAP_MS),
    Reach(EVER_MS, 900.0, 2 * OVERLAP_MS),
)


class Cursors(msgspec.Struct, frozen=True):
    """Up to which ``event.ingested`` each collector's records were looked at. Saved as ``operations/cursor``.

    ``clocks``: how many of each collector's noted times are heeded already.
    """

    of: Mapping[str, int] = {}
    clocks: Mapping[str, int] = {}


class Known:
    """Ids of what was looked at lately; bounded, the oldest go first."""

    def __init__(self, size: int = MAX_KNOWN) -> None:
        self._size = size
        self._ids: collections.OrderedDict[tuple[Kind, str], None] = collections.OrderedDict()

    def new(self, records: Sequence[Record]) -> list[Record]:
        """Those that were not given before, each once."""
        made = []
        for record in records:
            key = (record.kind, record.id)
            if key not in self._ids:
                self._ids[key] = None
                made.append(record)
        while len(self._ids) > self._size:
            self._ids.popitem(last=False)
        return made

    def forget(self) -> None:
        self._ids.clear()


class CatchUp:
    """For one thread; methods block on the store and may raise Transient."""

    def __init__(self, store: Store, clock: Clock, collector_id: str) -> None:
        self._store = store
        self._clock = clock
        self._own = collector_id
        self._cursors: dict[str, int] = {}
        self._clocks: dict[str, int] = {}
        self._asked: dict[Reach, float] = {}
        self._heeded_at = float("-inf")
        self._strange = False

    def begin(self, cursors: Cursors) -> None:
        self._cursors, self._clocks = dict(cursors.of), dict(cursors.clocks)
        self._asked = {reach: self._clock.monotonic() for reach in REACHES}
        self._heeded_at = float("-inf")

    @property
    def cursors(self) -> Cursors:
        return Cursors(dict(self._cursors), dict(self._clocks))

    def note(self, records: Sequence[Record]) -> None:
        """These were looked at by every part."""
        marks: dict[str, int] = {}
        mark(marks, records)
        self.advance(marks)

    def advance(self, marks: Mapping[str, int]) -> None:
        for who, at in marks.items():
            self._cursors[who] = max(self._cursors.get(who, 0), at)

    def everything(self) -> Iterator[list[Record]]:
        """All of every collector that may not have been looked at, in pages."""
        self._heed_clocks()
        lowest = self._clock.now_ms() - FIRST_MS
        for who, at in self._cursors.items():
            if who:
                yield from self._read(EVER_MS, Equals(COLLECTOR, (who,)), Range(INGESTED, at - OVERLAP_MS))
        without = Range(INGESTED, self._cursors.get("", lowest) - OVERLAP_MS)
        yield from self._read(EVER_MS, Not(Exists(COLLECTOR)), without)
        strangers = () if any(self._cursors) else (Range(INGESTED, lowest),)
        yield from self._read(EVER_MS, Exists(COLLECTOR), *self._strangers(), *strangers)

    def of_others(self) -> Iterator[list[Record]]:
        """What other collectors wrote since, where there are any; asks only as often as each reach says."""
        mono = self._clock.monotonic()
        if mono - self._heeded_at >= HEED_S:
            self._heeded_at = mono
            self._heed_clocks()
        if not self._strange:
            return
        for reach in REACHES:
            if mono - self._asked.get(reach, float("-inf")) < reach.every_s:
                continue
            self._asked[reach] = mono
            others = [(who, at) for who, at in self._cursors.items() if who not in ("", self._own)]
            for who, at in others:
                newer = Range(INGESTED, at - reach.overlap_ms)
                yield from self._read(reach.around_ms, Equals(COLLECTOR, (who,)), newer)
            own = Not(Equals(COLLECTOR, (self._own,)))
            yield from self._read(reach.around_ms, Exists(COLLECTOR), own, *self._strangers())

    def _strangers(self) -> tuple[Condition, ...]:
        known = tuple(who for who in self._cursors if who)
        return (Not(Equals(COLLECTOR, known)),) if known else ()

    def _heed_clocks(self) -> None:
        for who, noted in clock_notes.noted(self._store):
            self._strange = self._strange or who != self._own
            times = noted.after(self._clocks.get(who, 0))
            self._clocks[who] = noted.count
            if who in self._cursors and times:
                self._cursors[who] = min(self._cursors[who], *times)

    def _read(self, around_ms: int, *where: Condition) -> Iterator[list[Record]]:
        now = self._clock.now_ms()
        for kind in KINDS:
            after = ""
            while True:
                query = Search(max(now - around_ms, 0), now + around_ms, where, kind, PAGE, True, after)
                found = self._store.search(query)
                if found.rows:
                    yield [Record(kind, row.id, row.doc) for row in found.rows]
                after = found.after
                if not after:
                    break


def mark(marks: dict[str, int], records: Sequence[Record]) -> None:
    """The newest arrival of each collector among these; what a whole question gave need not be held for that."""
    for record in records:
        if record.kind in KINDS and INGESTED in record.doc:
            who = str(record.doc.get(COLLECTOR, ""))
            marks[who] = max(marks.get(who, 0), time_of(record, INGESTED))
