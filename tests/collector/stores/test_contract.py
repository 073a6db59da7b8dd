"""What every store must do, told once and held against each engine."""

from __future__ import annotations

import math
import threading

import msgspec
import pytest

from collector.partition import DAY_MS
from collector.query import (
    Aggregate,
    AnyOf,
    ByTerm,
    ByTime,
    Cidr,
    Contains,
    Equals,
    Exists,
    Kind,
    Latest,
    Measure,
    Not,
    Range,
    Row,
    Scalar,
    Search,
)
from collector.store import Conflict, Found, Record, State, Store, Written
from telemetry.clock import ManualClock, utc_day
from telemetry.errors import Permanent
from telemetry.event import Event, Value
from tests.collector.stores import reference
from tests.collector.stores.conftest import Make

pytestmark = pytest.mark.usefixtures("engine")
HOUR = 3_600_000
NOW = ManualClock().now_ms()
WHOLE = (0, 2**50)


def record(number: int, ts: int = NOW, kind: Kind = Kind.EVENT, **fields: Value) -> Record:
    name = f"a1-7-{number}"
    doc: Event = {"@timestamp": ts, "event.dataset": "tengwang.flow", "event.action": "flow", "event.ingested": NOW}
    doc |= {"event.id": name, "agent.id": "a1", **{key.replace("__", "."): value for key, value in fields.items()}}
    return Record(kind, name, doc)


def visible(store: Store) -> Store:
    """The store, once its searches see what was written."""
    refresh = getattr(store, "refresh", None)
    if refresh is not None:
        refresh()
    return store


def pages(store: Store, query: Search) -> list[str]:
    found: list[str] = []
    while True:
        page = store.search(query)
        assert len(page.rows) <= query.limit
        found += [row.id for row in page.rows]
        if not page.after:
            return found
        query = msgspec.structs.replace(query, after=page.after)


def ids(store: Store, *where: object, kind: Kind = Kind.EVENT) -> list[str]:
    conditions = msgspec.structs.replace(Search(*WHOLE, kind=kind), where=where)
    return sorted(row.id.rpartition("-")[2] for row in visible(store).search(conditions).rows)


# --- writing


def test_a_written_record_is_found_whole(store: Store) -> None:
    one = record(1, source__ip="2001:db8::1", tags=["a", "b"], tengwang__ndp__router=True, host__cpu__usage=0.25)
    assert store.write([one]) == Written(1, 0)
    assert visible(store).get(Kind.EVENT, one.id) == Found(one.id, one.doc)
    assert store.search(Search(*WHOLE)).rows == (Found(one.id, one.doc),)


def test_a_repeat_is_a_duplicate_and_the_first_one_stays(store: Store) -> None:
    store.write([record(1), record(2)])
    again = store.write([record(2, message="changed"), record(3), record(3)])
    assert (again.stored, again.duplicates, again.refused) == (1, 2, ())
    assert ids(store) == ["1", "2", "3"]
    assert ids(store, Exists("message")) == []


def test_a_repeat_after_midnight_and_after_a_restart_is_still_a_duplicate(make: Make, clock: ManualClock) -> None:
    assert make().write([record(1, NOW - 3 * DAY_MS)]).stored == 1
    clock.advance(2 * 86_400)
    assert make().write([record(1, NOW - 3 * DAY_MS)]) == Written(0, 1)


def test_a_record_whose_time_was_not_believable_before_is_recognised_when_it_is_sent_again(
    store: Store, clock: ManualClock
) -> None:
    ahead, old = record(1, NOW + 2 * DAY_MS), record(2, NOW - 179 * DAY_MS)
    assert store.write([ahead, old]).stored == 2
    clock.advance(4 * 86_400)
    assert store.write([ahead, old, record(3)], repeat=True) == Written(1, 2)
    assert ids(store) == ["1", "2", "3"]


