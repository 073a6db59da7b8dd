"""How long there is until an incident must be reported. A pure function of incident, regulations and time.

A clock holds from when a person confirmed a grade that it is for; it counts from when the incident was found, so one
that is graded late may be over at once, and says so.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

import msgspec

from collector.incidents.model import Incident, State
from collector.incidents.reporting import Both, Clock, Operator, Regulation


class Phase(enum.StrEnum):
    WAITING = "waiting"
    """It starts when something else has come to pass: a report, or the end of the handling."""
    RUNNING = "running"
    WARNING = "warning"
    OVERDUE = "overdue"
    DONE = "done"


class Countdown(msgspec.Struct, frozen=True, kw_only=True):
    """One clock of one incident. Times are 0 while it waits."""

    id: str
    title: Both
    to: Both
    phase: Phase
    ours: bool
    started_ms: int = 0
    warn_ms: int = 0
    due_ms: int = 0
    done_ms: int = 0
    article: str
    quote: str
    regulation: Both
    source: str

    @property
    def done(self) -> bool:
        return self.phase is Phase.DONE


def clocks(
    incident: Incident, regulations: Sequence[Regulation], now_ms: int, operator: Operator = "other"
) -> tuple[Countdown, ...]:
    """All that hold for this incident, in the order of the files; none where no person graded it."""
    if incident.grade is None or incident.merged_into or incident.state is State.FALSE_POSITIVE:
        return ()
    who: Operator = "cii" if incident.cii else operator
    return tuple(
        _countdown(clock, regulation, incident, now_ms)
        for regulation in regulations
        for clock in regulation.clocks
        if who in clock.who and incident.grade in clock.grades
    )


def _countdown(clock: Clock, regulation: Regulation, incident: Incident, now_ms: int) -> Countdown:
    started = _start(clock, incident)
    due = started + clock.within_ms if started else 0
    warn = due - clock.warn_ms if started else 0
    done = incident.clocks.get(f"{clock.id}:done", 0)
    phase = (
        Phase.DONE
        if done
        else Phase.WAITING
        if not started
        else Phase.OVERDUE
        if now_ms >= due
        else Phase.WARNING
        if now_ms >= warn
        else Phase.RUNNING
    )
    return Countdown(
        id=clock.id,
        title=clock.title,
        to=clock.to,
        phase=phase,
        ours=clock.ours,
        started_ms=started,
        warn_ms=warn,
        due_ms=due,
        done_ms=done,
        article=clock.article,
        quote=clock.quote,
        regulation=regulation.title,
        source=regulation.source,
    )


def _start(clock: Clock, incident: Incident) -> int:
    match clock.start:
        case "found":
            return incident.found_ms
        case "ended":
            return incident.closed_ms if incident.state is State.CLOSED else 0
        case _:
            return incident.clocks.get(f"{clock.after}:done", 0)
