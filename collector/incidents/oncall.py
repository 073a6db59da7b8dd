"""Who is on call. A pure function of (rotation, overrides, holidays, time): at every instant exactly one person.

An override wins over a holiday, and a holiday over the rotation. Of several overrides that hold at the same time the
one that was made last wins, so whoever takes a shift from somebody who had taken it already has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated

import msgspec

from collector.incidents.holidays import Duty, duties
from collector.incidents.rotation import hand_over, person_of_shift, shift_at
from collector.inventory import Holiday, Rotation

PREFIX = "oncall/override/"
HORIZON_MS = 400 * 86_400_000


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody else for a while. Kept as the state document ``oncall/override/<id>``; always has an end."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}\Z")]
    rotation: str
    person: str
    from_ms: int
    until_ms: int
    made_ms: int
    by: str
    note: str = ""


class OnCall(msgspec.Struct, frozen=True):
    """``source`` is rotation, holiday or override."""

    person: str
    source: str
    holiday: Holiday | None = None
    override: str = ""


class Change(msgspec.Struct, frozen=True):
    at_ms: int
    on_call: OnCall


class Planned(msgspec.Struct, frozen=True):
    """One rotation with everything that changes it; made once, asked often."""

    rotation: Rotation
    overrides: tuple[Override, ...]
    duties: tuple[Duty, ...]


def plan(rotation: Rotation, overrides: Iterable[Override], holidays: Iterable[Holiday]) -> Planned:
    own = (one for one in overrides if one.rotation == rotation.id and one.from_ms < one.until_ms)
    newest_first = sorted(own, key=lambda one: (one.made_ms, one.id), reverse=True)
    return Planned(rotation, tuple(newest_first), tuple(duties(rotation, holidays)))


def on_call(rotation: Rotation, overrides: Sequence[Override], holidays: Sequence[Holiday], at_ms: int) -> OnCall:
    """Who is called at this instant."""
    return at(plan(rotation, overrides, holidays), at_ms)


def at(planned: Planned, at_ms: int) -> OnCall:
    for override in planned.overrides:
        if override.from_ms <= at_ms < override.until_ms:
            return OnCall(override.person, "override", override=override.id)
    for duty in planned.duties:
        if duty.from_ms <= at_ms < duty.until_ms:
            return OnCall(duty.person, "holiday", duty.holiday)
    return OnCall(person_of_shift(planned.rotation, shift_at(planned.rotation, at_ms)), "rotation")


def next_change(
    rotation: Rotation, overrides: Sequence[Override], holidays: Sequence[Holiday], at_ms: int
) -> Change | None:
    """When somebody else will be on call, and who; None where nobody else will within a year."""
    return next(changes(plan(rotation, overrides, holidays), at_ms), None)


def changes(planned: Planned, at_ms: int, until_ms: int | None = None) -> Iterator[Change]:
    """All changes of the person after an instant and before ``until_ms``, in order."""
    end = at_ms + HORIZON_MS if until_ms is None else until_ms
    person, now = at(planned, at_ms).person, at_ms
    while (now := _next_edge(planned, now, end)) < end:
        found = at(planned, now)
        if found.person != person:
            person = found.person
            yield Change(now, found)


def _next_edge(planned: Planned, after_ms: int, end_ms: int) -> int:
    """The next instant at which anything begins or ends; ``end_ms`` where nothing does before."""
    edges = [end_ms]
    if len(planned.rotation.people) > 1:
        edges.append(hand_over(planned.rotation, shift_at(planned.rotation, after_ms) + 1))
    spans = [(one.from_ms, one.until_ms) for one in planned.overrides]
    spans += [(one.from_ms, one.until_ms) for one in planned.duties]
    edges += [edge for span in spans for edge in span if edge > after_ms]
    return min(edges)
