"""The alert that a correlation raises, and the hit that shows that an absence is over."""

from __future__ import annotations

import hashlib

import msgspec

from collector.detect.alert import COPIED, about_rule
from collector.detect.correlation import Correlation
from collector.detect.hit import PROOF, hit
from collector.detect.key import key, keyed
from collector.detect.watch import Finding
from collector.query import Kind
from collector.store import INGESTED, Record
from telemetry.event import Event

NOT_COPIED = frozenset({"event.ingested", "tengwang.collector.id", "tengwang.time.flag", "tengwang.time.skew"})


def correlated(finding: Finding, collector: str, now_ms: int) -> Record:
    """The same for the same hits, wherever and however often it is found."""
    of, doc = finding.correlation, finding.doc
    info = of.info
    made: Event = {name: doc[name] for name in COPIED if name in doc and name not in NOT_COPIED}
    made.update({name: doc[name] for name in (*of.group_by, *info.by, *of.fields) if name in doc})
    made.update(about_rule(info, collector))
    made.update(
        {
            "@timestamp": finding.at_ms,
            "event.id": correlated_id(of, finding.group, finding.part),
            INGESTED: now_ms,
            "event.start": finding.first_ms,
            "event.end": finding.last_ms,
            "tengwang.alert.key": key_of(finding),
            "tengwang.alert.count": finding.count,
            "tengwang.alert.event_ids": list(finding.events),
            "tengwang.hit.rule": info.id,
            "tengwang.hit.group": finding.group,
            "tengwang.alert.evidence": _evidence(finding),
        }
    )
    if finding.value:
        made["tengwang.hit.value"] = finding.value
    return Record(Kind.ALERT, str(made["event.id"]), made)


def correlated_id(of: Correlation, group: str, part: str) -> str:
    text = "\0".join(("correlation", of.id, group, part))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def key_of(finding: Finding) -> str:
    """By the group itself where the rule groups incidents as it groups hits."""
    of = finding.correlation
    if of.info.by == of.group_by and of.group_by:
        return keyed(of.info.family, msgspec.json.decode(finding.group, type=list[str]))
    return key(of.info.family, of.info.by, finding.doc)


def over(finding: Finding, collector: str, now_ms: int) -> Record:
    """A group that was absent is back."""
    of = finding.correlation
    made = hit(PROOF, of.id, of.id, key_of(finding), finding.part, finding.doc, collector, of.group_by)
    made.doc.pop("tengwang.hit.value", None)
    made.doc[INGESTED] = now_ms
    made.doc["tengwang.alert.event_ids"] = list(finding.events)
    return made


def _evidence(finding: Finding) -> str:
    of = finding.correlation
    group: list[str] = msgspec.json.decode(finding.group, type=list[str]) if finding.group else []
    told = {
        "kind": of.kind.value,
        "group": dict(zip(of.group_by, group, strict=False)),
        "count": finding.count,
        "first": finding.first_ms,
        "last": finding.last_ms,
        "timespan_ms": of.timespan_ms,
        "condition": [f"{bound.op} {bound.bound:g}" for bound in of.tests],
        "value": finding.value,
        "field": list(of.fields),
        "events": list(finding.events),
    }
    return msgspec.json.encode(told).decode()
