"""From which state an incident may go to which, and what a change leaves on record. Pure: time is passed in.

    found -> notified -> acknowledged -> handling -> verifying -> closed
                                                               \\-> false_positive
Steps may be left out, none may be gone back, but by coming back: what was over and is seen again is found (or handled)
once more, with all that is on record about it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from collector.incidents.model import OPEN, Entry, Incident, State
from telemetry.errors import Permanent

MAX_ENTRIES = 200
MAX_NOTE = 4_000
S = State

ALLOWED: Mapping[State, frozenset[State]] = {
    S.FOUND: frozenset({S.NOTIFIED, S.ACKNOWLEDGED, S.HANDLING, S.VERIFYING, S.CLOSED, S.FALSE_POSITIVE}),
    S.NOTIFIED: frozenset({S.ACKNOWLEDGED, S.HANDLING, S.VERIFYING, S.CLOSED, S.FALSE_POSITIVE}),
    S.ACKNOWLEDGED: frozenset({S.HANDLING, S.VERIFYING, S.CLOSED, S.FALSE_POSITIVE}),
    S.HANDLING: frozenset({S.VERIFYING, S.CLOSED, S.FALSE_POSITIVE}),
    S.VERIFYING: frozenset({S.FOUND, S.ACKNOWLEDGED, S.HANDLING, S.CLOSED, S.FALSE_POSITIVE}),
    S.CLOSED: frozenset({S.FOUND}),
    S.FALSE_POSITIVE: frozenset({S.FOUND}),
}


def is_open(incident: Incident) -> bool:
    return incident.state in OPEN and not incident.merged_into


def noted(incident: Incident, entry: Entry) -> Incident:
    """The incident with one more line on its record; the oldest lines beyond the bound are only in the store."""
    if len(entry.note) > MAX_NOTE:
        entry = msgspec.structs.replace(entry, note=entry.note[: MAX_NOTE - 1] + "…")
    return msgspec.structs.replace(incident, entries=(*incident.entries, entry)[-MAX_ENTRIES:])


def moved(incident: Incident, state: State, at_ms: int, by: str, note: str = "", measured: bool = False) -> Incident:
    """The incident in another state, with its entry and times. Raises Permanent ``not_allowed``.

    ``measured``: a measurement says so, not a person.
    """
    before = incident.state
    if incident.merged_into:
        raise Permanent("not_allowed", f"incident {incident.id} was merged into {incident.merged_into}")
    if state not in ALLOWED[before]:
        raise Permanent("not_allowed", f"from {before.value} an incident can not become {state.value}")
    times: dict[str, int | str] = {}
    match state:
        case State.ACKNOWLEDGED if before is not State.VERIFYING:
            times = {"acknowledged_ms": at_ms, "acknowledged_by": by}
        case State.HANDLING if not incident.acknowledged_ms and not measured:
            times = {"acknowledged_ms": at_ms, "acknowledged_by": by}
        case State.VERIFYING:
            times = {"verifying_ms": at_ms}
        case State.CLOSED | State.FALSE_POSITIVE:
            times = {"closed_ms": at_ms}
    if before is State.VERIFYING and state in OPEN:
        times["verifying_ms"] = 0
    changed = msgspec.structs.replace(incident, state=state, **times)
    action = "acknowledged" if state is State.ACKNOWLEDGED and before is not State.VERIFYING else "state"
    data: dict[str, str | int | float | bool | list[str]] = {"from": before.value, "to": state.value}
    if measured:
        data["measured"] = True
    return noted(changed, Entry(at_ms, by, action, note, data))


def reopened(incident: Incident, at_ms: int, by: str, note: str) -> Incident:
    """A closed incident is found once more: people are told again, and its record goes on."""
    if incident.merged_into or incident.state not in (State.CLOSED, State.FALSE_POSITIVE):
        raise Permanent("not_allowed", f"incident {incident.id} is not closed ({incident.state.value})")
    data: dict[str, str | int | float | bool | list[str]] = {"from": incident.state.value, "to": State.FOUND.value}
    changed = msgspec.structs.replace(
        incident,
        state=State.FOUND,
        reopened=incident.reopened + 1,
        acknowledged_ms=0,
        acknowledged_by="",
        contained_ms=0,
        verifying_ms=0,
        closed_ms=0,
        escalation_ms=0,
        escalation_steps=0,
    )
    return noted(changed, Entry(at_ms, by, "reopened", note, data))


def returned(incident: Incident, at_ms: int) -> Incident:
    """It was being verified and is seen again: back to where it was before."""
    state = State.HANDLING if incident.acknowledged_ms else State.FOUND
    changed = moved(incident, state, at_ms, "system", "seen again", measured=True)
    return msgspec.structs.replace(changed, proof_ms=0, contained_ms=0)
