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
    return [rule.info for path in RULES for rule in load_file(path)[0]]


@pytest.mark.parametrize("path", RULES, ids=lambda p: str(p.relative_to(ROOT / "rules")))
def test_a_rule_hits_and_misses_what_its_twin_says(path: Path) -> None:
    twin = (ROOT / "tests/rules" / path.relative_to(ROOT / "rules")).with_suffix(".jsonl")
    outcome = twins.one(path, twin)
    assert [str(problem) for problem in outcome.problems] == []
    assert outcome.hits
    assert outcome.misses


def test_the_program_finds_its_own_rules() -> None:
    assert rule_files(shipped.rules()) == RULES
    assert len(RULES) >= 5


def test_every_rule_speaks_both_languages_and_is_about_what_agents_send() -> None:
    for info in infos():
        assert info.title.zh != info.title.en, info.path
        assert info.description.zh != info.description.en, info.path
        assert info.action.zh != info.action.en, info.path
        assert (info.idle, info.category != "other") == ("", True), info.path


def test_ids_are_unique() -> None:
    ids = [info.id for info in infos()]
    assert len(set(ids)) == len(ids)
