"""Scores from facts: explained to the last point, blind where nothing measures, the same whatever the order."""

from __future__ import annotations

import math

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.posture.facts import Coverage, Fact, Facts
from collector.posture.indicator import Book, Colours, Indicator, Measure, Scale, Scope
from collector.posture.score import CEILING, FLOOR, Scores, score
from collector.posture.tree import Place, Tree

SCALE = Scale(
    form="scale",
    id="s",
    title_zh="分",
    title_en="s",
    floor=5,
    below=Colours(blue=85, yellow=75, orange=60, red=40),
    source="x",
    date="2026",
)


def indicator(
    id: str,
    weight: float = 5,
    cap: float = 20,
    ceiling: float | None = None,
    measure: Measure | None = None,
    sight: bool = False,
    scope: tuple[Scope, ...] = ("unit", "zone", "level", "all"),
) -> Indicator:
    return Indicator(
        id=id,
        title_zh=id,
        title_en=id,
        about_zh=id,
        about_en=id,
        measure=measure or Measure(kind="alerts", take="count", window="1h"),
        weight=weight,
        cap=cap,
        ceiling=ceiling,
        sight=sight,
        scope=scope,
        source="x",
        date="2026",
    )


def place(id: str, parent: str = "", level: str = "county", zone: str = "", devices: int = 0) -> Place:
    return Place(id, id, id, level, parent, zone, 0, devices, 0, "")


TREE = Tree(
    [place("city", level="city"), place("a", "city", zone="dmz"), place("b", "city"), place("a1", "a", "township")]
)
UP = Coverage(1, 1)


def book(*indicators: Indicator) -> Book:
    return Book(indicators, (), SCALE)


def facts(coverage: dict[str, Coverage], **of: dict[str, Fact]) -> Facts:
    return Facts(1, of, {name: {} for name in of}, coverage)


def explained(scores: Scores) -> None:
    for made in scores.every():
        if made.score is None:
            assert (made.state, made.deductions, made.colour) == ("blind", (), "none")
        else:
            assert math.isclose(made.score, 100 - math.fsum(d.points for d in made.deductions), abs_tol=1e-6)
            assert 5 <= made.score <= 100


def test_a_unit_loses_what_its_indicators_take_and_no_more_than_the_cap() -> None:
    found = facts(dict.fromkeys(("city", "a", "b", "a1"), UP), x={"a": Fact(2, 2), "b": Fact(9, 9)})
    scores = score(book(indicator("x")), found, TREE)
    assert [scores.own[name].score for name in ("city", "a", "b", "a1")] == [100, 90, 80, 100]
    assert scores.own["b"].deductions[0].capped
    assert not scores.own["a"].deductions[0].capped
    assert {name: made.score for name, made in scores.branches.items()} == {"city": 92.5, "a": 95, "b": 80, "a1": 100}
    assert scores.whole.score == 92.5
    assert scores.levels["county"].score == 85
    assert [(s.unit, s.points) for s in scores.whole.deductions[0].shares] == [("b", 20), ("a", 10)]
    assert scores.own["a"].colour == "none"
    assert scores.own["b"].colour == "blue"
    explained(scores)


def test_where_nothing_measures_it_is_blind_and_not_good() -> None:
    found = facts({"a": UP}, x={"a": Fact(1, 1)})
    scores = score(book(indicator("x")), found, TREE)
    assert scores.own["b"].score is None
    assert (scores.own["b"].state, scores.own["b"].blind) == ("blind", ("x",))
    assert (scores.whole.score, scores.whole.state, scores.whole.seen, scores.whole.units) == (95, "partly", 1, 4)
    nobody = score(book(indicator("x")), facts({}, x={}), TREE)
    assert (nobody.whole.score, nobody.whole.state) == (None, "blind")
    explained(scores)
    explained(nobody)


def test_that_the_agent_is_silent_is_no_sight() -> None:
    """Only what is about the network itself makes a unit seen."""
    silent = indicator(
        "silent", measure=Measure(kind="events", take="latest", window="1d", per=("agent.id",), stale="3m"), sight=True
    )
    found = facts({"a": Coverage(0, 1)}, silent={"a": Fact(1, 1)}, x={})
    scores = score(book(silent, indicator("x")), found, TREE)
    assert (scores.own["a"].score, scores.own["a"].state) == (None, "blind")
    partly = score(book(silent, indicator("x")), facts({"a": Coverage(1, 2)}, silent={"a": Fact(1, 2)}, x={}), TREE)
    assert (partly.own["a"].score, partly.own["a"].state) == (95, "partly")
    dim = score(book(indicator("x")), facts({"a": Coverage(1, 1, ("ndp",))}, x={}), TREE)
    assert (dim.own["a"].score, dim.own["a"].state, dim.own["a"].blind_inputs) == (100, "partly", ("ndp",))


