"""Who is told next while nobody acknowledges. Pure: (policy, incident, time) -> the steps that are due.

Steps are numbered through over all repeats, and the incident keeps how many of the present round were carried out.
So a step is carried out late after a pause of the program, and never left out or carried out twice. Whoever
acknowledges stops the round; an incident that comes back begins a new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from collector.incidents.model import Incident, State
from collector.inventory import Escalation, EscalationStep
from collector.inventory_duty import OWNERS, seconds
from collector.inventory_index import Indexed

UNTOLD = frozenset({State.FOUND, State.NOTIFIED})
NEXT_OWNER_AFTER_M = 10


class Due(msgspec.Struct, frozen=True):
    """``number`` counts through all repeats from 0."""

    number: int
    at_ms: int
    step: EscalationStep


def total(policy: Escalation) -> int:
    """How many steps a whole round has."""
    return len(policy.steps) * (1 + policy.repeat)


def step_at(policy: Escalation, number: int, begun_ms: int) -> Due:
    """Step ``number`` of a round that began at ``begun_ms``."""
    cycle, index = divmod(number, len(policy.steps))
    length = seconds(policy.steps[-1].after) + max(seconds(policy.repeat_after), 1)
    after = cycle * length + seconds(policy.steps[index].after)
    return Due(number, begun_ms + after * 1000, policy.steps[index])


def escalates(incident: Incident, now_ms: int) -> bool:
    """Is anybody still to be told? Not of what is acknowledged, over, merged away, or suppressed for now."""
    return (
        incident.state in UNTOLD
        and not incident.acknowledged_ms
        and not incident.merged_into
        and incident.suppressed_until_ms <= now_ms
    )


def due_steps(policy: Escalation, incident: Incident, now_ms: int) -> list[Due]:
    """Steps whose time has come and that were not carried out, in order. A round that has not begun begins now."""
    if not escalates(incident, now_ms):
        return []
    begun = incident.escalation_ms or now_ms
    made: list[Due] = []
    for number in range(incident.escalation_steps, total(policy)):
        due = step_at(policy, number, begun)
        if due.at_ms > now_ms:
            break
        made.append(due)
    return made


def next_step(policy: Escalation, incident: Incident, now_ms: int) -> Due | None:
    """The next step that will come if nobody acknowledges."""
    if not escalates(incident, now_ms) or incident.escalation_steps >= total(policy):
        return None
    return step_at(policy, incident.escalation_steps, incident.escalation_ms or now_ms)


def policy_of(index: Indexed, unit_id: str, owners: Sequence[str]) -> Escalation | None:
    """The policy of the unit or of the nearest one above it; else that of its responsible people, one after another.

    None where there is nobody at all.
    """
    policies = {policy.id: policy for policy in index.inventory.escalations}
    for name in reversed(index.path(unit_id)):
        unit = index.unit(name)
        if unit is not None and unit.escalation in policies:
            return policies[unit.escalation]
    people = [one for one in dict.fromkeys(owners) if index.person(one) is not None] or people_near(index, unit_id)
    if not people:
        return None
    steps = tuple(
        EscalationStep(after=f"{NEXT_OWNER_AFTER_M * number}m", notify=(person,))
        for number, person in enumerate(people[:10])
    )
    return Escalation(id="default", steps=steps, repeat=1, repeat_after=f"{NEXT_OWNER_AFTER_M}m")


def people_near(index: Indexed, unit_id: str) -> list[str]:
    """The people of the unit, else of the nearest unit above that has any; for no unit, those of the root."""
    path: Iterable[str] = reversed(index.path(unit_id)) if unit_id else ()
    roots = [unit.id for unit in index.inventory.units if unit.parent is None]
    for name in (*path, *roots):
        if found := [person.id for person in index.inventory.people if person.unit == name]:
            return found
    return []


def people_of(step: EscalationStep, owners: Sequence[str], rotations: dict[str, str], index: Indexed) -> list[str]:
    """Who a step tells, each once. ``rotations`` has who is on call now, by rotation."""
    made: list[str] = []
    for target in step.notify:
        if target == OWNERS:
            made.extend(owners)
        else:
            made.append(rotations.get(target, target))
    return [one for one in dict.fromkeys(made) if index.person(one) is not None]
