"""Alerts to incidents: one for one matter, however the alerts come, who leads, and where a program dies."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.incidents.grouping import KEY
from collector.incidents.model import Entry, State
from collector.operation import News
from collector.query import Equals, Kind, Search
from collector.store import Record, Store
from collector.store import State as Document
from telemetry.clock import ManualClock
from telemetry.errors import Transient
from telemetry.event import Event
from tests.collector.incidents.desk_of_test import MINUTE, Bench, alert, sqlite_at

NOW = 1_790_000_000_000
HOUR = 60 * MINUTE


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def bench(tmp_path: Path, clock: ManualClock) -> Bench:
    return Bench(sqlite_at(tmp_path, clock), clock)


def test_alerts_of_one_key_are_one_incident_with_what_they_say(bench: Bench) -> None:
    bench.give(alert("a", NOW - 3000), alert("b", NOW - 2000))
    bench.give(alert("a", NOW - 1000, 2))
    by_key = {one.key: one for one in bench.desk.open()}
    assert set(by_key) == {"a", "b"}
    one = by_key["a"]
    assert (one.count, one.first_ms, one.last_ms, one.found_ms) == (2, NOW - 3000, NOW - 1000, NOW)
    assert (one.title.zh, one.level, one.unit, one.state) == ("规则一", "high", "city", State.FOUND)
    assert one.subject.source_mac == "02:00:00:00:00:0b"
    assert one.subject.agent == "agent-1"


def test_a_flood_is_one_incident_and_grouping_it_is_quick(bench: Bench) -> None:
    flood = [alert("flood", NOW + n, n) for n in range(10_000)]
    bench.store.write(flood)
    started = time.process_time()
    for start in range(0, len(flood), 1000):
        bench.group.step(News(bench.clock.now_ms(), flood[start : start + 1000]))
    spent = time.process_time() - started
    one = bench.only()
    assert one.count == 10_000
    assert len(one.entries) == 1
    assert len(one.recent) <= 256
    assert spent < 3, spent  # measured 0.1 to 0.3 s
    records = bench.store.search(Search(0, NOW * 2, (), Kind.INCIDENT)).rows
    assert len(records) == 1  # the count alone is recorded once a minute


def test_a_flood_of_ever_new_senders_is_few_incidents(bench: Bench) -> None:
    flood = [alert(f"mac-{n}", NOW + n) for n in range(3000)]
    bench.give(*flood)
    found = bench.desk.open()
    assert len(found) == 21
    storm = next(one for one in found if one.key.startswith("storm|"))
    assert storm.count == 2980
    bench.group.begin(NOW)  # a take-over in the middle of it
    bench.group.step(News(NOW, flood, again=True))
    assert sum(one.count for one in bench.desk.docket.all(0)) == 3000
    bench.clock.advance(3600)
    bench.group.begin(bench.clock.now_ms())  # and one long after it
    bench.group.step(News(bench.clock.now_ms(), flood, again=True))
    assert len(bench.desk.docket.all(0)) == 21


def test_a_repeat_changes_nothing(bench: Bench) -> None:
    one = alert("a", NOW)
    bench.give(one)
    before = bench.only()
    bench.give(one)
    bench.give(one, one)
    assert bench.only() == before


def test_read_again_after_a_take_over_nothing_counts_twice_and_what_is_new_counts(bench: Bench) -> None:
    flood = [alert("a", NOW + n, n) for n in range(1000)]
    bench.give(*flood)
    more = [alert("a", NOW + 2000 + n, n) for n in range(300)]
    bench.store.write(more)
    bench.group.begin(NOW)
    bench.group.step(News(NOW, [*flood, *more], again=True))
    assert bench.only().count == 1300
    bench.group.step(News(NOW, [*flood, *more], again=True))
    assert bench.only().count == 1300


@pytest.mark.parametrize("arrived_ms", [NOW - 30 * 86_400_000, NOW - 3_600_000, NOW + 2000])
@pytest.mark.parametrize("own_ms", [NOW - 30 * 86_400_000, NOW + 1000, NOW + 26 * 3_600_000])
def test_read_again_what_arrived_under_a_wrong_clock_counts_too(bench: Bench, arrived_ms: int, own_ms: int) -> None:
    """Whether the clock of the collector was wrong, or the agent's; the one that took it died before it was counted."""
    taken = alert("a", NOW)
    bench.give(taken)
    flagged: Event = {"tengwang.time.flag": "future", "event.ingested": arrived_ms}
    strange = alert("a", own_ms, 2, fields=flagged)
    bench.store.write([strange])
    for _ in range(2):
        bench.group.step(News(NOW, [taken, strange], again=True))
        assert bench.only().count == 2