def test_what_is_not_there_is_not_missed_and_what_is_there_is() -> None:
    devices = indicator(
        "d",
        measure=Measure(
            kind="events", take="latest", window="1h", per=("tengwang.device.id",), stale="1m", expects="devices"
        ),
    )
    found = facts({"a": UP, "b": UP}, d={}, x={})
    scores = score(book(devices, indicator("x")), found, Tree([place("a"), place("b", devices=2)]))
    assert (scores.own["a"].state, scores.own["a"].blind) == ("known", ())
    assert (scores.own["b"].state, scores.own["b"].blind) == ("partly", ("d",))


def test_an_open_critical_one_keeps_the_score_down_and_the_floor_holds_it_up() -> None:
    worst = indicator("worst", weight=10, cap=100, ceiling=70)
    one = score(book(worst), facts({"a": UP, "b": UP}, worst={"a": Fact(1, 1)}), TREE)
    assert [(d.indicator, d.points) for d in one.own["a"].deductions] == [("worst", 10), (CEILING, 20)]
    assert (one.own["a"].score, one.own["a"].deductions[1].because) == (70, "worst")
    assert one.whole.score == 70, "and the whole with it: 85 would be its mean"
    many = score(book(worst), facts({"a": UP}, worst={"a": Fact(30, 30)}), TREE)
    assert [(d.indicator, d.points) for d in many.own["a"].deductions] == [("worst", 100), (FLOOR, -5)]
    assert (many.own["a"].score, many.own["a"].colour) == (5, "red")
    explained(one)
    explained(many)


def test_a_zone_is_of_what_stands_in_it() -> None:
    made = facts({"a": UP, "b": UP}, x={"a": Fact(3, 3), "b": Fact(1, 1)})
    made = msgspec.structs.replace(
        made, zones={"x": {("dmz", "a"): Fact(2, 2), ("core", "a"): Fact(1, 1), ("core", "b"): Fact(1, 1)}}
    )
    scores = score(book(indicator("x")), made, TREE)
    assert {name: zone.score for name, zone in scores.zones.items()} == {"core": 95, "dmz": 90}
    assert scores.zones["core"].values == {"x": 2}
    explained(scores)


def test_a_share_of_nothing_is_not_measured() -> None:
    late = indicator(
        "late",
        measure=Measure(
            kind="incidents", take="latest", window="1d", per=("tengwang.incident.id",), bad=("level:high",), share=True
        ),
    )
    scores = score(book(late, indicator("x")), facts({"a": UP}, late={}, x={}), TREE)
    assert "late" not in scores.own["a"].values
    assert scores.own["a"].state == "known"


def test_what_only_the_whole_has_is_taken_off_the_whole() -> None:
    kept = indicator(
        "kept",
        scope=("all",),
        measure=Measure(
            kind="events", take="latest", window="1h", per=("agent.id",), bad=("agent.id:*",), expects="nothing"
        ),
    )
    scores = score(book(kept, indicator("x")), facts({"a": UP}, kept={"": Fact(2, 2)}, x={}), TREE)
    assert scores.own["a"].score == 100
    assert (scores.whole.score, scores.whole.values["kept"]) == (90, 2)
    explained(scores)


amounts = st.dictionaries(
    st.sampled_from(["city", "a", "b", "a1"]), st.builds(Fact, st.integers(0, 40), st.integers(0, 40))
)


@settings(deadline=None)
@given(amounts, amounts, st.lists(st.sampled_from(["city", "a", "b", "a1"]), unique=True))
def test_any_facts_are_explained_and_no_order_matters(x: dict[str, Fact], y: dict[str, Fact], up: list[str]) -> None:
    one, other = indicator("x", 3.7, 33, 70), indicator("y", 0.3, 7)
    forward = facts(dict.fromkeys(up, UP), x=x, y=y)
    backward = facts(dict.fromkeys(reversed(up), UP), y=dict(reversed(y.items())), x=dict(reversed(x.items())))
    made = score(book(one, other), forward, TREE)
    assert msgspec.json.encode(made) == msgspec.json.encode(score(book(one, other), backward, TREE))
    explained(made)
    worse = {name: Fact(fact.value + 1, fact.total + 1) for name, fact in x.items()}
    for name, after in score(book(one, other), facts(dict.fromkeys(up, UP), x=worse, y=y), TREE).own.items():
        before = made.own[name].score
        if before is not None and after.score is not None:
            assert after.score <= before, "more of a bad thing is never better"
