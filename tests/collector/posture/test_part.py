"""The posture part: what it writes, that a second leader writes the same, and that a fault is only late."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from collector.operation import News
from collector.posture.part import INTERVAL_MS, LAG_MS
from collector.query import Aggregate, ByTerm, Equals, Kind, Search
from collector.store import Found, Record, Store
from telemetry.clock import ManualClock
from telemetry.errors import Transient
from telemetry.event import Event
from telemetry.validate import validate
from tests.collector.posture.parts import posture
from tests.collector.stores.test_contract import visible

SLOT = ManualClock().now_ms() // INTERVAL_MS * INTERVAL_MS
POSTURE = (Equals("event.dataset", ("tengwang.posture",)),)


def alive(unit: str, at: int, number: int = 0) -> Record:
    doc: Event = {"@timestamp": at, "event.dataset": "tengwang.agent", "event.action": "status"}
    doc |= {"agent.id": f"agent-{unit}", "tengwang.unit.id": unit, "event.ingested": at}
    return Record(Kind.EVENT, f"{unit}-{at}-{number}", doc)


def violation(unit: str, at: int, number: int) -> Record:
    doc: Event = {"@timestamp": at, "event.dataset": "tengwang.alert", "event.action": "x", "event.ingested": at}
    doc |= {"tengwang.unit.id": unit, "rule.category": "violation", "rule.level": "medium"}
    return Record(Kind.ALERT, f"v-{unit}-{number}", doc)


def made(store: Store, *where: Equals) -> Sequence[Found]:
    query = Search(0, SLOT + 10 * INTERVAL_MS, (*POSTURE, *where), limit=1000)
    return visible(store).search(query).rows


@pytest.fixture
def filled(store: Store) -> Store:
    store.write([alive("city", SLOT - 5_000), alive("a", SLOT - 5_000)])
    store.write([violation("a", SLOT - 60_000, number) for number in range(6)])
    return visible(store)


def test_scores_indicators_and_outlooks_become_records(filled: Store, tmp_path: Path, clock: ManualClock) -> None:
    part = posture(filled, tmp_path, clock)
    scores = part.run(SLOT)
    assert (scores.own["a"].score, scores.own["city"].score, scores.own["b"].score) == (97, 100, None)
    found = {
        (str(f.doc["tengwang.posture.scope"]), str(f.doc["tengwang.posture.subject"])): f.doc
        for f in made(filled, Equals("event.action", ("score",)))
    }
    assert found["unit", "a"]["tengwang.posture.score"] == 97
    assert found["unit", "a"]["tengwang.unit.name"] == "甲"
    assert "tengwang.unit.id" not in found["unit", "a"], "a score of a unit is no event of the unit"
    assert "tengwang.posture.score" not in found["unit", "b"]
    assert found["unit", "b"]["tengwang.posture.state"] == "blind"
    assert found["branch", "city"]["tengwang.posture.score"] == found["all", "all"]["tengwang.posture.score"] == 98.5
    assert {scope for scope, _ in found} == {"unit", "branch", "level", "all"}
    detail = msgspec.json.decode(str(found["unit", "a"]["tengwang.posture.detail"]))
    assert [(d["indicator"], d["points"]) for d in detail["deductions"]] == [("violations", 3)]
    (row,) = made(
        filled,
        Equals("event.action", ("indicator",)),
        Equals("tengwang.posture.indicator", ("violations",)),
        Equals("tengwang.posture.subject", ("a",)),
    )
    assert (row.doc["tengwang.posture.value"], row.doc["tengwang.posture.deduction"]) == (6, 3)
    assert row.doc["tengwang.rule.name.zh"] == "违规行为"
    assert len(made(filled, Equals("event.action", ("outlook",)))) == 5
    for one in made(filled):
        validate(one.doc)


def test_a_second_leader_writes_nothing_new(filled: Store, tmp_path: Path, clock: ManualClock) -> None:
    posture(filled, tmp_path, clock, "one").run(SLOT)
    before = {f.id: f.doc for f in made(filled)}
    posture(filled, tmp_path, clock, "two").run(SLOT)
    assert {f.id: f.doc for f in made(filled)} == before
    posture(filled, tmp_path, clock, "two").run(SLOT + INTERVAL_MS)
    assert len(made(filled)) > len(before)


def test_what_it_observes_counts_from_the_next_run_on(filled: Store, tmp_path: Path, clock: ManualClock) -> None:
    part = posture(filled, tmp_path, clock)
    assert "retention-days" not in part.run(SLOT).whole.values
    visible(filled)
    scores = part.run(SLOT + INTERVAL_MS)
    assert scores.whole.values["retention-days"] == 90
    assert [d.points for d in scores.whole.deductions if d.indicator == "retention-days"] == [9]


def test_one_run_an_interval_and_a_little_later(filled: Store, tmp_path: Path, clock: ManualClock) -> None:
    part = posture(filled, tmp_path, clock)
    part.begin(SLOT)

    def stepped(now_ms: int) -> int:
        part.step(News(now_ms))
        deadline = time.monotonic() + 20
        while any(thread.name == "posture" for thread in threading.enumerate()) and time.monotonic() < deadline:
            time.sleep(0.02)
        visible(filled)
        rows = filled.aggregate(
            Aggregate(0, SLOT * 2, (*POSTURE, Equals("event.action", ("score",))), by=(ByTerm("@timestamp"),))
        )
        return len(rows)

    assert stepped(SLOT + LAG_MS) == 1
    assert stepped(SLOT + LAG_MS + 60_000) == 1
    assert stepped(SLOT + INTERVAL_MS) == 1, "not before what was on its way has arrived"
    assert stepped(SLOT + INTERVAL_MS + LAG_MS) == 2
    part.begin(SLOT + INTERVAL_MS)
    assert stepped(SLOT + INTERVAL_MS + LAG_MS) == 2, "a new term writes the same records again"


def test_a_store_that_is_away_makes_scores_late_and_nothing_else(
    filled: Store, tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = posture(filled, tmp_path, clock)

    def away(_: object) -> object:
        raise Transient("the store is away")

    with monkeypatch.context() as gone:
        gone.setattr(filled, "aggregate", away)
        part._guarded(SLOT)
        part.step(News(SLOT + LAG_MS))
        assert made(filled, Equals("event.action", ("score",))) == ()
    clock.advance(61)
    part._guarded(SLOT)
    assert made(filled, Equals("event.action", ("score",)))