def test_closed_lately_is_found_again_with_its_history_and_long_ago_is_another(bench: Bench) -> None:
    bench.give(alert("a", NOW))
    first = bench.only()
    bench.desk.acknowledge(first.id, "li")
    bench.desk.close(first.id, "li", "cable changed")
    bench.clock.advance(3600)
    bench.give(alert("a", NOW + HOUR, 2))
    again = bench.only()
    assert (again.id, again.state, again.reopened, again.acknowledged_ms) == (first.id, State.FOUND, 1, 0)
    assert [e.action for e in again.entries] == ["alert", "acknowledged", "state", "reopened"]
    bench.desk.close(first.id, "li", "once more")
    bench.clock.advance(25 * 3600)
    bench.give(alert("a", bench.clock.now_ms(), 3))
    assert len(bench.desk.docket.all(0)) == 2
    assert [one.count for one in bench.desk.open()] == [1]


def test_a_late_alert_from_before_it_was_over_does_not_open_it_again(bench: Bench) -> None:
    bench.give(alert("a", NOW))
    one = bench.only()
    bench.desk.close(one.id, "li", "done")
    bench.give(alert("a", NOW - MINUTE, 2))
    assert (bench.only().state, bench.only().count) == (State.CLOSED, 2)


def test_a_false_positive_stays_one_and_counts(bench: Bench) -> None:
    bench.give(alert("a", NOW))
    bench.desk.false_positive(bench.only().id, "li", "our own scanner")
    bench.clock.advance(60)
    bench.give(alert("a", NOW + MINUTE, 2))
    assert (bench.only().state, bench.only().count) == (State.FALSE_POSITIVE, 2)


def test_who_claimed_the_key_and_died_leaves_no_second_incident(bench: Bench) -> None:
    bench.desk.docket.point("a", "0" * 24, 0)
    bench.give(alert("a", NOW), alert("a", NOW + 1, 2))
    assert (bench.only().id, bench.only().count) == ("0" * 24, 2)


def test_the_record_that_was_not_written_is_written_at_the_next_take_over(bench: Bench) -> None:
    write = bench.store.write
    bench.store.write([alert("a", NOW)])

    def fails(records: object, repeat: bool = False) -> object:
        raise Transient("the disk is full")

    bench.store.write = fails  # type: ignore[method-assign, assignment]
    bench.group.step(News(NOW, [alert("a", NOW)]))
    bench.store.write = write  # type: ignore[method-assign]
    one = bench.only()
    assert bench.store.get(Kind.INCIDENT, f"{one.id}-1") is None
    Bench(bench.store, bench.clock, "c2").group.begin(NOW)
    found = bench.store.get(Kind.INCIDENT, f"{one.id}-1")
    assert found is not None
    assert found.doc["tengwang.incident.state"] == "found"


def test_suppressed_is_found_all_the_same_and_says_so(bench: Bench) -> None:
    bench.desk.suppressions.add("li", "cutover", NOW + HOUR, unit="city")
    bench.give(alert("a", NOW))
    one = bench.only()
    assert one.suppressed_until_ms == NOW + HOUR
    assert one.entries[-1].action == "suppressed"
    assert one.entries[-1].note == "cutover"


