"""Every indicator of ours over the same records: each engine gives the same scores, now and for any past time."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from collector import shipped
from collector.posture import twins
from collector.posture.facts import Facts, gather
from collector.posture.indicator import Indicator
from collector.posture.load import load, load_file
from collector.posture.score import Scores, score
from collector.posture.tree import Place, Tree
from collector.store import Record, Store, StoreContext
from collector.stores import sqlite
from telemetry.clock import ManualClock
from telemetry.report import Report
from tests.collector.stores.test_contract import visible

ROOT = Path(__file__).parents[3]
HOUR = 3_600_000
PAIRS = twins.pairs(ROOT / "rules/posture", ROOT / "tests/rules/posture")


def every_twin() -> tuple[list[Record], Tree]:
    """All cases of all twins as one city: a unit a case, with ids of its own."""
    found: list[Record] = []
    places: list[Place] = []
    for path, twin in PAIRS:
        loaded, _ = load_file(path)
        if not isinstance(loaded, Indicator):
            continue
        for number, text in enumerate(twin.read_text(encoding="utf-8").splitlines()):
            unit = f"{path.stem}-{number}"
            zone = ("core", "office")[number % 2]
            places.append(Place(unit, unit, unit, ("county", "township")[number % 2], "", zone, 0, 0, 0, ""))
            for made in twins.records(msgspec.json.decode(text, type=twins.Case), loaded.measure.kind, unit=unit):
                doc = dict(made.doc)
                for name in (
                    "agent.id",
                    "tengwang.incident.id",
                    "tengwang.check.subject",
                    "tengwang.terminal.mac",
                    "tengwang.device.id",
                ):
                    if name in doc:
                        doc[name] = f"{doc[name]}@{unit}"
                if "tengwang.unit.id" in doc:
                    doc["tengwang.zone"] = zone
                found.append(Record(made.kind, made.id, doc))
    return found, Tree(places)


def everything(store: Store, tree: Tree, at_ms: int) -> tuple[Facts, Scores]:
    book, problems = load([shipped.rules()])
    assert problems == []
    facts = gather(store, book.indicators, at_ms)
    return facts, score(book, facts, tree)


@pytest.fixture
def reference(tmp_path: Path) -> Store:
    clock = ManualClock(twins.NOW)
    return sqlite.build(sqlite.Config(path="reference", reserve_mb=0), StoreContext(tmp_path, clock, Report(clock)))


def test_the_same_scores_from_each_engine_at_any_time(store: Store, reference: Store) -> None:
    records, tree = every_twin()
    for one in (store, reference):
        assert one.write(records).refused == ()
    visible(store)
    seen = set()
    for at_ms in (
        twins.NOW,
        twins.NOW - 30 * 60_000,
        twins.NOW - 3 * HOUR,
        twins.NOW - 48 * HOUR,
        twins.NOW - 9 * 24 * HOUR,
    ):
        (_, scores), (_, other) = everything(store, tree, at_ms), everything(reference, tree, at_ms)
        assert msgspec.to_builtins(scores) == msgspec.to_builtins(other), at_ms
        seen.add(tuple(made.score for made in scores.own.values()))
    assert len(seen) >= 4, "the scores of five different times can not be the same by chance"
    reference.close()


def test_a_unit_s_score_is_what_its_twin_says(store: Store) -> None:
    """All cases at once: no unit takes anything from another."""
    records, tree = every_twin()
    store.write(records)
    _, scores = everything(visible(store), tree, twins.NOW)
    for path, twin in PAIRS:
        loaded, _ = load_file(path)
        if not isinstance(loaded, Indicator) or loaded.scope == ("all",):
            continue
        for number, text in enumerate(twin.read_text(encoding="utf-8").splitlines()):
            case = msgspec.json.decode(text, type=twins.Case)
            assert scores.own[f"{path.stem}-{number}"].values.get(loaded.id) == case.value, (path.stem, number)


def test_what_comes_later_does_not_change_the_past(store: Store) -> None:
    """A replay of a past moment gives what was known of it, whatever was stored since about later times."""
    records, tree = every_twin()
    early = [record for record in records if int(str(record.doc["@timestamp"])) < twins.NOW - HOUR]
    store.write(early)
    _, then = everything(visible(store), tree, twins.NOW - HOUR)
    store.write(records)
    _, again = everything(visible(store), tree, twins.NOW - HOUR)
    assert msgspec.json.encode(then) == msgspec.json.encode(again)
