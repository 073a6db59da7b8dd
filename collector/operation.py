"""What the leading collector does all the time: the seam between collector/operations.py and its parts.

Of several collectors on one store one leads (collector/lease.py). Its operations thread goes through the parts in
this order, about once a second and at once when something arrives:

    correlate   hits -> alerts                 collector/detect
    group       alerts -> incidents            collector/incidents
    verify      hits with role proof, quiet    collector/incidents
    respond     orders, their effect, undo     collector/response
    escalate    who is told of what, and when  collector/incidents
    posture     scores and warnings            collector/posture

A part keeps in memory only what it can read again from the store, for another collector may lead at any time. What it
writes is recognised when it is written twice: ids are made of what they are about. A fault in a part is counted and
logged; the other parts go on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from collector.store import Record


@dataclass
class News:
    """What is new since the step before. A part may append what it raised (stored already) for those after it."""

    now_ms: int
    alerts: list[Record] = field(default_factory=list)
    hits: list[Record] = field(default_factory=list)
    again: bool = False
    """Read from the store after a start, a take-over or an overflow: most of it was looked at before."""


class Part(Protocol):
    """``name`` is the word in metrics and logs. Methods block on the store and may raise Transient."""

    name: str

    def begin(self, now_ms: int) -> None:
        """This collector leads from now on: forget what is in memory, read what is needed from the store."""

    def step(self, news: News) -> None:
        """Look at what is new, and at what time alone brings."""
