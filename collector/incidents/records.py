"""An incident's change as a record of the store: searched, counted and drawn without the state documents."""

from __future__ import annotations

import msgspec

from collector.detect.rule import SEVERITY
from collector.incidents.model import Entry, Incident, State, encode
from collector.query import Kind
from collector.store import Record
from telemetry.event import Event, Value, event

DATASET = "tengwang.incident"
MAX_DOCUMENT = 60_000
"""A text field holds 65,536 characters."""


def record(incident: Incident, entry: Entry, now_ms: int, collector_id: str) -> Record:
    """One for each revision, so a change that is written twice is recognised."""
    name = f"{incident.id}-{incident.revision}"
    doc: Event = event(now_ms, DATASET, entry.action)
    subject = incident.subject
    texts: dict[str, str] = {
        "rule.id": incident.rule,
        "rule.name": incident.title.en,
        "tengwang.rule.name.zh": incident.title.zh,
        "rule.level": incident.level,
        "rule.category": incident.category,
        "tengwang.unit.id": incident.unit,
        "tengwang.unit.name": incident.unit_name,
        "tengwang.zone": incident.zone,
        "tengwang.asset.id": subject.asset,
        "agent.id": subject.agent,
        "source.ip": subject.source_ip,
        "source.mac": subject.source_mac,
        "destination.ip": subject.destination_ip,
        "user.name": entry.by[:256],
        "message": entry.note,
        "tengwang.alert.key": incident.key,
        "tengwang.collector.id": collector_id,
        "tengwang.incident.grade": incident.grade.value if incident.grade else "",
    }
    doc.update({name: text for name, text in texts.items() if text})
    numbers: dict[str, Value] = {
        "event.ingested": now_ms,
        "event.severity": SEVERITY.get(incident.level, 1),
        "tengwang.incident.revision": incident.revision,
        "tengwang.incident.count": incident.count,
        "tengwang.incident.found": incident.found_ms,
    }
    doc.update(numbers)
    doc.update(times(incident))
    doc["event.id"] = name
    doc["tengwang.incident.id"] = incident.id
    doc["tengwang.incident.state"] = incident.state.value
    doc["tengwang.incident.action"] = entry.action
    doc["tengwang.incident.document"] = document(incident)
    return Record(Kind.INCIDENT, name, doc)


def times(incident: Incident) -> Event:
    """How long it took to detect, acknowledge, contain and close; what has not come to pass is not there."""
    found = incident.found_ms
    made: Event = {"tengwang.incident.mttd": max(found - incident.first_ms, 0)}
    closed = incident.closed_ms if incident.state is State.CLOSED else 0
    for name, at in (("mtta", incident.acknowledged_ms), ("mttc", incident.contained_ms), ("mttr", closed)):
        if at:
            made[f"tengwang.incident.{name}"] = max(at - found, 0)
    return made


def document(incident: Incident) -> str:
    """The whole incident as JSON; with fewer of its oldest entries and ids where it would be too long."""
    text = encode(incident).decode()
    while len(text) > MAX_DOCUMENT:
        if incident.recent:
            incident = msgspec.structs.replace(incident, recent=())
        else:
            keep = incident.entries[len(incident.entries) // 2 + 1 :]
            if not keep:
                incident = msgspec.structs.replace(incident, entries=(), keys=incident.keys[:100])
                return encode(incident).decode()[:MAX_DOCUMENT]
            incident = msgspec.structs.replace(incident, entries=keep)
        text = encode(incident).decode()
    return text
