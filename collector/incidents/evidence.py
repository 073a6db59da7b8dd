"""What an incident is made of: its first alerts, and the events that raised them, as far as the store still has them.

Packets are not here: an agent that keeps them sends those around a moment when a person asks for them, by an order of
the incident (collector/response/packets.py).
"""

from __future__ import annotations

import msgspec

from collector.incidents.model import Incident
from collector.query import Equals, Kind, Search
from collector.store import Found, Store

MAX_ALERTS = 20
MAX_EVENTS = 50
AROUND_MS = 3_600_000


class Evidence(msgspec.Struct, frozen=True):
    """``missing``: ids of alerts and events that are not in the store any more."""

    alerts: tuple[Found, ...]
    events: tuple[Found, ...]
    missing: tuple[str, ...]


def evidence(store: Store, incident: Incident) -> Evidence:
    """Blocks on the store; may raise Transient."""
    wanted = incident.sample[:MAX_ALERTS]
    alerts = _all(store, Kind.ALERT, wanted, incident)
    ids: dict[str, None] = {}
    for alert in alerts:
        about = alert.doc.get("tengwang.alert.event_ids", [])
        ids.update(dict.fromkeys(str(one) for one in (about if isinstance(about, list) else [about])))
    names = tuple(ids)[:MAX_EVENTS]
    events = _all(store, Kind.EVENT, names, incident)
    there = {found.id for found in (*alerts, *events)}
    return Evidence(tuple(alerts), tuple(events), tuple(name for name in (*wanted, *names) if name not in there))


def _all(store: Store, kind: Kind, ids: tuple[str, ...], incident: Incident) -> list[Found]:
    """In one question about the time of the incident; what is not there by its own time is asked for by its id."""
    if not ids:
        return []
    since, until = incident.first_ms - AROUND_MS, incident.last_ms + AROUND_MS
    page = store.search(Search(max(since, 0), until, (Equals("event.id", ids),), kind, len(ids), oldest_first=True))
    found = {row.id: row for row in page.rows}
    for name in ids:
        if name not in found and (row := store.get(kind, name)) is not None:
            found[name] = row
    return list(found.values())