def test_documents_of_long_ago_go_and_the_incident_is_still_told(bench: Bench) -> None:
    bench.give(alert("a", NOW))
    one = bench.only()
    bench.desk.close(one.id, "li", "done")
    bench.clock.advance(8 * 86_400)
    bench.group.step(News(bench.clock.now_ms()))
    assert bench.desk.docket.all(0) == []
    kept = bench.desk.get(one.id)
    assert kept is not None
    assert (kept.state, kept.count) == (State.CLOSED, 1)
    assert [e.action for e in bench.desk.history(one.id)] == ["alert", "state"]
    bench.give(alert("a", bench.clock.now_ms(), 9))
    assert bench.only().id != one.id


def test_an_odd_alert_does_not_keep_the_others_away(bench: Bench) -> None:
    odd = alert("x", NOW)
    odd.doc["@timestamp"] = "yesterday"
    bench.group.step(News(NOW, [odd, alert("a", NOW)]))
    assert "a" in {one.key for one in bench.desk.open()}


class Dies(Exception):
    pass


class Mortal:
    """A store whose user dies at the n-th write of a document."""

    def __init__(self, store: Store, left: int) -> None:
        self.store, self.left = store, left

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)

    def write_state(self, key: str, value: bytes, version: int) -> int:
        if self.left == 0:
            raise Dies
        self.left -= 1
        return self.store.write_state(key, value, version)


ALERTS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30)), min_size=1, max_size=60)


EXAMPLES = itertools.count()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(alerts=ALERTS, deaths=st.lists(st.integers(0, 6), max_size=5), seed=st.integers(0, 1000))
def test_killed_anywhere_and_read_again_it_is_one_incident_of_each_key(
    bench: Bench, alerts: list[tuple[str, int]], deaths: list[int], seed: int
) -> None:
    """Leaders die between any two writes; the next reads everything again. In the end: one incident a key, all
    alerts counted once."""
    store, clock, own = bench.store, bench.clock, f"{next(EXAMPLES)}-"
    records = [alert(own + key, NOW + at, at, fields={"tengwang.unit.id": own}) for key, at in alerts]
    store.write(records)
    chance = random.Random(seed)
    for number, left in enumerate(deaths):
        clock.ms += 1
        dying = Bench(Mortal(store, left), clock, f"c{number}")  # type: ignore[arg-type]
        some = records[: chance.randrange(len(records)) + 1]
        try:
            dying.group.begin(NOW)
            dying.group.step(News(NOW, some, again=True))
        except Dies:
            continue
    clock.ms += 1
    last = Bench(store, clock, "last")
    last.group.begin(NOW)
    clock.ms += 1
    last.group.step(News(NOW, records, again=True))
    found = [one for one in last.desk.docket.all(0) if one.key.startswith(own)]
    assert Counter(one.key for one in found) == dict.fromkeys({own + key for key, _ in alerts}, 1)
    assert sum(one.count for one in found) == len({r.id for r in records})
    for one in found:
        assert store.get(Kind.INCIDENT, f"{one.id}-{one.revision}") is not None or one.recorded_ms != one.changed_ms


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=st.lists(st.tuples(st.integers(0, 1), st.sampled_from("ab"), st.integers(0, 20)), max_size=40))
def test_two_that_both_believe_to_lead_make_one_incident_of_each_key(
    bench: Bench, moves: list[tuple[int, str, int]]
) -> None:
    own = f"{next(EXAMPLES)}-"
    sides = [bench, Bench(bench.store, bench.clock, "c2")]
    for side in sides:
        side.group.begin(NOW)
    for who, key, at in moves:
        sides[who].give(alert(own + key, NOW + at, at, fields={"tengwang.unit.id": own}))
    found = [one for one in bench.desk.docket.all(0) if one.key.startswith(own)]
    expected: dict[str, set[int]] = {}
    for _, key, at in moves:
        expected.setdefault(own + key, set()).add(at)
    assert {one.key: one.count for one in found} == {key: len(of) for key, of in expected.items()}
    assert len(found) == len(expected)


