"""What people may do with incidents: allowed or refused with why, once, attributed, and never lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.incidents import lifecycle, responsibility
from collector.incidents.evidence import evidence
from collector.incidents.lifecycle import ALLOWED, MAX_ENTRIES, MAX_NOTE
from collector.incidents.model import Entry, Grade, Incident, State
from collector.incidents.responsibility import Raising
from collector.query import Equals, Kind, Search
from collector.store import Record
from telemetry.clock import ManualClock
from telemetry.errors import Permanent
from telemetry.event import Event, event
from tests.collector.incidents.desk_of_test import MINUTE, REGISTERED, Bench, alert, sqlite_at

NOW = 1_790_000_000_000
HOUR = 60 * MINUTE


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    clock = ManualClock(NOW)
    return Bench(sqlite_at(tmp_path, clock), clock)


@pytest.fixture
def one(bench: Bench) -> Incident:
    bench.give(alert("a", NOW), alert("a", NOW + 1, 2))
    return bench.only()


def refused(reason: str, act: Callable[[], object]) -> str:
    with pytest.raises(Permanent) as caught:
        act()
    assert caught.value.reason == reason
    return caught.value.detail


def test_the_way_of_an_incident_is_on_its_record(bench: Bench, one: Incident) -> None:
    desk, clock = bench.desk, bench.clock
    steps: list[Callable[[], Incident]] = [
        lambda: desk.append(one.id, Entry(clock.now_ms(), "system", "notified", "", {"person": "wang"})),
        lambda: desk.acknowledge(one.id, "wang"),
        lambda: desk.handle(one.id, "wang"),
        lambda: desk.note(one.id, "li", "port 5/12"),
        lambda: desk.hand_over(one.id, "li", "wang"),
        lambda: desk.grade(one.id, "wang", Grade.GENERAL),
        lambda: desk.close(one.id, "wang", "shut"),
    ]
    states = []
    for step in steps:
        clock.advance(60)
        states.append(step().state.value)
    assert states == ["notified", "acknowledged", "handling", "handling", "handling", "handling", "closed"]
    history = desk.history(one.id)
    assert [(e.action, e.by) for e in history] == [
        ("alert", "system"),
        ("notified", "system"),
        ("acknowledged", "wang"),
        ("state", "wang"),
        ("note", "li"),
        ("graded", "wang"),
        ("state", "wang"),
    ]
    assert history[-1].data["measured_over"] is False
    assert history[-1].note == "shut"


def test_done_twice_is_done_once(bench: Bench, one: Incident) -> None:
    desk = bench.desk
    told = Entry(NOW, "system", "notified", "", {"page": "p1"})
    acts: list[Callable[[], Incident]] = [
        lambda: desk.append(one.id, told),
        lambda: desk.acknowledge(one.id, "wang"),
        lambda: desk.handle(one.id, "wang"),
        lambda: desk.hand_over(one.id, "li", "wang"),
        lambda: desk.grade(one.id, "wang", Grade.MAJOR),
        lambda: desk.close(one.id, "wang", "done"),
    ]
    for act in acts:
        first = act()
        bench.clock.advance(5)
        assert act() == first


def test_what_may_not_be_says_why(bench: Bench, one: Incident) -> None:
    desk = bench.desk
    assert "still measures true" in refused("not_allowed", lambda: desk.close(one.id, "wang"))
    assert "why" in refused("not_allowed", lambda: desk.false_positive(one.id, "wang", "  "))
    refused("unknown_person", lambda: desk.hand_over(one.id, "wang", "nobody"))
    refused("bad_note", lambda: desk.note(one.id, "wang", " "))
    refused("not_allowed", lambda: desk.reopen(one.id, "wang", "why not"))
    refused("not_allowed", lambda: desk.merge(one.id, one.id, "wang"))
    refused("not_allowed", lambda: desk.split(one.id, [one.sample[0], one.sample[1]], "wang"))
    refused("not_allowed", lambda: desk.suppress(one.id, "wang", NOW + 400 * 24 * HOUR, "for ever"))
    for name in ("0" * 24, "", "../x", "z" * 24, "a" * 5000):
        refused("unknown_incident", lambda name=name: desk.acknowledge(name, "wang"))  # type: ignore[misc]
        refused("unknown_incident", lambda name=name: desk.history(name))  # type: ignore[misc]
        assert desk.get(name) is None
    desk.close(one.id, "wang", "done")
    refused("not_allowed", lambda: desk.acknowledge(one.id, "wang"))
    refused("not_allowed", lambda: desk.handle(one.id, "wang"))
    refused("not_allowed", lambda: desk.hand_over(one.id, "li", "wang"))


def test_every_act_of_a_person_is_audited(bench: Bench, one: Incident) -> None:
    bench.desk.acknowledge(one.id, "wang")
    bench.desk.close(one.id, "wang", "done")
    rows = bench.store.search(Search(0, NOW * 2, (Equals("user.name", ("wang",)),), Kind.AUDIT)).rows
    assert {row.doc["event.action"] for row in rows} == {"incident-acknowledged", "incident-closed"}


def test_listed_by_state_unit_level_and_time(bench: Bench) -> None:
    bench.give(alert("a", NOW), alert("b", NOW, fields={"tengwang.unit.id": "street", "rule.level": "critical"}))
    a, b = (next(i for i in bench.desk.open() if i.key == key) for key in "ab")
    assert [i.key for i in bench.desk.open()] == ["b", "a"]
    assert [i.key for i in bench.desk.list(unit="county")] == ["b"]
    assert {i.key for i in bench.desk.list(unit="city")} == {"a", "b"}
    assert [i.key for i in bench.desk.list(level="critical")] == ["b"]
    bench.desk.close(a.id, "wang", "done")
    assert [i.key for i in bench.desk.list({State.CLOSED})] == ["a"]
    assert bench.desk.list(since_ms=NOW + 1) == []
    assert len(bench.desk.list(limit=1)) == 1
    assert b.level == "critical"


def test_the_document_keeps_the_newest_lines_and_the_records_all(bench: Bench, one: Incident) -> None:
    for n in range(MAX_ENTRIES + 50):
        bench.clock.advance(1)
        bench.desk.note(one.id, "wang", f"note {n}")
    kept = bench.desk.get(one.id)
    assert kept is not None
    assert len(kept.entries) == MAX_ENTRIES
    history = bench.desk.history(one.id)
    assert [e.note for e in history if e.action == "note"] == [f"note {n}" for n in range(MAX_ENTRIES + 50)]
    assert history[0].action == "alert"


def test_a_long_note_is_cut_and_a_long_record_still_fits_a_field(bench: Bench, one: Incident) -> None:
    for _ in range(30):
        bench.desk.note(one.id, "wang", "长" * 10_000)
    kept = bench.desk.get(one.id)
    assert kept is not None
    assert len(kept.entries[-1].note) == MAX_NOTE
    found = bench.store.get(Kind.INCIDENT, f"{one.id}-{kept.revision}")
    assert found is not None
    assert len(str(found.doc["tengwang.incident.document"])) <= 65_536


VERBS = st.sampled_from(
    ["acknowledge", "handle", "note", "close", "close reasoned", "false", "reopen", "alert", "old alert", "verify"]
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(verbs=st.lists(VERBS, max_size=25))
def test_whatever_people_and_alerts_do_the_record_only_grows_and_the_way_is_allowed(
    bench: Bench, verbs: list[str]
) -> None:
    key = f"key-{bench.clock.ms}"
    unit: Event = {"tengwang.unit.id": key}
    bench.give(alert(key, bench.clock.now_ms(), fields=unit))
    name = next(i.id for i in bench.desk.docket.all(0) if i.key == key)
    desk = bench.desk
    before = desk.get(name)
    assert before is not None
    for verb in verbs:
        bench.clock.advance(7)
        now = bench.clock.now_ms()
        try:
            match verb:
                case "acknowledge":
                    desk.acknowledge(name, "wang")
                case "handle":
                    desk.handle(name, "wang")
                case "note":
                    desk.note(name, "wang", "x")
                case "close":
                    desk.close(name, "wang")
                case "close reasoned":
                    desk.close(name, "wang", "because")
                case "false":
                    desk.false_positive(name, "wang", "because")
                case "reopen":
                    desk.reopen(name, "wang", "because")
                case "alert":
                    bench.give(alert(key, now, fields=unit))
                case "old alert":
                    bench.give(alert(key, NOW - now % 1000, fields=unit))
                case _:
                    desk.change(name, lambda i, now=now: lifecycle.moved(i, State.VERIFYING, now, "system"))  # type: ignore[misc]
        except Permanent as error:
            assert error.reason == "not_allowed"
            assert desk.get(name) == before
            continue
        after = desk.get(name)
        assert after is not None
        assert after.entries[: len(before.entries)] == before.entries
        assert after.revision in (before.revision, before.revision + 1)
        assert after.state is before.state or after.state in ALLOWED[before.state]
        assert after.count >= before.count
        assert (after.state in (State.CLOSED, State.FALSE_POSITIVE)) == bool(after.closed_ms)
        assert (after.state is State.VERIFYING) == bool(after.verifying_ms) or bool(after.closed_ms)
        if after.state is State.ACKNOWLEDGED:
            assert after.acknowledged_by
        if after.state is State.CLOSED and before.state not in (State.CLOSED, State.VERIFYING):
            assert after.entries[-1].note == "because"
        before = after
    assert len(desk.history(name)) == len(before.entries)


@pytest.mark.parametrize(
    ("fields", "level"),
    [
        ({}, "high"),
        ({"tengwang.asset.id": "r1"}, "critical"),  # level 3 and critical infrastructure: at most critical
        ({"tengwang.asset.id": "r1", "rule.level": "low"}, "medium"),
        ({"tengwang.asset.id": "portal"}, "high"),  # level 2
        ({"tengwang.zone": "portal", "rule.level": "medium"}, "high"),
        ({"tengwang.asset.id": "r1", "rule.level": "informational"}, "informational"),
        ({"rule.level": "unheard of"}, "medium"),
    ],
)
def test_how_grave_it_is_comes_from_rule_asset_and_zone(fields: Event, level: str) -> None:
    doc = alert("a", NOW, fields=fields).doc
    asset = responsibility.asset_of(REGISTERED, doc)
    assert responsibility.level(doc, asset, Raising(zones=frozenset({"portal"}))) == level


def test_whose_it_is_comes_from_the_asset_or_the_nearest_people_above() -> None:
    def owners(fields: Event) -> tuple[str, ...]:
        doc = alert("a", NOW, fields=fields).doc
        return responsibility.owners(REGISTERED, doc, responsibility.asset_of(REGISTERED, doc))

    assert owners({"tengwang.asset.id": "r1"}) == ("wang",)
    assert owners({"tengwang.unit.id": "village"}) == ("wang",)  # nobody nearer than the city
    assert owners({"tengwang.unit.id": "nowhere"}) == ()
    assert owners({"tengwang.owner.operator": "gone", "tengwang.owner.user": "wang"}) == ("wang",)


def test_the_evidence_is_the_alerts_and_their_events_and_says_what_is_gone(bench: Bench, one: Incident) -> None:
    first = str(alert("a", NOW).doc["tengwang.alert.event_ids"][0])  # type: ignore[index]
    doc = event(NOW, "tengwang.ndp", "router_advertisement")
    doc |= {"event.id": first, "event.ingested": NOW}
    bench.store.write([Record(Kind.EVENT, first, doc)])
    found = evidence(bench.store, one)
    assert [a.id for a in found.alerts] == list(one.sample)
    assert [e.id for e in found.events] == [first]
    assert len(found.missing) == 1


def test_suppressions_have_an_end_a_reason_and_a_subject(bench: Bench) -> None:
    held = bench.desk.suppressions
    refused("bad_suppression", lambda: held.add("li", "why", NOW + HOUR))
    refused("bad_suppression", lambda: held.add("li", "", NOW + HOUR, unit="city"))
    refused("bad_suppression", lambda: held.add("li", "why", NOW, unit="city"))
    refused("bad_suppression", lambda: held.add("li", "why", NOW + 400 * 24 * HOUR, unit="city"))
    refused("unknown_suppression", lambda: held.end("nothing", "li"))
    window = held.add("li", "cutover", NOW + 2 * HOUR, from_ms=NOW + HOUR, unit="county", rule="rule-1")
    bench.give(alert("early", NOW, fields={"tengwang.unit.id": "street"}))
    bench.clock.advance(3700)
    now = bench.clock.now_ms()
    bench.give(
        alert("below", now, fields={"tengwang.unit.id": "street"}),
        alert("above", now, fields={"tengwang.unit.id": "city"}),
        alert("other", now, rule="rule-2", fields={"tengwang.unit.id": "street"}),
    )
    assert {i.key for i in bench.desk.open() if i.suppressed_until_ms} == {"below"}
    assert held.end(window.id, "wang").ended_by == "wang"
    bench.clock.advance(10)
    bench.give(alert("after", bench.clock.now_ms(), fields={"tengwang.unit.id": "street"}))
    assert {i.key for i in bench.desk.open() if i.suppressed_until_ms} == {"below"}
    assert msgspec.json.encode(held.all()[0])
