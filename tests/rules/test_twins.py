"""Every rule of ours against its twin, and what every rule of ours must have."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector import shipped
from collector.detect import RuleInfo, twins
from collector.detect.load import load_file, rule_files

ROOT = Path(__file__).parents[2]
RULES = rule_files(ROOT / "rules")


def infos() -> list[RuleInfo]:
    """Those that raise alerts; a rule that is only a part of a correlation speaks to nobody."""
    loaded = [load_file(path) for path in RULES]
    parts = {part for one in loaded for correlation in one.correlations for part in correlation.rules}
    rules = [rule.info for one in loaded for rule in one.rules if not {rule.info.id, rule.name} & parts]
    return rules + [correlation.info for one in loaded for correlation in one.correlations]


@pytest.mark.parametrize("path", RULES, ids=lambda p: str(p.relative_to(ROOT / "rules")))
def test_a_rule_hits_and_misses_what_its_twin_says(path: Path) -> None:
    twin = (ROOT / "tests/rules" / path.relative_to(ROOT / "rules")).with_suffix(".jsonl")
    outcome = twins.one(path, twin)
    assert [str(problem) for problem in outcome.problems] == []
    assert outcome.hits
    assert outcome.misses


def test_the_program_finds_its_own_rules() -> None:
    assert rule_files(shipped.rules()) == RULES
    assert len(RULES) >= 40


def test_no_twin_is_left_without_its_rule() -> None:
    areas = {path.relative_to(ROOT / "rules").parts[0] for path in RULES}
    found = {twin for area in areas for twin in (ROOT / "tests/rules" / area).glob("*.jsonl")}
    wanted = {(ROOT / "tests/rules" / path.relative_to(ROOT / "rules")).with_suffix(".jsonl") for path in RULES}
    assert found == wanted


def test_every_rule_speaks_both_languages_and_is_about_what_agents_send() -> None:
    for info in infos():
        for text in (info.title, info.description, info.action, info.over_when):
            assert text.zh, info.path
            assert text.en, info.path
            assert text.zh != text.en, info.path
        assert (info.idle, info.category != "other") == ("", True), info.path


def test_every_rule_says_what_one_incident_is_and_when_it_is_over() -> None:
    for info in infos():
        assert info.by, info.path
        assert info.quiet_ms >= 20_000, info.path


def test_ids_are_unique() -> None:
    ids = [info.id for info in infos()]
    assert len(set(ids)) == len(ids)
