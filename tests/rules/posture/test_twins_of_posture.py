"""Every indicator, scale and warning of ours against its twin, and what each of them must have."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from collector import shipped
from collector.posture import twins
from collector.posture.indicator import Indicator, WarningRule
from collector.posture.load import load
from collector.store import Store, StoreContext
from collector.stores import sqlite
from telemetry.clock import ManualClock
from telemetry.report import Report

ROOT = Path(__file__).parents[3]
PAIRS = twins.pairs(ROOT / "rules/posture", ROOT / "tests/rules/posture")


@pytest.mark.parametrize(("path", "twin"), PAIRS, ids=[path.stem for path, _ in PAIRS])
def test_what_its_twin_says_comes_out(path: Path, twin: Path, tmp_path: Path) -> None:
    numbers, clock = itertools.count(), ManualClock(twins.NOW)

    def make() -> Store:
        return sqlite.build(
            sqlite.Config(path=str(next(numbers)), reserve_mb=0), StoreContext(tmp_path, clock, Report(clock))
        )

    outcome = twins.one(path, twin, make)
    assert [str(problem) for problem in outcome.problems] == []
    assert outcome.cases >= 2


def test_ours_are_whole_sourced_and_in_both_languages() -> None:
    book, problems = load([shipped.rules()])
    assert problems == []
    assert len(book.indicators) >= 12
    assert {rule.method for rule in book.warnings} == {"baseline", "capacity", "expiry", "target"}
    every: list[Indicator | WarningRule] = [*book.indicators, *book.warnings]
    for one in every:
        assert one.title.zh != one.title.en
        assert one.title.en.isascii()
        assert one.about_zh != one.about_en
        assert len(one.source) > 20, one.id
    assert any(indicator.ceiling == 70 for indicator in book.indicators)
    assert book.scale.floor == 5


def test_a_file_is_named_for_what_it_holds() -> None:
    for path, _ in PAIRS:
        text = path.read_text(encoding="utf-8")
        if not path.stem.startswith("warn_") and path.stem != "scale":
            assert f"id: {path.stem.replace('_', '-')}\n" in text, path