def test_a_time_that_is_not_believable_is_kept_as_it_is_and_found_by_it(store: Store) -> None:
    far = [record(1, 0), record(2, NOW - 400 * DAY_MS), record(3, NOW + 30 * DAY_MS), record(4, 253_402_300_799_999)]
    assert store.write([*far, record(5)]).stored == 5
    assert pages(visible(store), Search(*WHOLE, limit=2)) == [f"a1-7-{n}" for n in (4, 3, 5, 2, 1)]
    assert [row.id for row in store.search(Search(NOW + DAY_MS, NOW + 40 * DAY_MS)).rows] == ["a1-7-3"]
    assert store.search(Search(0, 1)).rows[0].doc == far[0].doc
    assert store.health().newest_day == utc_day(NOW)


def test_a_document_that_the_model_does_not_know_is_refused_and_the_others_are_stored(store: Store) -> None:
    wrong = [record(1, no__such__field="x"), record(2, source__ip="not an address")]
    timeless = Record(Kind.EVENT, "t", {"event.dataset": "tengwang.flow", "event.action": "flow"})
    written = store.write([record(7), *wrong, timeless, record(8)])
    assert (written.stored, written.duplicates) == (2, 0)
    assert {r.record.id for r in written.refused} == {"a1-7-1", "a1-7-2", "t"}
    assert all(r.reason for r in written.refused)
    assert ids(store) == ["7", "8"]


def test_the_id_and_the_time_of_arrival_are_put_into_the_document(store: Store) -> None:
    store.write([Record(Kind.AUDIT, "login-1", {"@timestamp": NOW, "event.dataset": "d", "event.action": "login"})])
    found = visible(store).get(Kind.AUDIT, "login-1")
    assert found is not None
    assert (found.doc["event.id"], found.doc["event.ingested"]) == ("login-1", NOW)


def test_kinds_are_apart(store: Store) -> None:
    store.write([record(1, kind=kind) for kind in Kind])
    for kind in Kind:
        assert ids(store, kind=kind) == ["1"]
    assert store.aggregate(Aggregate(*WHOLE, kind=Kind.ALERT)) == [Row((), (1.0,))]


def test_nothing_written_is_nothing_found(store: Store) -> None:
    assert store.write([]) == Written(0, 0)
    assert store.search(Search(*WHOLE)).rows == ()
    assert store.latest(Latest(*WHOLE, per=("host.name",))) == []
    assert store.aggregate(Aggregate(*WHOLE, by=(ByTerm("host.name"),))) == []
    assert store.get(Kind.EVENT, "x") is None
    (row,) = store.aggregate(Aggregate(*WHOLE, measures=(Measure("count"), Measure("min", "source.port"))))
    assert row.values[0] == 0.0
    assert math.isnan(row.values[1])


# --- conditions


def test_values_are_brought_to_the_type_of_the_field(store: Store) -> None:
    store.write([record(1, destination__port=443, source__ip="2001:db8::1", tengwang__ndp__router=True)])
    assert ids(store, Equals("destination.port", ("443",))) == ["1"]
    assert ids(store, Equals("destination.port", (443.0,))) == ["1"]
    assert ids(store, Equals("destination.port", ("https",))) == []
    assert ids(store, Equals("source.ip", ("2001:DB8:0::1",))) == ["1"]
    assert ids(store, Equals("tengwang.ndp.router", ("true",))) == ["1"]
    assert ids(store, Range("destination.port", 442.5, 443.5)) == ["1"]
    assert ids(store, Range("destination.port", 443, 443)) == []


def test_whole_numbers_are_compared_exactly_beyond_what_a_double_holds(store: Store) -> None:
    great = [2**53 + 1, 2**53, 2**63 - 1, -(2**63)]
    store.write([record(n, network__bytes=value, event__duration=value) for n, value in enumerate(great)])
    for name in ("network.bytes", "event.duration"):
        for number, value in enumerate(great):
            assert ids(store, Equals(name, (value,))) == [str(number)]
        assert ids(store, Range(name, 2**53 + 1)) == ["0", "2"]
        assert ids(store, Range(name, None, 2**53 + 1)) == ["1", "3"]


