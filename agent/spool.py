"""The spool: a disk queue between the inputs and the uplink. A record is freed only on the collector's ack.

Promise
    ``append`` returns when the records are on the disk (fsync) and have their sequences: from then on each of them is
    *collected*, and the ledger *collected = acked + spooled + dropped(reason)* holds for it through kill -9, power
    loss, a full disk and damaged files. What an unfinished ``append`` wrote is taken up where it is whole.

Lanes, epochs, sequences
    Each priority (telemetry/event.py) has its own lane, and in each run of the program its own epoch, in which
    sequences count 1, 2, 3 ... without a gap: ``epoch = boot * 8 + priority``. ``boot`` is the greater of the last
    boot + 1 and the wall clock in ms; it is on the disk before the first append, so epochs rise over restarts also
    when the clock goes back, and differ from those of a spool that was deleted. Lanes are sent and dropped from their
    old end, so what is acked or dropped of an epoch is a handful of ranges. One sequence for all priorities would make
    a range of every flush (1.2 million in a week's outage), which agent, wire and collector had to carry.

Files, all mode 0600
    ``<epoch>-<first sequence>.page``  frames of one epoch, up to ``page_bytes``; only the newest of a lane is written.
    ``ledger.0``, ``ledger.1``         agent/spool_ledger.py, which says how they are kept.

    frame = head, table, records, tail. All numbers little-endian:
    mark (head or tail): "TWh1" or "TWt1", epoch u64, first sequence u64, count u32, size u32 (of table and records),
                 stamp u64, CRC-32 of all that u32
    table:       ``count`` lengths u32, then ``count`` CRC-32 u32, one for each record
    records:     the events' JSON, one after another; sequences are first, first + 1 ...
    ``stamp`` is spool time: milliseconds that the agent ran since the spool was made. Age is counted in it, so a wrong
    wall clock drops nothing, and neither does a host that was off for a month.

Damage
    A flipped bit costs one record (its CRC), or from a length in the table on the rest of its frame; one mark costs
    nothing (head and tail say the same), both marks their frame: reading goes on at the next whole mark. A missing page
    costs that page. Since sequences have no gap, what is lost is known exactly, whatever the damage: it is dropped with
    reason ``corrupt``. A frame whose end was torn off by a crash was never accepted; nobody else gets its sequences,
    because the epoch ends with the run.

Bounds
    ``max_bytes`` on the disk: the oldest page of the lowest priority is dropped first (``full``). A record is never let
    in by dropping a higher priority; it is then dropped itself. ``max_age``: pages wholly older are dropped (``age``).
    What this run has sent without an ack since may be stored over there, and would be both stored and reported as
    dropped. It is spared until a collector answers: of ``age`` the records themselves, of ``full`` their page. As lanes
    are sent from the old end, that is one batch a lane at most. The ledger keeps it over a restart; after a kill, when
    its last state may be missing, the oldest page of each lane is spared instead.
    No room on the disk: ``append`` raises Transient and changes nothing, so the caller keeps the records and tries
    again; with ``pressing`` (the caller's memory is full) pages of lower priorities make room, and where there are
    none the records themselves are dropped (``disk_full``).
    Every drop is in the saved ledger before its page is unlinked, and stays there until the event that reports it
    is acked.

Order
    FINDING and LEDGER go first, so an alarm does not wait behind a week of flows; the rest by age, old epochs first.
    Within a lane always oldest first. ``read(bulk=True)`` turns it round; the uplink does so at every fourth batch, so
    nothing starves.
"""

from __future__ import annotations

import collections
import errno
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from agent.disk import Disk, SystemDisk
from agent.spool_lane import Lane, Page, open_page, parse_name
from agent.spool_ledger import NAMES, Drop, EpochState, Ledger
from telemetry.clock import Clock
from telemetry.errors import Transient
from telemetry.event import Priority
from telemetry.intervals import Intervals, Range
from telemetry.ledger import DropReason, EpochLedger
from telemetry.report import Report

LANES = 8
URGENT = (Priority.FINDING, Priority.LEDGER)
MAX_PAGES = 8192
SAVE_SECONDS = 5.0


class Chunk(msgspec.Struct, frozen=True):
    """Records to send: one epoch, rising sequences, JSON bytes."""

    priority: Priority
    epoch: int
    records: list[tuple[int, bytes]]


class Account(msgspec.Struct, frozen=True):
    """The ledger now: collected = acked + spooled + sum of dropped. ``epochs`` are those not finished."""

    collected: int
    acked: int
    spooled: int
    dropped: dict[str, int]
    bytes: int
    waiting: dict[str, int]
    epochs: tuple[EpochLedger, ...] = ()


