"""What the correlator keeps of each correlation: hits in, findings out. The seam between correlate.py and its kinds.

Everything goes by the time of the events. ``take`` may be given hits late, twice and in any order; ``due`` says what is
to be raised. What is found does not depend on the order in which hits came, and is the same after everything was read
again, so an alert's id is made of the rule, the group and the finding's ``part``: a restart raises nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import msgspec

from collector.detect.correlation import Correlation
from telemetry.event import Event

GRACE_MS = 30_000
"""How long after its end a window is judged whose answer more hits could still change."""
LATE_MS = 600_000
"""How much later than others a hit may arrive and still count with them."""
MAX_GROUPS = 50_000
MAX_HITS = 20_000
"""Of one group; twice what a condition may count to."""
MAX_ALL = 400_000
"""Of one correlation."""
MAX_SAMPLE = 25


class Hit(NamedTuple):
    """One hit, ordered by time. ``arrived_ms`` is when a collector received its event."""

    at_ms: int
    id: str
    rule: str
    value: str
    event: str
    arrived_ms: int


class Finding(msgspec.Struct, frozen=True):
    """``part``: which window or episode of the group. ``doc``: fields of the newest hit, to be copied."""

    correlation: Correlation
    group: str
    part: str
    at_ms: int
    count: int
    first_ms: int
    last_ms: int
    value: str
    events: tuple[str, ...]
    doc: Event
    proves_end: bool = False
    """It is no alert: what was found before is over."""


class Watch(Protocol):
    """One correlation. ``begun_ms``: hits that arrived before were read from the store, as far as its memory goes."""

    evicted: int

    def take(self, group: str, hit: Hit, doc: Event) -> None: ...

    def due(self, now_ms: int) -> Iterator[Finding]: ...

    def known(self, group: str, at_ms: int, value: str) -> None:
        """An alert about this group was raised before a restart."""


def sample(hits: list[Hit]) -> tuple[str, ...]:
    """Ids of the first and the last events behind a finding, each once."""
    some = hits if len(hits) <= 2 * MAX_SAMPLE else hits[:MAX_SAMPLE] + hits[-MAX_SAMPLE:]
    return tuple(dict.fromkeys(hit.event for hit in some if hit.event))
