"""The collector's side of the ledger: *collected = stored + spooled + dropped(reason)*, for every agent.

An agent numbers its events 1, 2, 3 ... within an epoch (telemetry/ledger.py). For each epoch this side keeps, as
ranges, which numbers it has stored, set aside, or heard to be dropped and why, and what the agent last said of itself.
A number that nobody accounts for is **missing**: a loss that nobody reported, and the reason why this file exists.

- Saved as ``ledger/<agent>/<epoch>/<collector>`` before the batch is acknowledged. Noting a number twice changes
  nothing, so a batch that comes again after a crash between store and save leaves the same ledger.
- Each collector writes only its own documents; an account is their union.
- Within an epoch numbers arrive in order, so a document is a few ranges. A hostile or broken agent could make many:
  beyond ``MAX_RANGES`` the lower half is folded into counts, beyond ``MAX_EPOCHS`` the oldest epoch is forgotten.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

import msgspec

from collector.store import Conflict, Store
from telemetry.errors import Transient
from telemetry.intervals import Intervals, Range
from telemetry.ledger import MAX_TOLD, DropReason, EpochLedger

PREFIX = "ledger/"
MAX_RANGES = 4096
MAX_EPOCHS = 4096
SET_ASIDE = "set_aside"
"""Reason of what the collector itself could not take: kept among the records set aside, with why."""
REASONS = frozenset(DropReason) | {SET_ASIDE}


class EpochAccount(msgspec.Struct, frozen=True):
    """One epoch: ``collected = stored + spooled + sum(dropped) + missing``."""

    epoch: int
    collected: int
    stored: int
    spooled: int
    dropped: dict[str, int]
    missing: int


class Account(msgspec.Struct, frozen=True):
    """One agent, all epochs. ``missing`` are numbers that nobody accounted for; it adds up where there are none."""

    agent: str
    collected: int
    stored: int
    spooled: int
    dropped: dict[str, int]
    missing: int
    adds_up: bool
    epochs: tuple[EpochAccount, ...] = ()


class Page(msgspec.Struct):
    """What one collector knows of one epoch; this is also the form in the store.

    ``settled`` counts, by reason (empty: stored), the numbers up to ``floor`` whose ranges were folded away.
    ``said``: epoch and sequence of the status event that ``collected`` and ``spooled`` are from.
    """

    stored: list[Range] = []
    dropped: dict[str, list[Range]] = {}
    collected: int = 0
    spooled: int = 0
    said: tuple[int, int] = (0, 0)
    floor: int = 0
    settled: dict[str, int] = {}


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Page).decode


class Epoch:
    """The ranges of one epoch; ``""`` is the class of what is stored, the others are reasons."""

    __slots__ = ("collected", "dirty", "floor", "said", "sets", "settled", "spooled", "version")

    def __init__(self) -> None:
        self.sets: dict[str, Intervals] = {"": Intervals()}
        self.collected = self.spooled = self.floor = self.version = 0
        self.said = (0, 0)
        self.settled: dict[str, int] = {}
        self.dirty = False

    def note(self, reason: str, first: int, last: int) -> None:
        first = max(first, self.floor + 1)
        known = self.sets.setdefault(reason, Intervals())
        if first <= last and known.add(first, last):
            self.dirty = True
            if known.ranges > MAX_RANGES:
                self._fold(sorted(known)[MAX_RANGES // 2][1])

    def status(self, said: tuple[int, int], row: EpochLedger) -> None:
        """What the agent says; an older word than the one known is of no use."""
        if said > self.said:
            self.said, self.collected, self.spooled = said, max(row.collected, 0), max(row.spooled, 0)
            self.dirty = True

    def union(self, page: Page) -> None:
        """Put what a document says into this epoch."""
        if page.floor > self.floor:
            self.settled, self.floor = dict(page.settled), page.floor
            self._trim()
        for reason, ranges in (("", page.stored), *page.dropped.items()):
            known = self.sets.setdefault(reason, Intervals())
            for first, last in ranges:
                known.add(max(first, self.floor + 1), last)
        if page.said > self.said:
            self.said, self.collected, self.spooled = page.said, page.collected, page.spooled

    def page(self) -> Page:
        dropped = {reason: list(known) for reason, known in self.sets.items() if reason and known}
        return Page(
            list(self.sets[""]), dropped, self.collected, self.spooled, self.said, self.floor, dict(self.settled)
        )

    def account(self, epoch: int) -> EpochAccount:
        """A number that is in two sets counts once: stored goes before set aside, and that before dropped."""
        seen = Intervals()
        counts = dict(self.settled)
        for reason in sorted(self.sets, key=lambda r: (r != "", r != SET_ASIDE, r)):
            counts[reason] = counts.get(reason, 0) + seen.update(self.sets[reason])
        highest = max(seen.highest, self.floor)
        collected = max(self.collected, highest)
        accounted = sum(counts.values())
        # In order within the epoch, so only what lies above the highest known can still be on the agent's disk.
        spooled = min(collected - highest, self.spooled)
        stored = counts.pop("", 0)
        dropped = {reason: count for reason, count in counts.items() if count}
        return EpochAccount(epoch, collected, stored, spooled, dropped, max(collected - accounted - spooled, 0))

    def _fold(self, floor: int) -> None:
        seen = Intervals()
        for reason in sorted(self.sets, key=lambda r: (r != "", r != SET_ASIDE, r)):
            below = self.sets[reason].minus(Intervals([(floor + 1, 2**63)]))
            self.settled[reason] = self.settled.get(reason, 0) + seen.update(below)
        self.floor = floor
        self._trim()

    def _trim(self) -> None:
        low = Intervals([(0, self.floor)])
        for reason, known in self.sets.items():
            self.sets[reason] = known.minus(low)


class Ledgers:
    """The ledgers of all agents. Thread-safe; ``save``, ``load`` and ``refresh`` block on the store."""

    def __init__(self, store: Store, collector_id: str) -> None:
        self._store = store
        self._collector = collector_id
        self._lock = threading.RLock()
        self._own: dict[str, dict[int, Epoch]] = {}
        self._others: dict[str, dict[int, list[Page]]] = {}
        self._dirty: set[tuple[str, int]] = set()
        self._accounts: dict[tuple[str, int], EpochAccount] = {}

    def note_stored(self, agent: str, epoch: int, ranges: Iterable[Range]) -> None:
        """These numbers are in the store."""
        self._note(agent, epoch, "", ranges)

    def note_aside(self, agent: str, epoch: int, ranges: Iterable[Range]) -> None:
        """These numbers came and were set aside with a reason."""
        self._note(agent, epoch, SET_ASIDE, ranges)

    def note_dropped(self, agent: str, epoch: int, first: int, last: int, reason: str) -> None:
        """The agent says that it had to drop these. A reason that this version does not know counts as ``other``."""
        if 0 < first <= last and epoch > 0:
            self._note(agent, epoch, reason if reason in REASONS else "other", [(first, last)])

    def note_status(self, agent: str, said: tuple[int, int], rows: Iterable[EpochLedger]) -> None:
        """What the agent says of its epochs, in the status event that is numbered ``said`` (epoch, sequence)."""
        told = [row for row in rows if row.epoch > 0]
        with self._lock:
            for row in told:
                self._epoch(agent, row.epoch).status(said, row)
                self._touched(agent, row.epoch)
            if len(told) < MAX_TOLD:
                self._nothing_waits(agent, said, {row.epoch for row in told})

    def _nothing_waits(self, agent: str, said: tuple[int, int], told: set[int]) -> None:
        """In earlier epochs that the agent does not tell of nothing waits any more: what is not here by now is lost.

        So a spool that was deleted with something in it shows as missing and not as waiting for ever.
        """
        for number in {*self._own.get(agent, ()), *self._others.get(agent, ())}:
            if number < said[0] and number not in told:
                known = self._epoch_account(agent, number)
                if known.spooled:
                    self._epoch(agent, number).status(said, EpochLedger(number, known.collected, known.stored, 0))
                    self._touched(agent, number)

    def set_aside(self, agent: str, epoch: int, sequence: int) -> bool:
        """Is this number known to be set aside? Then a repeat of it need not be written again."""
        with self._lock:
            known = self._own.get(agent, {}).get(epoch)
            return known is not None and sequence in known.sets.get(SET_ASIDE, ())

    def save(self) -> None:
        """Write what has changed. Raises Transient; then nothing may be acknowledged, and the next save tries again."""
        with self._lock:
            for agent, number in sorted(self._dirty):
                epoch = self._own.get(agent, {}).get(number)
                if epoch is not None and epoch.dirty:
                    self._write(agent, number, epoch)
                self._dirty.discard((agent, number))

    def load(self) -> None:
        """Read what this collector and the others have saved; at start."""
        self._read(own=True)

    def refresh(self) -> None:
        """Read again what the other collectors have saved."""
        self._read(own=False)

    def account(self, agent: str) -> Account:
        """The sum over all epochs of one agent; all zero where nothing is known."""
        with self._lock:
            numbers = sorted({*self._own.get(agent, ()), *self._others.get(agent, ())})
            epochs = tuple(self._epoch_account(agent, number) for number in numbers)
        dropped: dict[str, int] = {}
        for epoch in epochs:
            for reason, count in epoch.dropped.items():
                dropped[reason] = dropped.get(reason, 0) + count
        missing = sum(e.missing for e in epochs)
        collected, stored = sum(e.collected for e in epochs), sum(e.stored for e in epochs)
        spooled = sum(e.spooled for e in epochs)
        return Account(agent, collected, stored, spooled, dropped, missing, missing == 0, epochs)

    def accounts(self) -> list[Account]:
        """One for every agent that ever sent something, by agent id."""
        with self._lock:
            agents = sorted({*self._own, *self._others})
        return [self.account(agent) for agent in agents]

    def _note(self, agent: str, epoch: int, reason: str, ranges: Iterable[Range]) -> None:
        with self._lock:
            known = self._epoch(agent, epoch)
            for first, last in ranges:
                known.note(reason, first, last)
            self._touched(agent, epoch)

    def _epoch(self, agent: str, number: int) -> Epoch:
        epochs = self._own.setdefault(agent, {})
        known = epochs.get(number)
        if known is None:
            if len(epochs) >= MAX_EPOCHS:
                oldest = min(epochs)
                self._store.delete_state(self._key(agent, oldest))
                del epochs[oldest]
            known = epochs[number] = Epoch()
        return known

    def _touched(self, agent: str, number: int) -> None:
        if self._own[agent][number].dirty:
            self._dirty.add((agent, number))
            self._accounts.pop((agent, number), None)

    def _epoch_account(self, agent: str, number: int) -> EpochAccount:
        cached = self._accounts.get((agent, number))
        if cached is None:
            merged = Epoch()
            own = self._own.get(agent, {}).get(number)
            pages = [own.page()] if own is not None else []
            for page in (*pages, *self._others.get(agent, {}).get(number, ())):
                merged.union(page)
            cached = self._accounts[(agent, number)] = merged.account(number)
        return cached

    def _key(self, agent: str, epoch: int) -> str:
        return f"{PREFIX}{agent}/{epoch}/{self._collector}"

    def _write(self, agent: str, number: int, epoch: Epoch) -> None:
        key = self._key(agent, number)
        for _ in range(3):
            try:
                epoch.version = self._store.write_state(key, _encode(epoch.page()), epoch.version)
            except Conflict:  # a page of an earlier life of this collector: both are true
                state = self._store.read_state(key)
                epoch.version = state.version
                if state.version:
                    epoch.union(_decode(state.value))
                continue
            epoch.dirty = False
            return
        raise Transient(f"{key} is being written by another process with the same collector id")

    def _read(self, own: bool) -> None:
        states = self._store.list_state(PREFIX)
        others: dict[str, dict[int, list[Page]]] = {}
        with self._lock:
            for state in states:
                agent, number, collector = state.key.removeprefix(PREFIX).split("/")
                if collector != self._collector:
                    others.setdefault(agent, {}).setdefault(int(number), []).append(_decode(state.value))
                elif own:
                    epoch = self._own.setdefault(agent, {}).setdefault(int(number), Epoch())
                    epoch.union(_decode(state.value))
                    epoch.version = state.version
            changed = self._others.keys() | others.keys()
            self._others = others
            for key in [k for k in self._accounts if k[0] in changed]:
                del self._accounts[key]


def ranges(numbers: Iterable[int]) -> list[Range]:
    """Rising numbers as closed ranges."""
    made: list[Range] = []
    first = last = 0
    for number in numbers:
        if number != last + 1 or not first:
            if first:
                made.append((first, last))
            first = number
        last = number
    if first:
        made.append((first, last))
    return made


def drop_counts(account: Account) -> Mapping[str, int]:
    """Every reason that exists with its count, also where it is 0; for metrics."""
    return {reason: account.dropped.get(reason, 0) for reason in sorted(REASONS)}
