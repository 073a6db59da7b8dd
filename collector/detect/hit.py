"""A hit: one event matched a rule that is a part of something, and is no alert by itself.

Roles: ``base`` counts towards a correlation, ``seen`` is a value of a ``first_seen``, ``beat`` a sign of life for an
``absence``, ``proof`` shows that the matter of a rule is over. ``tengwang.hit.rule`` is the correlation (of a proof:
the rule whose end it proves), ``rule.id`` the rule that matched, ``tengwang.hit.group`` the values of ``group-by`` as
one text (of a proof: the key of the alerts that it ends). Ids are made of these and the event's id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from collector.detect.alert import COPIED
from collector.query import Kind
from collector.store import Record
from telemetry.event import Event

DATASET = "tengwang.hit"
BASE, PROOF, SEEN, BEAT = "base", "proof", "seen", "beat"
FLAG = "tengwang.time.flag"


def hit(
    role: str, about: str, rule: str, group: str, value: str, event: Event, collector: str, fields: Iterable[str] = ()
) -> Record:
    """``fields``: of the event, besides those that an alert has of its own."""
    source = str(event.get("event.id", ""))
    made: Event = {name: event[name] for name in COPIED if name in event}
    made.update({name: event[name] for name in fields if name in event})
    made.update(
        {
            "event.id": hit_id(role, about, rule, source, value),
            "event.kind": "event",
            "event.dataset": DATASET,
            "event.action": role,
            "rule.id": rule,
            "tengwang.collector.id": collector,
            "tengwang.hit.role": role,
            "tengwang.hit.rule": about,
            "tengwang.hit.group": group,
            "tengwang.alert.event_ids": [source],
        }
    )
    if value:
        made["tengwang.hit.value"] = value
    return Record(Kind.HIT, str(made["event.id"]), made)


def hit_id(role: str, about: str, rule: str, event_id: str, value: str) -> str:
    """The same for every delivery of the event and on every collector."""
    text = "\0".join((role, about, rule, event_id, value))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def time_of(doc: Event) -> int:
    """When it happened; where nobody can believe the event's own time, when it arrived."""
    at = doc.get("event.ingested") if FLAG in doc else doc.get("@timestamp")
    return at if isinstance(at, int) else 0