class Spool:
    """Safe for several threads. One process at a time may have a folder (agent/home.py holds the lock)."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        report: Report,
        *,
        max_bytes: int = 512 * 1024 * 1024,
        max_age: float = 7 * 86_400,
        page_bytes: int = 2 * 1024 * 1024,
        disk: Disk | None = None,
        agent: str = "",
    ) -> None:
        """Take up what is there and begin a new run. Raises OSError, ConfigError (written by a newer program).

        ``agent`` is the identity that it is sent under. Where that is a new one, its ledger begins anew with what
        still waits; the numbers before are told as dropped ``elsewhere``, as this collector never saw them.
        """
        self._disk = disk or SystemDisk()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._clock, self._report = folder, clock, report
        self._max_bytes, self._max_age, self._lock = max_bytes, max_age, threading.RLock()
        self._lanes = {p: Lane(self._disk, folder, min(page_bytes, max(1, max_bytes // 8))) for p in Priority}
        self._ledger = Ledger(self._disk, folder)
        self.clean = self._ledger.clean or self._ledger.new
        """Did the former run (if there was one) close the spool?"""
        self._started = clock.monotonic()
        self._began = self._ledger.time
        self._reading = (0, 0)
        self._doomed: list[Page] = []
        self._saved_at = self._started
        self._dirty = self._closed = False
        self._take_up()
        if agent != self._ledger.agent:
            self._ledger.begin_anew(agent)
        self._ledger.boot = max(self._ledger.boot + 1, clock.now_ms())
        self._ledger.clean = False
        self._save()

    @property
    def boot(self) -> int:
        return self._ledger.boot

    def _take_up(self) -> None:
        names = [
            (found, name)
            for name in self._disk.names(self._folder)
            if (found := parse_name(name)) and found[0] % LANES in self._lanes
        ]
        for (epoch, first), name in sorted(names):
            page, torn = open_page(self._disk, self._folder / name, epoch, first)
            state = self._ledger.epochs.setdefault(epoch, EpochState())
            if self._ledger.lost and not state.high:
                state.high = first - 1
                state.ack(1, first - 1)
            if torn:
                self._report.count("tengwang_agent_spool_torn_bytes_total", torn)
            state.high = max(state.high, page.last)
            self._ledger.time = max(self._ledger.time, page.stamp)
            self._ledger.boot = max(self._ledger.boot, epoch // LANES)
            self._lanes[Priority(epoch % LANES)].adopt(page)
        self._began = self._ledger.time
        if self._ledger.lost and names:
            self._report.error("spool", "the ledger is unreadable; what was sent before is not known and not counted")
        for epoch, state in self._ledger.epochs.items():
            present = sorted((p.first, p.last) for lane in self._lanes.values() for p in lane.pages if p.epoch == epoch)
            expect = 1
            for first, last in (*present, (state.high + 1, state.high)):
                self._drop(epoch, expect, first - 1, DropReason.CORRUPT)
                expect = max(expect, last + 1)
        for lane in self._lanes.values():
            for page in list(lane.pages):
                self._free_if_gone(lane, page)
            if lane.pages and not self.clean:
                self.sent(lane.pages[0].epoch, lane.pages[0].last)

    def _now(self) -> int:
        """Spool time."""
        return self._began + int((self._clock.monotonic() - self._started) * 1000)

    # -- writing

    def append(self, priority: Priority, records: Sequence[bytes], pressing: bool = False) -> tuple[int, int, int]:
        """Take records (JSON of events, none empty) in: durable when it returns. Epoch, first and last sequence.

        Raises Transient where the disk does not take them; nothing is changed then. With ``pressing`` it never does.
        """
        with self._lock:
            epoch = self._ledger.boot * LANES + priority
            state = self._ledger.epochs.setdefault(epoch, EpochState())
            first, last = state.high + 1, state.high + len(records)
            if self._make_room(sum(map(len, records)) + 16 * len(records) + 4096, priority):
                while (error := self._write(priority, epoch, first, records)) is not None:
                    if not pressing:
                        raise Transient(f"the spool can not be written: {error.strerror or error}") from error
                    if (victim := self._victim(priority - 1)) is None:
                        self._drop_new(epoch, first, last, DropReason.DISK_FULL)
                        break
                    self._drop_page(*victim, DropReason.DISK_FULL)
                state.high = last
            else:
                self._drop_new(epoch, first, last, DropReason.FULL)
            return epoch, first, last

    def _write(self, priority: Priority, epoch: int, first: int, records: Sequence[bytes]) -> OSError | None:
        try:
            self._sweep()
            self._lanes[priority].write(epoch, first, records, self._now())
        except OSError as error:
            return error
        return None

    def _make_room(self, needed: int, priority: int) -> bool:
        lanes = self._lanes.values()
        if needed > self._max_bytes:
            return False
        while (
            sum(lane.room for lane in lanes) + needed > self._max_bytes
            or sum(len(lane.pages) for lane in lanes) >= MAX_PAGES
        ):
            if (victim := self._victim(priority)) is None:
                return False
            self._drop_page(*victim, DropReason.FULL)
        return True

    def _victim(self, highest: int) -> tuple[Lane, Page] | None:
        """The oldest page of the lowest priority, up to ``highest``, of which no collector may have anything new."""
        for priority, lane in self._lanes.items():
            for page in lane.pages if priority <= highest else ():
                if not self._unanswered(page):
                    return lane, page
        return None

    def _unanswered(self, page: Page) -> int:
        """The newest sequence that may be stored, while there is one that is not acked; else 0."""
        reach = max(self._ledger.sent.get(page.epoch, 0), self._reading[1] if self._reading[0] == page.epoch else 0)
        return reach if self._ledger.epochs[page.epoch].gone.missing(page.first, min(reach, page.last)) else 0

    # -- reading

    def read(self, max_records: int, max_bytes: int, bulk: bool = False) -> Chunk | None:
        """The next records to send, the same again until they are acked or refused; None where nothing waits.

        They count as under way until the next ``read`` or ``put_back``.
        Raises Transient where the disk can not be read.
        """
        with self._lock:
            for lane in self._order(bulk):
                while lane.pages:
                    page = lane.pages[0]
                    state = self._ledger.epochs[page.epoch]
                    try:
                        found, damaged = lane.read(state, max_records, max_bytes)
                    except OSError as error:
                        if error.errno != errno.EIO:
                            raise Transient(f"the spool can not be read: {error.strerror}") from error
                        found, damaged = [], list(range(page.first, page.last + 1))
                    for first, last in Intervals((n, n) for n in damaged):
                        self._drop(page.epoch, first, last, DropReason.CORRUPT)
                    if found:
                        self._reading = (page.epoch, found[-1][0])
                        return Chunk(Priority(page.epoch % LANES), page.epoch, found)
                    if not self._free_if_gone(lane, page):
                        break
            return None

    def _order(self, bulk: bool) -> list[Lane]:
        urgent = [self._lanes[priority] for priority in URGENT]
        rest = [lane for lane in self._lanes.values() if lane not in urgent and lane.pages]
        rest.sort(key=lambda lane: (lane.pages[0].epoch // LANES, lane.pages[0].stamp))
        return rest + urgent if bulk else urgent + rest

    def sent(self, epoch: int, last: int) -> None:
        """Everything of this epoch up to ``last`` may be stored by now, whether that was answered or not."""
        with self._lock:
            if epoch in self._ledger.epochs:
                self._ledger.sent[epoch] = max(self._ledger.sent.get(epoch, 0), last)

    def put_back(self) -> None:
        """What was read last is under way no more."""
        with self._lock:
            self._reading = (0, 0)

    def ack(self, epoch: int, ranges: Iterable[Range]) -> None:
        """The collector has stored these: free them. Ranges that are gone already are passed over."""
        with self._lock:
            state = self._ledger.epochs.get(epoch)
            if state is None or self._closed:
                return
            acked = Intervals(ranges)
            for first, last in acked:
                state.ack(first, last)
            self._ledger.drops = [
                d for d in self._ledger.drops if d.report_epoch != epoch or d.report_sequence not in acked
            ]
            self._settle(epoch)

    def refuse(self, epoch: int, sequence: int) -> None:
        """The collector will never take this record."""
        with self._lock:
            self._drop(epoch, sequence, sequence, DropReason.REFUSED)
            self._settle(epoch)

    def _settle(self, epoch: int) -> None:
        self._dirty = True
        lane = self._lanes[Priority(epoch % LANES)]
        while lane.pages and self._free_if_gone(lane, lane.pages[0]):
            pass
        self._try(self._sweep)

    # -- dropping

    def _drop(self, epoch: int, first: int, last: int, reason: DropReason) -> None:
        state = self._ledger.epochs[epoch]
        for low, high in state.drop(first, last, reason):
            self._dirty = True
            self._report.count("tengwang_agent_dropped_total", high - low + 1, reason=reason.value)
            former = self._ledger.drops[-1] if self._ledger.drops else None
            if former and (former.epoch, former.last + 1, former.reason, former.report_epoch) == (
                epoch,
                low,
                reason,
                0,
            ):
                self._ledger.drops[-1] = msgspec.structs.replace(former, last=high)
            else:
                self._ledger.drops.append(Drop(epoch, low, high, reason.value))
            self._ledger.drops = [
                Drop(d.epoch, d.first, d.last, d.reason)
                if d.report_epoch == epoch and low <= d.report_sequence <= high
                else d
                for d in self._ledger.drops
            ]

    def _drop_new(self, epoch: int, first: int, last: int, reason: DropReason) -> None:
        """Records that never came to a page: the saved ledger alone knows them."""
        self._drop(epoch, first, last, reason)
        self._try(self._save)

    def _drop_page(self, lane: Lane, page: Page, reason: DropReason) -> None:
        self._drop(page.epoch, page.first, page.last, reason)
        lane.take(page)
        self._doomed.append(page)

    def unreported(self) -> list[Drop]:
        """Drops of which no event tells yet."""
        with self._lock:
            return [drop for drop in self._ledger.drops if not drop.report_epoch]

    def reported(self, drops: Sequence[Drop], epoch: int, first: int) -> None:
        """The records ``first``, ``first + 1`` ... of an epoch tell of these drops. Once acked, the drops are over."""
        with self._lock:
            if first in self._ledger.epochs[epoch].gone:
                return
            by = {drop: first + index for index, drop in enumerate(drops)}
            self._ledger.drops = [
                Drop(d.epoch, d.first, d.last, d.reason, epoch, by[d]) if d in by else d for d in self._ledger.drops
            ]
            self._dirty = True

    # -- keeping house

    def _free_if_gone(self, lane: Lane, page: Page) -> bool:
        """Let a page go of which nothing waits, unless it is being written. Says whether it went."""
        state = self._ledger.epochs[page.epoch]
        if lane.writes_to(page) or (page.first <= page.last and not state.gone.holds(page.first, page.last)):
            return False
        lane.take(page)
        self._doomed.append(page)
        return True

    def _sweep(self) -> None:
        """Unlink what is done with: the ledger first, then the pages, then forget the epochs that ended."""
        if not self._doomed:
            return
        self._save()
        while self._doomed:
            self._disk.remove(self._doomed[-1].path)
            self._doomed.pop()
        self._disk.sync_folder(self._folder)
        present = {page.epoch for lane in self._lanes.values() for page in lane.pages}
        for epoch, state in list(self._ledger.epochs.items()):
            if epoch // LANES < self._ledger.boot and epoch not in present and not state.spooled:
                self._ledger.forget(epoch)

    def _save(self) -> None:
        self._ledger.time = self._now()
        self._ledger.save()
        self._dirty = False
        self._saved_at = self._clock.monotonic()

    def _try(self, step: Callable[[], None]) -> bool:
        try:
            step()
        except OSError as error:
            self._report.warn("spool", f"the ledger can not be written: {error.strerror or error}")
            return False
        return True

    def maintain(self) -> None:
        """Drop what is too old, save what changed. To be called every second or so."""
        with self._lock:
            oldest = self._now() - int(self._max_age * 1000)
            for lane in self._lanes.values():
                for page in list(lane.pages):
                    if page.stamp >= oldest:
                        break
                    if sent := self._unanswered(page):
                        self._drop(page.epoch, max(page.first, sent + 1), page.last, DropReason.AGE)
                    else:
                        self._drop_page(lane, page, DropReason.AGE)
            self._try(self._sweep)
            quiet = self._clock.monotonic() - self._saved_at
            if quiet >= (SAVE_SECONDS if self._dirty else 12 * SAVE_SECONDS):
                self._try(self._save)

    def account(self) -> Account:
        with self._lock:
            return _account(self._ledger, sum(lane.room for lane in self._lanes.values()))

    def close(self) -> None:
        """The run ended as it should. A late ack is passed over; nothing else may be called after it."""
        with self._lock:
            self._ledger.clean = True
            self._try(self._sweep)
            self._try(self._save)
            for lane in self._lanes.values():
                lane.close()
            self._ledger.close()
            self._closed = True


def _account(kept: Ledger, size: int) -> Account:
    rows = tuple(state.row(epoch) for epoch, state in sorted(kept.epochs.items()))
    dropped = collections.Counter(kept.dropped)
    waiting: dict[str, int] = {p.name.lower(): 0 for p in Priority}
    for row in rows:
        dropped.update(row.dropped)
        waiting[Priority(row.epoch % LANES).name.lower()] += row.spooled
    return Account(
        collected=kept.collected + sum(row.collected for row in rows),
        acked=kept.acked + sum(row.acked for row in rows),
        spooled=sum(row.spooled for row in rows),
        dropped=dict(dropped),
        bytes=size,
        waiting=waiting,
        epochs=rows,
    )


def account_on_disk(folder: Path) -> Account:
    """The ledger as it was last saved, while nobody uses the spool. Changes nothing. Raises OSError."""
    if not (folder / NAMES[0]).exists():
        return Account(0, 0, 0, {}, 0, {p.name.lower(): 0 for p in Priority})
    kept = Ledger(SystemDisk(), folder)
    try:
        return _account(kept, sum(path.stat().st_size for path in folder.glob("*.page")))
    finally:
        kept.close()
