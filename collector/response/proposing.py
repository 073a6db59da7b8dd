"""From an incident and the playbooks to proposals: what, at whom, by which agent. Pure.

The agent is the one that can reach farthest for this unit: the bridge of the segment, else the nearest router above,
else a host that can only protect itself. Where nobody can, or the target is protected, the proposal says so and stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from collector.incidents.model import Incident
from collector.inventory_index import EMPTY
from collector.response.model import Proposal
from collector.response.playbook import Place, Playbook, Step, step_title
from collector.response.protection import Protected
from telemetry.order import CONTAINING, Action, Scope

SCOPES = tuple(Scope)
REACH: Mapping[Action, tuple[Scope, ...]] = {Action.DROP_ROGUE_RA: (Scope.SEGMENT, Scope.HOST)}
"""Where not every scope will do. Advertisements go to every host of a segment at once and through no router."""
PROTECTED, NO_AGENT, NO_TARGET = "protected", "no_agent", "no_target"


class Ability(msgspec.Struct, frozen=True):
    """What an agent last said that it may do, and how far it reaches."""

    agent: str
    unit: str
    allowed: frozenset[str]
    scope: Scope


class Target(msgspec.Struct, frozen=True):
    """What an action is directed at; all empty where the incident does not say."""

    mac: str = ""
    address: str = ""
    check: str = ""
    subject: str = ""


class Ground(msgspec.Struct, frozen=True):
    """All that proposals are made from besides the incident."""

    playbooks: Sequence[Playbook]
    abilities: Sequence[Ability]
    protected: Protected
    path: tuple[str, ...]
    """Units from the root down to the incident's."""
    families: frozenset[str]
    automatic: bool
    """May playbooks act without approval at all?"""


def proposals(incident: Incident, ground: Ground) -> list[Proposal]:
    """In the order of the playbooks; two that come to the same action at the same target are one."""
    made: dict[tuple[Action, str], Proposal] = {}
    rules = (incident.rule, *incident.rules)
    for playbook in ground.playbooks:
        if playbook.meets(rules, ground.families, incident.category):
            for step in playbook.actions:
                proposal = _proposal(incident, playbook, step, ground)
                made.setdefault((proposal.action, proposal.target), proposal)
    return list(made.values())


def _proposal(incident: Incident, playbook: Playbook, step: Step, ground: Ground) -> Proposal:
    target = _target(incident, step.at)
    if target == Target() and step.or_at:
        target = _target(incident, step.or_at)
    proposal = Proposal(
        playbook=playbook.id,
        title=step_title(step),
        action=step.action,
        packets_per_second=step.packets_per_second,
        ttl_ms=step.ttl_ms,
        begin_ms=step.begin_ms,
        verify_by=step.verify_by,
        mac=target.mac,
        address=target.address,
        check=target.check,
        subject=target.subject,
    )
    if target == Target():
        return msgspec.structs.replace(proposal, why=NO_TARGET)
    if step.action in CONTAINING:
        hit = ground.protected.why(proposal.mac, proposal.address) or _listed(playbook, proposal)
        if hit:
            return msgspec.structs.replace(proposal, why=f"{PROTECTED}: {hit}")
    ability = choose(step.action, incident, ground.abilities, ground.path)
    if ability is None:
        return msgspec.structs.replace(proposal, why=NO_AGENT)
    return msgspec.structs.replace(
        proposal, agent=ability.agent, scope=ability.scope, automatic=_automatic(incident, step, proposal, ground)
    )


def _target(incident: Incident, place: Place) -> Target:
    subject = incident.subject
    if place == "source_mac":
        return Target(mac=subject.source_mac)
    if place == "check":
        return Target(check=subject.check, subject=subject.check_subject) if subject.check else Target()
    return Target(address=subject.source_ip if place == "source_ip" else subject.destination_ip)


def _listed(playbook: Playbook, proposal: Proposal) -> str:
    if not playbook.protected:
        return ""
    return Protected(EMPTY, (), (), playbook.protected).why(proposal.mac, proposal.address)


def choose(action: Action, incident: Incident, abilities: Iterable[Ability], path: tuple[str, ...]) -> Ability | None:
    """The agent that reaches farthest; of equals the nearest unit, and the one that saw it."""
    able = [a for a in abilities if action in a.allowed and a.unit in path]

    def nearness(ability: Ability) -> tuple[int, bool, str]:
        return (-path.index(ability.unit), ability.agent != incident.subject.agent, ability.agent)

    if action not in CONTAINING:
        return min(able, key=nearness, default=None)
    reach = REACH.get(action, SCOPES)
    able = [a for a in able if a.scope in reach and (a.scope is Scope.ROUTED or a.unit == incident.unit)]
    return min(able, key=lambda a: (SCOPES.index(a.scope), *nearness(a)), default=None)


def _automatic(incident: Incident, step: Step, proposal: Proposal, ground: Ground) -> bool:
    """A measurement changes nothing and is made at once; anything else only where both sides allow it."""
    if step.action not in CONTAINING:
        return True
    allowed = step.automatic
    return bool(
        ground.automatic
        and allowed is not None
        and incident.category in allowed.classes
        and (not allowed.units or not set(allowed.units).isdisjoint(ground.path))
        and (not allowed.zones or incident.zone in allowed.zones)
        and not incident.subject.asset
        and ground.protected.level_of(proposal.address) <= allowed.max_level
    )
