"""Alerts to incidents: what one alert says, a new incident of it, and one that takes more. Pure: time is passed in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from collector.detect.rule import SEVERITY
from collector.incidents import lifecycle, responsibility
from collector.incidents.identity import SYSTEM, incident_id
from collector.incidents.model import Entry, Incident, State, Subject
from collector.incidents.responsibility import Raising
from collector.inventory_index import Indexed
from collector.store import INGESTED, Record
from telemetry.event import Event
from telemetry.verdict import Text

KEY = "tengwang.alert.key"
FLAG = "tengwang.time.flag"
MAX_RECENT = 256
MAX_SAMPLE = 20
MAX_RULES = 20
MAX_AGENTS = 16
MAX_KEY = 1_000
SUBJECT: Mapping[str, str] = {
    "source_ip": "source.ip",
    "source_mac": "source.mac",
    "destination_ip": "destination.ip",
    "asset": "tengwang.asset.id",
    "device": "tengwang.device.id",
    "interface": "tengwang.interface.name",
    "check": "tengwang.check.id",
    "check_subject": "tengwang.check.subject",
    "agent": "agent.id",
}


def text(event: Event, name: str) -> str:
    """A field as text; of a list the first; empty where it is not there."""
    value = event.get(name, "")
    if isinstance(value, list):
        value = value[0] if value else ""
    return str(value)


def number(event: Event, name: str) -> int:
    value = event.get(name, 0)
    return value if type(value) is int else 0


def happened(alert: Event) -> int:
    """Its event's own time; where nobody can believe that, when it arrived."""
    return number(alert, INGESTED if FLAG in alert else "@timestamp")


def key_of(alert: Event) -> str:
    """What the alert is about. One that was stored before there were keys is about its rule and its unit."""
    return (text(alert, KEY) or f"{text(alert, 'rule.id')}|{text(alert, 'tengwang.unit.id')}")[:MAX_KEY]


def by_key(alerts: Iterable[Record]) -> dict[str, list[Record]]:
    """The alerts of each key, each alert once, in order of their own time."""
    made: dict[str, dict[str, Record]] = {}
    for alert in alerts:
        made.setdefault(key_of(alert.doc), {}).setdefault(alert.id, alert)
    return {key: sorted(of.values(), key=lambda r: (happened(r.doc), r.id)) for key, of in made.items()}


def subject_of(alert: Event) -> Subject:
    return Subject(**{field: text(alert, name) for field, name in SUBJECT.items()})


def started(
    key: str, alerts: Sequence[Record], inventory: Indexed, raising: Raising, now_ms: int, id: str = ""
) -> tuple[Incident, Entry]:
    """A new incident of these alerts of one key; they are in order and not empty."""
    first = alerts[0]
    doc = first.doc
    asset = responsibility.asset_of(inventory, doc)
    unit = text(doc, "tengwang.unit.id")
    known = inventory.unit(unit)
    incident = Incident(
        id=id or incident_id(key, first.id),
        key=key,
        rule=text(doc, "rule.id"),
        title=Text(text(doc, "tengwang.rule.name.zh") or text(doc, "rule.name"), text(doc, "rule.name")),
        category=text(doc, "rule.category") or "other",
        level=responsibility.level(doc, asset, raising),
        unit=unit,
        unit_name=known.name if known else text(doc, "tengwang.unit.name") or unit,
        zone=text(doc, "tengwang.zone"),
        owners=responsibility.owners(inventory, doc, asset),
        subject=subject_of(doc),
        cii=responsibility.is_cii(doc, asset),
        first_ms=happened(doc),
        found_ms=now_ms,
        last_ms=happened(doc),
    )
    incident = taken(incident, alerts, now_ms, inventory, raising)
    entry = Entry(now_ms, SYSTEM, "alert", text(doc, "rule.name"), {"rule": incident.rule, "alerts": [first.id]})
    return lifecycle.noted(incident, entry), entry


def taken(incident: Incident, alerts: Sequence[Record], now_ms: int, inventory: Indexed, raising: Raising) -> Incident:
    """The incident with more alerts; the same object where it has them all already."""
    had = {*incident.recent, *incident.sample}
    new = [alert for alert in alerts if alert.id not in had]
    if not new:
        return incident
    rules, level, cii = list(incident.rules), incident.level, incident.cii
    for doc in {text(a.doc, "rule.id"): a.doc for a in new}.values():
        if text(doc, "rule.id") not in rules and len(rules) < MAX_RULES:
            rules.append(text(doc, "rule.id"))
        asset = responsibility.asset_of(inventory, doc)
        level = max(level, responsibility.level(doc, asset, raising), key=lambda one: SEVERITY.get(one, 0))
        cii = cii or responsibility.is_cii(doc, asset)
    agents = dict.fromkeys((*incident.agents, *(text(alert.doc, "agent.id") for alert in new)))
    times = [happened(alert.doc) for alert in new]
    ids = tuple(alert.id for alert in new)
    return msgspec.structs.replace(
        incident,
        rules=tuple(rules),
        level=level,
        cii=cii,
        agents=tuple(filter(None, agents))[:MAX_AGENTS],
        first_ms=min(incident.first_ms, *times),
        last_ms=max(incident.last_ms, *times),
        arrived_ms=now_ms,
        count=incident.count + len(new),
        recent=(*incident.recent, *ids)[-MAX_RECENT:],
        sample=(*incident.sample, *ids)[:MAX_SAMPLE],
    )


def newer(before: Incident, alerts: Sequence[Record]) -> bool:
    """Does one of these alerts say that it goes on? A late one from before the newest, or from before what proved it
    over, does not."""
    known = {*before.recent, *before.sample}
    shown = max(before.last_ms, before.proof_ms)
    return any(happened(a.doc) > shown for a in alerts if a.id not in known)


def joined(
    incident: Incident,
    alerts: Sequence[Record],
    now_ms: int,
    inventory: Indexed,
    raising: Raising,
    back: bool,
) -> Incident:
    """An incident that takes more alerts of its key, in whatever state it is; the same object where it has them all.

    ``back``: one that was over is found once more. A false positive only counts: a person said what it is.
    """
    after = taken(incident, alerts, now_ms, inventory, raising)
    if after is incident or not newer(incident, alerts):
        return after
    if incident.state is State.VERIFYING:
        return lifecycle.returned(after, now_ms)
    if incident.state is State.CLOSED and back:
        return lifecycle.reopened(after, now_ms, SYSTEM, "seen again")
    return after


def whole(incident: Incident) -> bool:
    """Does it know every alert that it has by its id? Only a flood has more than are remembered."""
    return incident.count <= len({*incident.recent, *incident.sample})


def unseen(incidents: Iterable[Incident], alerts: Sequence[Record]) -> list[Record]:
    """Of alerts that may be read again, those that none of these incidents has.

    Of one with more alerts than it remembers, what is not newer than its newest counts as had.
    """
    for incident in incidents:
        ids, last = {*incident.recent, *incident.sample}, None if whole(incident) else incident.last_ms
        alerts = [a for a in alerts if a.id not in ids and (last is None or happened(a.doc) > last)]
    return list(alerts)


def takes(incident: Incident, window_ms: int, now_ms: int) -> bool:
    """Do further alerts of its key belong to it? To an open one always, to one that is over for a while."""
    return lifecycle.is_open(incident) or now_ms - incident.closed_ms < window_ms
