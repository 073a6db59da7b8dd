"""The count of what follows from events: alerts, hits, incidents, pages and orders; none lost, none doubled.

Every stored event is judged again: the same rules over the same event give the same ids, so what is missing or too
much in the store is seen. Each alert must be counted in one incident of its key. Each page must have been taken by the
sink under one key; that a collector died between sending and writing it down may send it again under the *same* key,
which the receiver recognises, and is told apart here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from collector import detect, shipped
from collector import page as pages
from collector.incidents import model
from collector.page import Page, PageState
from collector.query import Kind
from collector.response import model as orders
from collector.store import Found, Store
from telemetry.clock import SystemClock
from telemetry.report import Report
from tests.chaos.audit import records

STATEFUL = frozenset({"seen", "beat", "proof"})
"""Hits that depend on what the collector had seen since its start: it keeps a few of many, by design."""
KEY = "tengwang.alert.key"


@dataclass(frozen=True)
class Judged:
    """What the rules of single events say of everything that is stored, and what is there."""

    expected: frozenset[str]
    alerts: Mapping[str, Found]
    hits: Mapping[str, Found]
    doubled: tuple[str, ...]


def judged(store: Store) -> Judged:
    clock = SystemClock()
    detector = detect.build([shipped.rules()], Report(clock), clock, "audit")
    expected: set[str] = set()
    for found in records(store, Kind.EVENT):
        for record in detector.detect(dict(found.doc)):
            if record.doc.get("tengwang.hit.role") not in STATEFUL:
                expected.add(record.id)
    twice: list[str] = []
    kept: dict[Kind, dict[str, Found]] = {Kind.ALERT: {}, Kind.HIT: {}}
    for kind, there in kept.items():
        for found in records(store, kind):
            if found.id in there:
                twice.append(f"{kind.value} {found.id}")
            there[found.id] = found
    return Judged(frozenset(expected), kept[Kind.ALERT], kept[Kind.HIT], tuple(twice))


def alert_problems(now: Judged) -> Iterator[str]:
    for name in now.doubled:
        yield f"{name} is stored twice"
    missing = now.expected - now.alerts.keys() - now.hits.keys()
    if missing:
        yield f"{len(missing)} alerts or hits of stored events are missing: {sorted(missing)[:5]}"


def incident_problems(now: Judged, incidents: Iterable[model.Incident]) -> Iterator[str]:
    """Of every key, its incidents have counted as many alerts as there are."""
    every = list(incidents)
    stored, counted = by_key(now, every)
    for key in sorted({*stored, *counted}):
        if stored[key] != counted[key]:
            told = [
                f"{i.id[:8]} {i.state.value} {i.count} ({i.first_ms}..{i.last_ms}, reopened {i.reopened})"
                for i in every
                if i.key == key
            ]
            yield f"{stored[key]} alerts of {key} are stored, its incidents count {counted[key]}: {'; '.join(told)}"


def by_key(now: Judged, incidents: Iterable[model.Incident]) -> tuple[Counter[str], Counter[str]]:
    """Alerts that are stored, and that are counted in incidents, by key."""
    counted: Counter[str] = Counter()
    for incident in incidents:
        counted[incident.key] += incident.count
    return Counter(str(found.doc.get(KEY, "")) for found in now.alerts.values()), counted


def page_problems(kept: Iterable[Page], taken: Counter[str], noted: set[str]) -> Iterator[str]:
    """``taken``: how often the sink was given each key. ``noted``: what the incidents' entries say was sent.

    A page that was settled under a clock set back is soon as old as one that is forgotten.
    """
    known = set(noted)
    for page in kept:
        known.add(page.message_id)
        if page.state is PageState.WAITING:
            yield f"page {page.id} is still on its way"
        if page.state in (PageState.SENT, PageState.DELIVERED) and not taken[page.message_id]:
            yield f"page {page.id} is called sent, and the sink never got it"
        if page.state is PageState.DEAD:
            yield f"page {page.id} died: {page.attempts[-1:]}"
    for key in sorted(taken.keys() - known):
        yield f"the sink was given {key}, which no page has"


def order_problems(kept: Iterable[orders.Kept]) -> Iterator[str]:
    """The same action against the same target for one incident is one order."""
    made = Counter(
        (o.incident, o.proposal.action, o.proposal.agent, o.proposal.target, o.attempt)
        for o in kept
        if not o.proposal.verifies
    )
    for what, times in made.items():
        if times > 1:
            yield f"ordered {times} times: {what}"


def problems(store: Store, taken: Counter[str]) -> list[str]:
    """Everything that is wrong with what follows from the events in this store."""
    now = judged(store)
    incidents = [model.decode(state.value) for state in store.list_state(model.PREFIX)]
    kept = [pages.decode(state.value) for state in store.list_state(pages.PREFIX)]
    asked = [msgspec.json.decode(state.value, type=orders.Kept) for state in store.list_state(orders.PREFIX)]
    return [
        *alert_problems(now),
        *incident_problems(now, incidents),
        *page_problems(kept, taken, {str(e.data.get("page", "")) for i in incidents for e in i.entries}),
        *order_problems(asked),
    ]


def told(store: Store, taken: Counter[str]) -> str:
    """One line for a person."""
    now = judged(store)
    incidents = [model.decode(state.value) for state in store.list_state(model.PREFIX)]
    again = sum(times - 1 for times in taken.values() if times > 1)
    return (
        f"{len(now.alerts)} alerts, {len(incidents)} incidents, {len(taken)} pages"
        f" taken ({again} given again under the same key), {len(store.list_state(orders.PREFIX))} orders"
    )
