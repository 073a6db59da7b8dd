"""The count at the end: is every event that a spool accepted stored exactly once, or reported as dropped?

It trusts neither ledger. What is stored is read record by record from the store itself; what the spools accepted
comes from the agents' own disks; and only then are the collector's ledgers held against both.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from agent import identity
from agent.disk import SystemDisk
from agent.home import Home
from agent.spool_ledger import Ledger
from collector.ledger import Account
from collector.query import Kind, Search
from collector.store import Found, Store
from telemetry.event import AGENT_ID, EPOCH, SEQUENCE
from telemetry.intervals import Intervals
from telemetry.ledger import EpochLedger

FOREVER_MS = 4_102_444_800_000
PAGE = 1000
ACTION = "event.action"


@dataclass(frozen=True)
class Accepted:
    """What an agent's spool says of itself, read from its disk after the agent has ended.

    ``collected`` counts all epochs since the spool was made; ``open_epochs`` are those that it still keeps. ``untold``
    are the drops, as epoch, first and last sequence, that no collector has acknowledged a report of: it is not made
    yet, or it waits too.
    """

    agent: str
    collected: int
    open_epochs: tuple[EpochLedger, ...]
    dropped: int = 0
    untold: tuple[tuple[int, int, int], ...] = ()


def accepted_by(home: Path) -> Accepted:
    """Read from the folder of an agent that has ended by itself."""
    return accepted(identity.read(Home(home)).agent, home / "spool")


def accepted(agent: str, spool: Path) -> Accepted:
    ledger = Ledger(SystemDisk(), spool)
    try:
        rows = tuple(state.row(number) for number, state in sorted(ledger.epochs.items()))
        dropped = sum(ledger.dropped.values()) + sum(sum(row.dropped.values()) for row in rows)
        untold = tuple((drop.epoch, drop.first, drop.last) for drop in ledger.drops)
        return Accepted(agent, ledger.collected + sum(row.collected for row in rows), rows, dropped, untold)
    finally:
        ledger.close()


@dataclass
class Stored:
    """What the store holds of one agent, by epoch."""

    events: dict[int, Intervals] = field(default_factory=lambda: defaultdict(Intervals))
    dropped: dict[int, Intervals] = field(default_factory=lambda: defaultdict(Intervals))
    aside: dict[int, Intervals] = field(default_factory=lambda: defaultdict(Intervals))
    doubled: Counter[tuple[int, int]] = field(default_factory=Counter)

    def accounted(self, epoch: int) -> Intervals:
        union = Intervals(self.events[epoch])
        union.update(self.dropped[epoch])
        union.update(self.aside[epoch])
        return union

    @property
    def epochs(self) -> set[int]:
        return {*self.events, *self.dropped, *self.aside}

    @property
    def not_stored(self) -> int:
        """Reported as dropped or set aside, and not stored. Where an agent was cut off after the collector stored a
        batch and before it heard so, it may drop what is stored: that is one event, and it is stored.
        """
        return sum(self.accounted(epoch).count for epoch in self.epochs) - self.count

    @property
    def count(self) -> int:
        return sum(ranges.count for ranges in self.events.values())


def records(store: Store, kind: Kind) -> Iterator[Found]:
    """Every record of a kind, whatever its time."""
    after = ""
    while True:
        page = store.search(Search(0, FOREVER_MS, kind=kind, limit=PAGE, oldest_first=True, after=after))
        yield from page.rows
        after = page.after
        if not after:
            return


def read(store: Store) -> dict[str, Stored]:
    """By agent id."""
    agents: dict[str, Stored] = defaultdict(Stored)
    for found in records(store, Kind.EVENT):
        if SEQUENCE not in found.doc:
            continue  # made by a collector, as scores are
        stored, epoch, sequence = _place(agents, found)
        if not stored.events[epoch].add(sequence):
            stored.doubled[epoch, sequence] += 1
        doc = found.doc
        if doc.get(ACTION) == "dropped" and "tengwang.drop.first" in doc:
            first, last = int(str(doc["tengwang.drop.first"])), int(str(doc["tengwang.drop.last"]))
            stored.dropped[int(str(doc["tengwang.drop.epoch"]))].add(first, last)
    for found in records(store, Kind.ASIDE):
        if SEQUENCE in found.doc:
            stored, epoch, sequence = _place(agents, found)
            stored.aside[epoch].add(sequence)
    return dict(agents)


def _place(agents: dict[str, Stored], found: Found) -> tuple[Stored, int, int]:
    doc = found.doc
    return agents[str(doc[AGENT_ID])], int(str(doc[EPOCH])), int(str(doc[SEQUENCE]))


def problems(accepted: Accepted, stored: Stored, account: Account) -> Iterator[str]:
    """Everything that is wrong with one agent's delivery; nothing where all is well."""
    for (epoch, sequence), times in stored.doubled.items():
        yield f"{accepted.agent}: {epoch}/{sequence} is stored {times + 1} times"
    rows = {row.epoch: row for row in accepted.open_epochs}
    untold: dict[int, Intervals] = defaultdict(Intervals)
    for epoch, first, last in accepted.untold:
        untold[epoch].add(first, last)
    finished = 0
    for epoch in sorted(stored.epochs | set(rows) | set(untold)):
        union = stored.accounted(epoch)
        union.update(untold[epoch])
        row = rows.get(epoch)
        finished += 0 if row else union.highest
        collected = row.collected if row else union.highest
        lost = union.missing(1, collected)
        waiting = row.spooled if row else 0
        if lost.count > waiting:
            yield f"{accepted.agent}: of epoch {epoch}, {lost.count - waiting} of {collected} are lost: {lost}"
        if union.highest > collected:
            yield f"{accepted.agent}: epoch {epoch} holds {union.highest}, the spool accepted {collected}"
    expected = accepted.collected - sum(row.collected for row in rows.values())
    if finished != expected:
        yield f"{accepted.agent}: finished epochs hold {finished} events, the spool accepted {expected}"
    dropped = sum(account.dropped.values())
    if not account.adds_up or account.missing or account.collected != account.stored + account.spooled + dropped:
        yield f"{accepted.agent}: the collector's ledger does not add up: {account}"
    if account.stored != stored.count:
        yield f"{accepted.agent}: the collector's ledger says {account.stored} stored, the store holds {stored.count}"
    if dropped != stored.not_stored:
        yield f"{accepted.agent}: the ledger says {dropped} dropped, the events that report it {stored.not_stored}"


def audit(store: Store, accepted: Iterable[Accepted], accounts: Iterable[Account]) -> list[str]:
    """All problems of all agents."""
    found = read(store)
    by_agent = {account.agent: account for account in accounts}
    out = []
    for each in accepted:
        if each.agent not in by_agent:
            out.append(f"{each.agent}: the collector has no ledger of it")
            continue
        out += problems(each, found.get(each.agent, Stored()), by_agent[each.agent])
    return out