def test_prefixes_keep_the_two_families_apart(store: Store) -> None:
    addresses = ["10.1.2.3", "10.2.0.0", "::1", "2001:db8::1", "2001:db9::", "::ffff:0:1"]
    store.write([record(n, source__ip=ip, tengwang__ndp__target=ip) for n, ip in enumerate(addresses)])
    for name in ("source.ip", "tengwang.ndp.target"):  # one has a column in SQLite, the other has not
        assert ids(store, Cidr(name, "10.1.0.0/16")) == ["0"]
        assert ids(store, Cidr(name, "0.0.0.0/0")) == ["0", "1", "5"]
        assert ids(store, Cidr(name, "::/0")) == ["2", "3", "4"]
        assert ids(store, Cidr(name, "2001:db8::/32")) == ["3"]
        assert ids(store, Cidr(name, "::ffff:10.1.0.0/112")) == ["0"]
        assert ids(store, Not(Cidr(name, "::/0"))) == ["0", "1", "5"]


def test_a_field_that_is_missing_meets_no_condition_and_every_not(store: Store) -> None:
    store.write([record(1, host__name="h", tags=["x"]), record(2, tags=[]), record(3, host__os__full="h")])
    for name in ("host.name", "tags", "host.os.full"):
        there = ids(store, Exists(name))
        assert len(there) == 1
        others = sorted({"1", "2", "3"} - set(there))
        assert ids(store, Not(Exists(name))) == others
        assert ids(store, Not(Equals(name, ("h", "x")))) == others
        assert ids(store, Not(Equals(name, ()))) == ["1", "2", "3"]
        assert ids(store, Not(Contains(name, ""))) == others
    assert ids(store, AnyOf(())) == []


def test_contains_folds_ascii_case_and_takes_every_character_as_itself(store: Store) -> None:
    texts = ["Rogue RA", "100% a_b", "a*b?c", "back\\slash", "路由 É"]
    store.write([record(n, message=text, host__name=text) for n, text in enumerate(texts)])
    wanted = {"rogue": ["0"], "0%": ["1"], "A_B": ["1"], "*B?": ["2"], "k\\S": ["3"], "由": ["4"], "é": [], "É": ["4"]}
    for name in ("message", "host.name"):
        for text, numbers in (wanted | {"%": ["1"], "_": ["1"], "": list("01234")}).items():
            assert ids(store, Contains(name, text)) == numbers, text


def test_a_text_that_is_too_long_is_kept_but_not_searched(store: Store) -> None:
    store.write([record(1, message="x" * 8191), record(2, message="x" * 8192)])
    assert ids(store, Contains("message", "xx")) == ["1"]
    assert ids(store, Exists("message")) == ["1"]
    found = store.get(Kind.EVENT, "a1-7-2")
    assert found is not None
    assert found.doc["message"] == "x" * 8192


