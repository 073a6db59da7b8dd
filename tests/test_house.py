"""The house rules that a machine can hold: sizes, names, and that every part has its test."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("agent", "collector", "telemetry")
BANNED_NAMES = {"utils", "helpers", "common", "base", "misc", "tools"}
TWINS = {
    "actions": "agent",
    "inputs": "agent",
    "decoders": "agent",
    "checks": "agent",
    "enrichers": "collector",
    "notifiers": "collector",
}


def modules(*folders: str) -> list[Path]:
    return sorted(p for folder in folders for p in (ROOT / folder).rglob("*.py") if "__pycache__" not in p.parts)


def test_no_file_is_over_600_lines_and_most_are_short() -> None:
    lengths = {p.relative_to(ROOT): p.read_text().count("\n") for p in modules(*PACKAGES)}
    assert {p: n for p, n in lengths.items() if n > 600} == {}
    assert sorted(lengths.values())[len(lengths) // 2] <= 120


def test_no_module_is_named_for_what_it_is_not() -> None:
    assert [p for p in modules(*PACKAGES, "tests") if p.stem in BANNED_NAMES] == []


def test_every_module_says_what_it_is_for() -> None:
    assert [p for p in modules(*PACKAGES) if not p.read_text().lstrip().startswith('"""')] == []


@pytest.mark.parametrize("kind", sorted(TWINS))
def test_every_component_has_a_test_of_its_own(kind: str) -> None:
    side = TWINS[kind]
    made = {p.stem for p in (ROOT / side / kind).glob("*.py") if not p.stem.startswith("_")}
    tested = {p.stem.removeprefix("test_") for p in (ROOT / "tests" / side / kind).glob("test_*.py")}
    assert made - tested == set()


def test_every_rule_has_its_hits_and_misses() -> None:
    rules = {p.relative_to(ROOT / "rules").with_suffix("") for p in (ROOT / "rules").rglob("*.yml")}
    twins = {p.relative_to(ROOT / "tests/rules").with_suffix("") for p in (ROOT / "tests/rules").rglob("*.jsonl")}
    assert rules == twins
    assert rules


def test_tests_are_no_package() -> None:
    """``tests/agent/__init__.py`` would shadow the real ``agent`` (import mode importlib)."""
    assert list((ROOT / "tests").glob("*/__init__.py")) == []
