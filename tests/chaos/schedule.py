"""Which faults happen when: a pure function of the seed, so that a run can be repeated.

At most one fault at a time per target, and never more than one Elasticsearch node of three.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Sequence
from dataclasses import dataclass

HOUR_MS = 3_600_000
OFFSETS_MS = (-30 * 24 * HOUR_MS, -26 * HOUR_MS, -HOUR_MS, -1500, 1500, HOUR_MS, 26 * HOUR_MS)


class Kind(enum.StrEnum):
    """What is done; healed after the fault's duration."""

    KILL_AGENT = "kill agent"
    KILL_COLLECTOR = "kill collector"
    STOP_AGENT = "stop agent"
    STOP_COLLECTOR = "stop collector"
    KILL_NODE = "kill elasticsearch node"
    READ_ONLY = "indices read-only"
    CUT_LINK = "cut link"
    FILL_SPOOL = "fill spool disk"
    FILL_STORE = "fill store disk"
    AGENT_CLOCK = "move agent clock"
    COLLECTOR_CLOCK = "move collector clock"


@dataclass(frozen=True)
class Fault:
    """``at`` and ``seconds`` count from the start of the run; ``target`` says which agent, link or node."""

    at: float
    seconds: float
    kind: Kind
    target: str
    offset_ms: int = 0

    def __str__(self) -> str:
        moved = f" by {self.offset_ms / 1000:+.0f} s" if self.kind in (Kind.AGENT_CLOCK, Kind.COLLECTOR_CLOCK) else ""
        return f"{self.kind.value} {self.target}{moved} for {self.seconds:.1f} s"


@dataclass(frozen=True)
class Targets:
    """What there is to break. ``nodes`` is 0 with the embedded store."""

    agents: Sequence[str]
    links: Sequence[str]
    nodes: int = 0
    collectors: Sequence[str] = ("collector",)


def make(seed: int, count: int, targets: Targets) -> list[Fault]:
    """``count`` faults in the order in which they begin."""
    chance = random.Random(seed)
    kinds = [k for k in Kind if targets.nodes or k not in (Kind.KILL_NODE, Kind.READ_ONLY)]
    if targets.nodes:
        kinds.remove(Kind.FILL_STORE)
    order: list[Kind] = []
    while len(order) < count:  # every kind comes about equally often, in a random order
        order += chance.sample(kinds, len(kinds))
    gap = 5.5 if targets.nodes else 2.5  # a node that comes back needs its time, and more should happen meanwhile
    busy: dict[str, float] = {}
    faults = []
    now = 2.0
    for kind in order[:count]:
        target = _target(kind, targets, chance)
        resource = _resource(kind, target)
        seconds = round(chance.uniform(2, 6) if kind is Kind.KILL_NODE else chance.uniform(0.5, 4), 1)
        now += chance.uniform(0.2, gap)
        at = round(max(now, busy.get(resource, 0.0)), 1)
        busy[resource] = at + seconds + (25 if kind is Kind.KILL_NODE else 1)
        moved = chance.choice(OFFSETS_MS) if kind in (Kind.AGENT_CLOCK, Kind.COLLECTOR_CLOCK) else 0
        faults.append(Fault(at, seconds, kind, target, moved))
    return sorted(faults, key=lambda fault: fault.at)


def _target(kind: Kind, targets: Targets, chance: random.Random) -> str:
    if kind in (Kind.KILL_AGENT, Kind.STOP_AGENT, Kind.FILL_SPOOL, Kind.AGENT_CLOCK):
        return chance.choice(targets.agents)
    if kind is Kind.CUT_LINK:
        return chance.choice(targets.links)
    if kind is Kind.KILL_NODE:
        return str(chance.randrange(targets.nodes))
    if kind is Kind.READ_ONLY:
        return "elasticsearch"
    if kind is Kind.FILL_STORE or len(targets.collectors) == 1:
        return targets.collectors[0]
    return chance.choice(targets.collectors)


def _resource(kind: Kind, target: str) -> str:
    """What two faults may not share at the same time."""
    if kind in (Kind.KILL_NODE, Kind.READ_ONLY):
        return "cluster"
    if kind in (Kind.CUT_LINK, Kind.FILL_SPOOL, Kind.FILL_STORE):
        return f"{kind.value} {target}"
    return target
