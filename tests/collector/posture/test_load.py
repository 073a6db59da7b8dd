"""Indicator files: strict, with path:line, and whatever is in them never ends the program."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.posture.indicator import Colours, Indicator, Scale, WarningRule
from collector.posture.load import PLAIN, load, load_text
from collector.posture.source import BookSource
from telemetry.clock import ManualClock
from telemetry.report import Report

GOOD = """id: one
title_zh: 一
title_en: One
about_zh: 关于一
about_en: About one
measure:
  kind: alerts
  take: count
  window: 24h
  query: "level:high"
weight: 2
cap: 10
source: somewhere that says so
date: "2026"
"""


def test_a_good_one_is_read_whole() -> None:
    made, problems = load_text("x.yml", GOOD)
    assert problems == []
    assert isinstance(made, Indicator)
    assert (made.id, made.measure.query, made.weight, made.cap) == ("one", "level:high", 2, 10)
    assert made.scope == ("unit", "zone", "level", "all")


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("weight: 2", "wieght: 2", "x.yml:11: wieght: unknown key (did you mean 'weight'?)"),
        ("weight: 2", "weight: 200", "x.yml:11: weight: Expected"),
        ('query: "level:high"', 'query: "levle:high"', "x.yml:10: measure.query: 'levle:high': there is no field"),
        ("take: count", "take: latest", "x.yml:6: measure: latest wants per"),
        ("take: count", "take: sum", "x.yml:6: measure: sum wants a field"),
        ("take: count", "take: guess", "x.yml:8: measure.take: "),
        ("window: 24h", "window: soon", "x.yml:9: measure.window: "),
        ("kind: alerts", "kind: aside", "x.yml:7: measure.kind: "),
        ("cap: 10", "cap: 10\ntarget: 5", "x.yml:13: target: target and target_year go together"),
        ("cap: 10", "cap: 0\nceiling: 70", "x.yml:13: ceiling: has no effect without a cap"),
        ("  window: 24h", "  window: 24h\n  per: [agent.id]", "x.yml:6: measure: per and stale are for latest"),
        ("  window: 24h", "  window: 24h\n  field: network.byets", "x.yml:10: measure.field: there is no field"),
        ("  window: 24h", "  window: 24h\n  field: message", "x.yml:6: measure: "),
        ("  window: 24h", "  window: 24h\n  share: true", "x.yml:10: measure.share: the share of a count wants one"),
        ("id: one", "form: guess\nid: one", "x.yml:1: form: 'guess' is unknown"),
        ("date:", "date", "x.yml"),
    ],
)
def test_a_mistake_is_refused_with_its_place(was: str, now: str, said: str) -> None:
    assert was in GOOD
    made, problems = load_text("x.yml", GOOD.replace(was, now, 1))
    assert made is None
    assert any(str(problem).startswith(said) for problem in problems), [str(p) for p in problems]


def test_one_bad_file_keeps_no_other_away(tmp_path: Path) -> None:
    folder = tmp_path / "posture"
    folder.mkdir()
    (folder / "a.yml").write_text(GOOD)
    (folder / "b.yml").write_text(GOOD.replace("weight: 2", "weight: many"))
    (folder / "c.yml").write_text(GOOD)
    (folder / "d.yml").write_bytes(b"\xff\xfe")
    book, problems = load([tmp_path])
    assert [indicator.id for indicator in book.indicators] == ["one"]
    assert book.scale == PLAIN
    said = " ".join(map(str, problems))
    assert "b.yml:11: weight" in said
    assert "one is there already" in said
    assert "d.yml: is not UTF-8" in said


def test_a_target_that_no_indicator_has_is_said(tmp_path: Path) -> None:
    warning = """form: warning
id: far
title_zh: 远
title_en: Far
about_zh: 关于
about_en: About
method: target
indicator: oen
colours: {blue: 1, yellow: 2, orange: 3, red: 4}
source: somewhere that says so
date: "2026"
"""
    (tmp_path / "posture").mkdir()
    (tmp_path / "posture/a.yml").write_text(GOOD)
    (tmp_path / "posture/b.yml").write_text(warning)
    book, problems = load([tmp_path])
    assert book.warnings == ()
    assert [str(p) for p in problems] == ["far: indicator: 'oen' has no target (did you mean 'one'?)"]


def test_colours_rise_or_fall_all_the_way() -> None:
    assert Colours(blue=1, yellow=2, orange=3, red=4).of(3.5) == "orange"
    assert Colours(blue=4, yellow=3, orange=2, red=1).of(3.5) == "blue"
    assert Colours(blue=4, yellow=3, orange=2, red=1).of(5) == "none"
    for steps in ((1, 1, 2, 3), (1, 3, 2, 4)):
        with pytest.raises(ValueError, match="rise all the way"):
            Colours(blue=steps[0], yellow=steps[1], orange=steps[2], red=steps[3])


def test_points_stop_at_the_cap_and_know_their_direction() -> None:
    made, _ = load_text("x.yml", GOOD)
    assert isinstance(made, Indicator)
    assert [made.points(value) for value in (0, 1, 5, 9)] == [(0, False), (2, False), (10, True), (10, True)]
    higher, _ = load_text("x.yml", GOOD + "direction: higher\nthreshold: 90\n")
    assert isinstance(higher, Indicator)
    assert [higher.points(value)[0] for value in (95, 90, 88, 0)] == [0, 0, 4, 10]


def test_a_changed_file_is_taken_and_a_broken_one_stays_out(tmp_path: Path) -> None:
    folder = tmp_path / "posture"
    folder.mkdir()
    source = BookSource([tmp_path], Report(ManualClock()))
    assert source.current().indicators == ()
    (folder / "a.yml").write_text(GOOD)
    assert source.reload_if_changed()
    assert not source.reload_if_changed()
    assert [i.id for i in source.current().indicators] == ["one"]
    (folder / "a.yml").write_text("id: [")
    assert source.reload_if_changed()
    assert source.current().indicators == ()
    assert "a.yml:" in str(source.problems()[0])


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200) | st.sampled_from(GOOD.splitlines()).flatmap(lambda line: st.text(max_size=20).map(
    lambda junk: GOOD.replace(line, line.partition(":")[0] + ":" + junk))))  # fmt: skip
def test_any_text_gives_an_indicator_or_problems(text: str) -> None:
    made, problems = load_text("x.yml", text)
    assert (made is None) is bool(problems)
    assert made is None or isinstance(made, Indicator | Scale | WarningRule)