@pytest.mark.parametrize(
    "query",
    [
        Search(*WHOLE, where=(Equals("no.such.field", ("x",)),)),
        Search(*WHOLE, where=(Cidr("host.name", "10.0.0.0/8"),)),
        Search(*WHOLE, where=(Cidr("source.ip", "ten"),)),
        Search(*WHOLE, where=(Range("host.name", 1),)),
        Search(*WHOLE, where=(Contains("source.port", "4"),)),
        Search(*WHOLE, where=(Exists("tengwang.check.evidence"),)),
        Search(*WHOLE, limit=0),
        Search(*WHOLE, after="nowhere"),
        Aggregate(*WHOLE, by=(ByTerm("message"),)),
        Aggregate(*WHOLE, by=(ByTime(0),)),
        Aggregate(*WHOLE, measures=(Measure("sum", "host.name"),)),
        Latest(*WHOLE, per=()),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(store: Store, query: Search | Aggregate | Latest) -> None:
    store.write([record(1)])
    with pytest.raises(Permanent, match="bad_query"):
        ask(visible(store), query)


def ask(store: Store, query: Search | Aggregate | Latest) -> object:
    if isinstance(query, Search):
        return store.search(query)
    return store.aggregate(query) if isinstance(query, Aggregate) else store.latest(query)


# --- pages, groups, latest


def test_pages_go_on_where_the_last_one_ended_also_within_one_millisecond(store: Store) -> None:
    records = [record(n, NOW - n % 5 * DAY_MS // 2) for n in range(57)]
    store.write(records)
    docs = [r.doc for r in records]
    for oldest_first in (False, True):
        query = Search(*WHOLE, limit=4, oldest_first=oldest_first)
        assert pages(visible(store), query) == [f.id for f in reference.search(docs, query)]


def test_groups_by_hour_and_unit(store: Store) -> None:
    records = [
        record(n, NOW - n * HOUR // 3, tengwang__unit__id="abc"[n % 3], network__bytes=n * 1000) for n in range(200)
    ]
    store.write(records)
    docs = [r.doc for r in records]
    for since, until in ((NOW - DAY_MS, NOW + 1), (NOW - DAY_MS + 1234, NOW - 777), WHOLE):
        for by in ((ByTime(HOUR), ByTerm("tengwang.unit.id")), (ByTerm("tengwang.unit.id"), ByTime(6 * HOUR))):
            query = Aggregate(since, until, by=by, measures=(Measure("count"), Measure("sum", "network.bytes")))
            for limit in (1000, 7):
                query = msgspec.structs.replace(query, limit=limit)
                assert visible(store).aggregate(query) == reference.aggregate(docs, query)


def test_the_greatest_groups_are_right_over_many_days(store: Store) -> None:
    """Each day has other great ones: adding up each day's top would be wrong."""
    records = [
        record(day * 100 + n, NOW - day * DAY_MS, source__ip=f"2001:db8::{n:x}", network__bytes=1000 * (n * day % 17))
        for day in range(6)
        for n in range(40)
    ]
    store.write(records)
    query = Aggregate(*WHOLE, by=(ByTerm("source.ip"),), measures=(Measure("sum", "network.bytes"),), limit=5)
    assert visible(store).aggregate(query) == reference.aggregate([r.doc for r in records], query)


def test_a_list_counts_in_each_of_its_values_once(store: Store) -> None:
    store.write([record(1, tags=["a", "b", "a"], host__ip=["::1", "10.0.0.1"]), record(2, tags=["b"])])
    assert visible(store).aggregate(Aggregate(*WHOLE, by=(ByTerm("tags"),))) == [
        Row(("b",), (2.0,)),
        Row(("a",), (1.0,)),
    ]
    keys = [row.keys[0] for row in store.aggregate(Aggregate(*WHOLE, by=(ByTerm("host.ip"),)))]
    assert keys == ["::1", "10.0.0.1"]
    assert ids(store, Equals("tags", ("a",)), Equals("tags", ("b",))) == ["1"]
    assert ids(store, Cidr("host.ip", "10.0.0.0/8")) == ["1"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("tengwang.ndp.router", [True, False]),
        ("source.port", [5, 80]),
        ("host.cpu.usage", [0.5, 2.0]),
        ("event.start", [1000, 2000]),
    ],
)
def test_keys_have_the_type_of_their_field(store: Store, name: str, values: list[Scalar]) -> None:
    for number, value in enumerate(values):
        fields: dict[str, Value] = {name: value}
        store.write([record(number, NOW, Kind.EVENT, **fields)])
    rows = visible(store).aggregate(Aggregate(*WHOLE, by=(ByTerm(name),)))
    assert [type(row.keys[0]) for row in rows] == [type(values[0])] * 2
    assert [row.keys[0] for row in rows] == sorted(values)


def test_measures(store: Store) -> None:
    store.write([record(n, source__port=n, host__name="ab"[n % 2]) for n in range(1, 10)] + [record(11)])
    measures = (
        Measure("count"),
        Measure("sum", "source.port"),
        Measure("min", "source.port"),
        Measure("max", "source.port"),
        Measure("distinct", "host.name"),
        Measure("percentile", "source.port", 50),
    )
    assert visible(store).aggregate(Aggregate(*WHOLE, measures=measures)) == [Row((), (10.0, 45.0, 1.0, 9.0, 2.0, 5.0))]


def test_the_latest_of_each(store: Store) -> None:
    records = [
        record(
            n,
            NOW - n * 7_000_000,
            host__name=f"h{n % 4}",
            tengwang__unit__id=f"u{n // 25}",
            tengwang__interface__index=n % 3,
            tags=["t", f"t{n % 2}"],
        )
        for n in range(60)
    ] + [record(100, NOW + 5)]
    store.write(records)
    docs = [r.doc for r in records]
    two = ("tengwang.unit.id", "agent.id")
    for per in (("host.name",), ("host.name", "tengwang.interface.index"), ("tags",), two):
        for limit in (1000, 3):
            query = Latest(*WHOLE, per=per, limit=limit)
            assert visible(store).latest(query) == reference.latest(docs, query)


def test_an_answer_over_a_finished_day_changes_when_something_is_written_to_it(store: Store) -> None:
    query = Aggregate(*WHOLE, by=(ByTerm("host.name"),), measures=(Measure("max", "source.port"),))
    for number in (5, 7):
        store.write([record(number, NOW - 3 * DAY_MS, host__name="h", source__port=number)])
        for _ in range(2):
            assert visible(store).aggregate(query) == [Row(("h",), (float(number),))]


# --- state, retention, health


def test_state_is_written_by_compare_and_set(make: Make) -> None:
    store = make()
    assert store.read_state("agent/1") == State("agent/1", b"", 0)
    first = store.write_state("agent/1", b"\x00one", 0)
    with pytest.raises(Conflict):
        store.write_state("agent/1", b"two", 0)
    other = make()
    assert (other.read_state("agent/1").value, other.read_state("agent/1").version) == (b"\x00one", first)
    second = other.write_state("agent/1", b"two", first)
    with pytest.raises(Conflict):
        store.write_state("agent/1", b"three", first)
    assert second not in (0, first)
    for key in ("agent/2", "agent/10", "agents", "token/%"):
        store.write_state(key, key.encode(), 0)
    assert [s.key for s in other.list_state("agent/")] == ["agent/1", "agent/10", "agent/2"]
    assert [s.value for s in store.list_state("token/")] == [b"token/%"]
    store.delete_state("agent/1")
    store.delete_state("agent/1")
    assert store.read_state("agent/1").version == 0
    assert store.write_state("agent/1", b"new", 0)


def test_of_many_that_write_a_state_at_once_each_round_has_one_winner(make: Make) -> None:
    stores = [make(), make()]
    won: list[int] = []

    def add() -> None:
        for turn in range(20):
            store = stores[turn % 2]
            while True:
                state = store.read_state("counter")
                number = int(state.value or b"0") + 1
                try:
                    store.write_state("counter", str(number).encode(), state.version)
                except Conflict:
                    continue
                won.append(number)
                break

    threads = [threading.Thread(target=add) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == list(range(1, 61))


def test_retention_drops_whole_partitions_and_nothing_younger(store: Store, clock: ManualClock) -> None:
    store.write([record(n, NOW - n * DAY_MS) for n in range(178, 182)] + [record(1), record(2, kind=Kind.ALERT)])
    assert store.expire(NOW) == []
    clock.advance(86_400)
    store.write([record(3, clock.now_ms())])
    assert store.expire(clock.now_ms()) == [f"events-{utc_day(NOW - 180 * DAY_MS)}"]
    assert ids(store) == ["1", "178", "179", "181", "3"]  # 181 was outside already, and is kept by its arrival
    assert store.health().oldest_day == utc_day(NOW - 179 * DAY_MS)


def test_a_clock_that_jumped_ahead_erases_nothing(store: Store) -> None:
    store.write([record(1), record(2, kind=Kind.AUDIT)])
    assert store.expire(NOW + 10_000 * DAY_MS) == []
    assert ids(store) == ["1"]


def test_health_tells_what_there_is(store: Store) -> None:
    store.write([record(1), record(2, NOW - DAY_MS), record(3, kind=Kind.ASIDE)])
    health = visible(store).health()
    assert health.writable
    assert health.detail == ""
    assert health.engine.split()[0] in ("SQLite", "Elasticsearch")
    assert (health.oldest_day, health.newest_day) == (utc_day(NOW - DAY_MS), utc_day(NOW))
    assert health.records >= 3
    assert health.bytes > 0
