"""The alert that one rule raises on one event: always the same id, so a repeated event raises no second alert."""

from __future__ import annotations

import hashlib

import msgspec

from collector.detect.key import key
from collector.detect.rule import SEVERITY, Rule, RuleInfo
from telemetry.event import Event
from telemetry.fields import BY_NAME

DATASET = "tengwang.alert"
MAX_EVIDENCE = 60_000
MAX_CUT = 1_000

_GROUPS = (
    *("agent.", "host.", "source.", "destination.", "network.", "observer."),
    *("tengwang.unit.", "tengwang.asset.", "tengwang.owner.", "tengwang.source.", "tengwang.destination."),
    *("tengwang.time.", "tengwang.check.title."),
)
_NAMES = (
    *("@timestamp", "event.ingested", "tengwang.zone", "tengwang.device.id", "tengwang.check.id"),
    *("tengwang.check.subject", "tengwang.check.status", "tengwang.interface.name", "tengwang.ndp.type"),
)
COPIED = tuple(name for name in BY_NAME if name in _NAMES or name.startswith(_GROUPS))
"""What an alert has of its event as fields of its own, to be searched and grouped by; the evidence has the rest."""


def alert(rule: Rule, event: Event, collector: str = "") -> Event:
    """``event`` has its ``event.id``; the alert's own id is made of that and the rule's."""
    info = rule.info
    about = str(event.get("event.id", ""))
    made = {name: event[name] for name in COPIED if name in event}
    made.update({name: event[name] for name in info.by if name in event})
    made.update(about_rule(info, collector))
    made.update(
        {
            "event.id": alert_id(info.id, about),
            "tengwang.alert.key": key(info.family, info.by, event),
            "tengwang.alert.event_ids": [about],
            "tengwang.alert.evidence": _evidence(rule, event),
        }
    )
    return made


def about_rule(info: RuleInfo, collector: str) -> Event:
    """What every alert of a rule says."""
    made: Event = {
        "event.kind": "alert",
        "event.dataset": DATASET,
        "event.action": info.id,
        "event.severity": SEVERITY[info.level],
        "rule.id": info.id,
        "rule.name": info.title.en,
        "tengwang.rule.name.zh": info.title.zh,
        "rule.level": info.level,
        "rule.category": info.category,
    }
    if collector:
        made["tengwang.collector.id"] = collector
    return made


def alert_id(rule_id: str, event_id: str) -> str:
    """The same for every delivery of the event and on every collector."""
    return hashlib.blake2b(f"{rule_id}\0{event_id}".encode(), digest_size=16).hexdigest()


def _evidence(rule: Rule, event: Event) -> str:
    whole = msgspec.json.encode(event).decode()
    if len(whole) <= MAX_EVIDENCE:
        return whole
    wanted = {"@timestamp", "event.id", "event.dataset", "event.action", *rule.fields}
    part = {name: str(value)[:MAX_CUT] for name, value in event.items() if name in wanted}
    return msgspec.json.encode(dict(list(part.items())[:40])).decode()
