"""The leader's loop: nothing that was stored is missed, whoever leads, whatever fails, whatever the clocks say."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.catch_up import REACHES
from collector.feed import Feed
from collector.lease import RENEW_S, TTL_S
from collector.operation import News, Part
from collector.operations import MAX_KEPT, Operations
from collector.store import Record, Store, StoreContext
from collector.stores import elastic
from telemetry.clock import ManualClock, SystemClock
from telemetry.errors import Transient
from telemetry.report import Report
from tests.collector.incidents.desk_of_test import Bench, alert, proof, sqlite_at
from tests.parts import elasticsearch as part

NOW = 1_790_000_000_000
NUMBERS = itertools.count()


class Sees:
    """A part that remembers what it was given."""

    def __init__(self, name: str = "sees") -> None:
        self.name = name
        self.ids: list[str] = []
        self.again: list[str] = []
        self.begun = self.steps = 0
        self.fail: Exception | None = None

    def begin(self, now_ms: int) -> None:
        self.begun += 1

    def step(self, news: News) -> None:
        self.steps += 1
        if self.fail is not None:
            raise self.fail
        ids = [record.id for record in (*news.alerts, *news.hits)]
        self.ids += ids
        self.again += ids if news.again else []


class Side:
    """One collector on a store that others share."""

    def __init__(self, store: Store, name: str = "c1", offset_ms: int = 0, parts: tuple[Part, ...] = ()) -> None:
        self.clock = ManualClock(NOW + offset_ms)
        self.bench = Bench(store, self.clock, name)
        self.sees = Sees()
        self.loop: Operations = self.bench.operations((*parts, self.sees))

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.loop.keep()
        self.loop.step()

    def store(self, *records: Record, offered: bool = True) -> None:
        """As the pipeline does it: its clock noted, stored, then offered."""
        self.bench.clock_notes.saw(self.clock.now_ms())
        self.bench.store.write(records)
        if offered:
            self.bench.feed.offer(records)

    def alert(self, number: int) -> Record:
        now = self.clock.now_ms()
        return alert(f"key-{number}", now, number, collector=self.bench.name)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = sqlite_at(tmp_path, ManualClock(NOW))
    yield made
    made.close()


def both(one: Side, two: Side, seconds: float) -> None:
    for _ in range(round(seconds / RENEW_S)):
        one.advance(RENEW_S)
        two.advance(RENEW_S)


def test_what_the_own_pipeline_stored_is_seen_once(store: Store) -> None:
    side = Side(store)
    side.advance(1)
    records = [side.alert(n) for n in range(5)] + [proof("key-1", NOW)]
    side.store(*records)
    side.advance(1)
    side.store(*records)  # a repeated batch is offered again
    side.advance(1)
    assert sorted(side.sees.ids) == sorted(r.id for r in records)
    assert side.sees.begun == 1


def test_what_an_agent_sent_again_is_given_as_maybe_had(store: Store) -> None:
    side = Side(store)
    side.advance(1)
    new, had = side.alert(1), side.alert(2)
    side.store(new)
    side.store(had, offered=False)
    side.bench.feed.offer([had], repeated=True)
    side.advance(1)
    assert (sorted(side.sees.ids), side.sees.again) == (sorted([new.id, had.id]), [had.id])


def test_without_the_lease_nothing_is_done_and_nothing_piles_up(store: Store) -> None:
    leader, other = Side(store, "c1"), Side(store, "c2")
    leader.advance(1)
    other.advance(1)
    other.store(*[other.alert(n) for n in range(100)])
    other.advance(1)
    assert (other.sees.steps, other.bench.feed.take()) == (0, ([], [], False))


def test_what_another_collector_stored_is_seen(store: Store) -> None:
    leader, other = Side(store, "c1"), Side(store, "c2")
    both(leader, other, 4)
    made = [other.alert(n) for n in range(3)]
    other.store(*made)
    both(leader, other, 4)
    assert sorted(leader.sees.ids) == sorted(r.id for r in made)
    late = other.alert(9)
    late.doc["@timestamp"] = NOW - 3 * 86_400_000  # an agent's backlog
    other.store(late)
    both(leader, other, 4)
    assert late.id not in leader.sees.ids
    both(leader, other, REACHES[-1].every_s)
    assert late.id in leader.sees.ids
    assert len(leader.sees.ids) == len(set(leader.sees.ids)) == 4


@pytest.mark.parametrize("offset_ms", [-30 * 86_400_000, -26 * 3_600_000, 3_600_000, 26 * 3_600_000])
def test_another_collectors_clock_may_be_days_off_and_may_be_set(store: Store, offset_ms: int) -> None:
    leader, other = Side(store, "c1"), Side(store, "c2", offset_ms)
    both(leader, other, 4)
    made = []
    for n in range(3):
        one = other.alert(n)
        one.doc["@timestamp"] = leader.clock.now_ms()  # the agent's clock is right
        made.append(one)
    other.store(*made[:2])
    both(leader, other, 4)
    assert sorted(leader.sees.ids) == sorted(r.id for r in made[:2])
    other.clock.ms -= 20 * 86_400_000  # somebody sets it back
    both(leader, other, REACHES[1].every_s + 2 * RENEW_S)
    again = other.alert(3)
    again.doc["@timestamp"] = leader.clock.now_ms()
    other.store(again)
    both(leader, other, 6)
    assert again.id in leader.sees.ids


def test_what_was_stored_under_a_clock_that_was_wrong_for_a_moment_is_seen(store: Store) -> None:
    """It dies with the wrong clock before it looked, and before it saved where it was."""
    before = Side(store, "c1")
    before.advance(6)
    before.store(first := before.alert(1))
    before.advance(6)
    assert first.id in before.sees.ids
    wrong = Side(store, "c1", -3_600_000)
    wrong.clock.advance(12)
    missed = wrong.alert(2)
    missed.doc["@timestamp"] = NOW + 12_000  # the agent's clock is right
    wrong.store(missed, offered=False)
    right = Side(store, "c1")
    right.clock.advance(15)
    for _ in range(4):
        right.advance(6)
    assert missed.id in right.sees.ids


def test_a_take_over_in_under_30_s_misses_nothing_that_was_stored(store: Store) -> None:
    leader, other = Side(store, "c1"), Side(store, "c2")
    both(leader, other, 10)
    seen = [leader.alert(n) for n in range(5)]
    leader.store(*seen)
    both(leader, other, 10)
    unseen = [leader.alert(100 + n) for n in range(5)]
    leader.store(*unseen)  # and then it dies before it looked
    own = [other.alert(200 + n) for n in range(5)]
    other.store(*own)
    waited = 0.0
    while not other.loop.leading:
        other.advance(RENEW_S)
        waited += RENEW_S
        assert waited < 30
    assert waited >= TTL_S
    assert {r.id for r in (*unseen, *own)} <= set(other.sees.ids)
    assert {r.id for r in (*unseen, *own)} <= set(other.sees.again)


def test_started_again_after_a_week_only_the_end_is_read_again(store: Store) -> None:
    side = Side(store)
    side.advance(1)
    old = side.alert(1)
    side.store(old)
    side.advance(1)
    side.advance(3600)
    new = side.alert(2)
    side.store(new)
    side.advance(6)
    side.loop.stop()
    again = Side(store, offset_ms=7 * 86_400_000)
    again.advance(1)
    assert again.sees.ids == [new.id]
    assert again.sees.again == [new.id]


def test_more_than_the_feed_holds_is_read_from_the_store(store: Store) -> None:
    side = Side(store)
    side.advance(1)
    side.bench.feed = side.loop._feed = Feed(10)
    records = [side.alert(n) for n in range(300)]
    for start in range(0, 300, 50):
        side.store(*records[start : start + 50])
    side.advance(1)
    assert set(side.sees.ids) == {r.id for r in records}
    assert side.bench.report.value("tengwang_operations_overflows_total") == 1


@pytest.mark.parametrize("error", [Transient("the store is busy"), ValueError("a fault")])
def test_a_fault_in_one_part_stops_no_other_and_what_may_work_later_is_given_again(
    store: Store, error: Exception
) -> None:
    failing = Sees("fails")
    side = Side(store, parts=(failing,))
    side.advance(1)
    failing.fail = error
    first, second = side.alert(1), side.alert(2)
    side.store(first)
    side.advance(1)
    side.store(second)
    side.advance(1)
    failing.fail = None
    side.advance(1)
    assert side.sees.ids == [first.id, second.id]
    assert failing.ids == ([first.id, second.id] if isinstance(error, Transient) else [])
    assert side.bench.report.value("tengwang_operations_errors_total", part="fails") == 2


def test_what_a_part_could_not_take_is_read_again_by_the_next_leader(store: Store) -> None:
    failing = Sees("fails")
    side = Side(store, parts=(failing,))
    side.advance(1)
    failing.fail = Transient("away")
    one = side.alert(1)
    side.store(one)
    for _ in range(10):
        side.advance(2)
    side.loop.stop()
    other = Side(store, "c2", offset_ms=30_000)
    other.advance(1)
    assert other.sees.ids == [one.id]


def test_a_part_that_takes_nothing_for_long_does_not_fill_the_memory(store: Store) -> None:
    failing = Sees("fails")
    side = Side(store, parts=(failing,))
    side.advance(1)
    failing.fail = Transient("away")
    for start in range(0, MAX_KEPT + 5000, 5000):
        side.bench.feed.offer([alert(f"k{n}", NOW, n) for n in range(start, start + 5000)])
        side.advance(1)
    assert sum(map(len, side.loop._again.values())) <= MAX_KEPT


def test_what_a_part_raises_goes_to_the_parts_after_it(store: Store) -> None:
    raised, hit = alert("correlated", NOW, 7), proof("correlated", NOW)

    class Raises(Sees):
        def step(self, news: News) -> None:
            super().step(news)
            if news.alerts:
                news.alerts.append(raised)
                news.hits.append(hit)

    before, raises = Sees("before"), Raises("raises")
    side = Side(store, parts=(before, raises))
    side.advance(1)
    one = side.alert(1)
    side.store(one)
    side.advance(1)
    assert (before.ids, side.sees.ids) == ([one.id], [one.id, raised.id, hit.id])


def test_who_leads_no_longer_stops_between_two_parts(store: Store) -> None:
    side: Side

    class Slow(Sees):
        def step(self, news: News) -> None:
            super().step(news)
            if news.alerts and self.begun == 1:
                side.clock.advance(100)

    side = Side(store, parts=(Slow("slow"),))
    side.advance(1)
    one = side.alert(1)
    side.store(one)
    side.advance(1)
    assert side.sees.ids == []
    side.advance(1)  # it leads again, with a new term, and reads what was left
    assert side.sees.ids == [one.id]


def test_a_loop_that_hangs_gives_the_lease_up(store: Store) -> None:
    side = Side(store)
    side.advance(1)
    for _ in range(100):
        side.clock.advance(RENEW_S)
        side.loop.keep()
    assert not side.loop.leading


def test_two_leaders_at_once_group_everything_once(store: Store) -> None:
    """Clocks that run at different speeds can make two lead for a moment: still one incident of each key."""
    sides = []
    for name in ("c1", "c2"):
        side = Side(store, name)
        side.loop = side.bench.operations((side.bench.group,))
        sides.append(side)
    one, two = sides
    one.advance(1)
    two.clock.advance(TTL_S + 1)
    two.loop.keep()
    two.clock.advance(TTL_S + 1)
    two.loop.keep()
    assert one.loop.leading
    assert two.loop.leading
    for n in range(30):
        one.store(one.alert(n % 10))
        two.store(alert(f"key-{n % 10}", NOW + n, 500 + n, collector="c2"))
        one.loop.step()
        two.loop.step()
    found = one.bench.desk.docket.all(0)
    assert len(found) == 10
    assert sum(i.count for i in found) == 10 + 30


@pytest.fixture
def elastic_store(elasticsearch: part.Cluster) -> Callable[[], Store]:
    prefix = f"ops{os.getpid()}-{next(NUMBERS)}"
    clock = SystemClock()

    def make() -> Store:
        config = elastic.Config(urls=tuple(elasticsearch.urls), prefix=prefix, replicas=0)
        return elastic.build(config, StoreContext(Path(), clock, Report(clock)))

    return make


@pytest.mark.needs("elasticsearch")
def test_on_elasticsearch_two_collectors_make_one_incident_of_each_key_and_miss_nothing(
    elastic_store: Callable[[], Store],
) -> None:
    """In real time: a record is visible a second after it was written."""
    stores = [elastic_store(), elastic_store()]
    sides = [Side(stores[n], f"c{n}") for n in (0, 1)]
    for side in sides:
        side.clock.ms = SystemClock().now_ms()
        side.loop = side.bench.operations((side.bench.group, side.sees))
        side.advance(1)
    records: list[Record] = []
    for round_ in range(6):
        for number, side in enumerate(sides):
            made = [
                alert(f"key-{n % 5}", side.clock.now_ms(), round_ * 1000 + number * 100 + n, collector=f"c{number}")
                for n in range(20)
            ]
            side.store(*made)
            records += made
        for side in sides:
            side.advance(1)
        time.sleep(0.3)
    deadline = time.monotonic() + 120
    wanted = {r.id for r in records}
    while not wanted <= set(sides[0].sees.ids) and time.monotonic() < deadline:
        time.sleep(0.3)
        for side in sides:
            side.advance(1)
    assert wanted == set(sides[0].sees.ids)
    found = sides[0].bench.desk.docket.all(0)
    assert sorted((one.key, one.count) for one in found) == [(f"key-{n}", len(records) // 5) for n in range(5)]
    while not sides[1].loop.leading:  # the first is killed: the second reads again, and counts nothing twice
        sides[1].advance(RENEW_S)
    assert wanted <= set(sides[1].sees.ids)
    after = sides[1].bench.desk.docket.all(0)
    assert {(one.key, one.count) for one in after} == {(one.key, one.count) for one in found}
    for store in stores:
        store.close()
