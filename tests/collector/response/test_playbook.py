"""Our playbooks against their twins, and what the loader says of wrong ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector import shipped
from collector.incidents.model import Incident
from collector.inventory_index import EMPTY
from collector.response import playbook
from collector.response.playbook import Playbook
from collector.response.proposing import Ability, Ground, proposals
from collector.response.protection import Protected
from telemetry.order import Action, Scope

ROOT = Path(__file__).parents[3]
TWINS = ROOT / "tests" / "rules" / "playbooks"
ABLE = Ability("a1", "bureau", frozenset(Action), Scope.SEGMENT)


def ours() -> tuple[Playbook, ...]:
    made, problems = playbook.load([shipped.playbooks()])
    assert problems == []
    return made


def twins() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in sorted(TWINS.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            yield file.stem.replace("_", "-"), json.loads(line)


def ground(playbooks: tuple[Playbook, ...], family: str) -> Ground:
    return Ground(playbooks, [ABLE], Protected(EMPTY, (), ()), ("city", "bureau"), frozenset([family]), automatic=False)


@pytest.mark.parametrize(("name", "row"), list(twins()))
def test_every_playbook_proposes_what_its_twin_says(name: str, row: dict[str, Any]) -> None:
    incident = msgspec.convert(row["incident"], Incident)
    own = tuple(p for p in ours() if p.id == name)
    assert own, f"there is no playbook {name}"
    made = proposals(incident, ground(own, row["family"]))
    assert [[p.action.value, p.target] for p in made] == row.get("proposes", [])
    assert bool(made) == row["match"]
    assert all(p.agent == "a1" and not p.why for p in made)


def test_every_playbook_has_at_least_one_hit_and_one_miss() -> None:
    seen = {(name, row["match"]) for name, row in twins()}
    assert {(p.id, match) for p in ours() for match in (True, False)} <= seen


def test_no_playbook_of_ours_acts_without_approval() -> None:
    assert [p.id for p in ours() for step in p.actions if step.automatic is not None] == []


GOOD = """id: x
title: X
title_zh: 某
when: {families: [ndp]}
actions:
  - {action: block_source, at: source_ip, ttl: 1h}
"""


@pytest.mark.parametrize(
    ("before", "after", "line", "said"),
    [
        ("ttl: 1h", "ttl: 9000h", 6, "not between"),
        ("ttl: 1h", "ttl: soon", 6, "length of time"),
        ("ttl: 1h", "tll: 1h", 6, "unknown key"),
        ("action: block_source", "action: block_everything", 6, "Invalid enum"),
        ("action: block_source", "action: rate_limit", 6, "needs it"),
        ("at: source_ip", "at: destination_ip", 6, "directed at"),
        ("{families: [ndp]}", "{}", 4, "names nothing"),
        ("{families: [ndp]}", "{classes: [nonsense]}", 4, "not one of"),
        ("id: x", "id: 'X Y'", 1, ""),
        ("title_zh: 某\n", "", 1, "is missing"),
    ],
)
def test_a_wrong_playbook_is_refused_with_its_line(
    tmp_path: Path, before: str, after: str, line: int, said: str
) -> None:
    file = tmp_path / "x.yml"
    file.write_text(GOOD, encoding="utf-8")
    assert playbook.load([tmp_path])[1] == []
    file.write_text(GOOD.replace(before, after), encoding="utf-8")
    made, problems = playbook.load([tmp_path])
    assert made == ()
    assert [(p.path, p.line) for p in problems] == [(str(file), line)]
    assert said in str(problems[0])


def test_one_wrong_playbook_leaves_the_others_in_use(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "b.yml").write_text("id: [", encoding="utf-8")
    (tmp_path / "c.yml").write_text(GOOD, encoding="utf-8")
    made, problems = playbook.load([tmp_path])
    assert [p.id for p in made] == ["x"]
    assert {Path(p.path).name for p in problems} == {"b.yml", "c.yml"}


@given(st.text(max_size=200) | st.text("idtle_zh:{}[]-\n acons", max_size=200))
def test_any_text_is_a_playbook_or_problems(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.mktemp("p") / "x.yml"
    file.write_text(text, encoding="utf-8")
    made, problems = playbook.load_file(file)
    assert (made is None) == bool(problems)