def test_two_people_and_the_leader_at_once_lose_nothing(bench: Bench) -> None:
    bench.give(alert("a", NOW))
    one = bench.only()
    other = Bench(bench.store, bench.clock, "c2")
    read = bench.store.read_state
    between: list[Callable[[], object]] = [
        lambda: other.desk.note(one.id, "wang", "I look at the switch"),
        lambda: other.give(alert("a", NOW + 5, 5)),
    ]

    def racing(key: str) -> Document:
        state = read(key)
        if key.startswith("incident/") and between:
            bench.store.read_state = read  # type: ignore[method-assign]
            between.pop()()
            bench.store.read_state = racing  # type: ignore[method-assign]
        return state

    bench.store.read_state = racing  # type: ignore[method-assign]
    bench.desk.acknowledge(one.id, "li")
    after = bench.desk.get(one.id)
    assert after is not None
    assert (after.count, after.acknowledged_by) == (2, "li")
    assert {"alert", "note", "acknowledged"} <= {e.action for e in after.entries}
    assert bench.report.value("tengwang_incident_conflicts_total") == 2


def test_merged_and_split_and_found_again(bench: Bench) -> None:
    bench.give(alert("a", NOW), alert("a", NOW + 1, 2), alert("b", NOW + 2))
    by_key = {one.key: one for one in bench.desk.open()}
    merged = bench.desk.merge(by_key["b"].id, by_key["a"].id, "li")
    assert (merged.count, merged.keys) == (3, ("b",))
    bench.give(alert("b", NOW + 10, 7))
    assert [(one.key, one.count) for one in bench.desk.open()] == [("a", 4)]
    apart = bench.desk.split(merged.id, [alert("a", NOW).id], "li")
    left = bench.desk.get(merged.id)
    assert left is not None
    assert (apart.count, left.count) == (1, 3)
    assert apart.key != left.key


def test_a_merge_that_died_half_way_is_completed(bench: Bench) -> None:
    bench.give(alert("a", NOW), alert("b", NOW))
    a, b = sorted(bench.desk.open(), key=lambda one: one.key)
    mortal = Bench(Mortal(bench.store, 1), bench.clock, "c2")  # type: ignore[arg-type]
    with pytest.raises(Dies):
        mortal.desk.merge(b.id, a.id, "li")
    bench.group.begin(NOW)
    after = bench.desk.get(a.id)
    assert after is not None
    assert (after.count, after.keys) == (2, ("b",))


def test_records_tell_the_times_and_hold_the_whole(bench: Bench) -> None:
    bench.give(alert("a", NOW - 5000))
    one = bench.only()
    bench.clock.advance(60)
    bench.desk.acknowledge(one.id, "li")
    bench.clock.advance(60)
    bench.desk.append(one.id, Entry(bench.clock.now_ms(), "system", "contained"))
    bench.clock.advance(60)
    bench.desk.close(one.id, "li", "port shut")
    found = bench.store.search(Search(0, NOW * 2, (Equals(KEY, ("a",)),), Kind.INCIDENT)).rows
    newest = found[0].doc
    assert [newest[f"tengwang.incident.{name}"] for name in ("mttd", "mtta", "mttc", "mttr")] == [
        5000,
        60_000,
        120_000,
        180_000,
    ]
    assert len(found) == 4
    assert isinstance(Record(Kind.INCIDENT, found[0].id, newest), Record)


def test_what_is_sent_again_after_its_incident_was_over_is_not_the_next_ones(bench: Bench) -> None:
    """An agent that got no answer sends again, and a clock that jumps makes an incident look long over."""
    first = [alert("a", NOW + n, n) for n in range(3)]
    bench.give(*first)
    bench.desk.docket.change(
        bench.only().id, lambda one: msgspec.structs.replace(one, state=State.CLOSED, closed_ms=NOW + 10)
    )
    bench.clock.ms = NOW + 26 * HOUR
    second = alert("a", NOW + 20, 9)
    bench.give(second)
    for again in (False, True):
        bench.group.step(News(bench.clock.now_ms(), [*first, second], again=again))
    counts = {one.id: one.count for one in bench.desk.docket.all(0)}
    assert sorted(counts.values()) == [1, 3]
