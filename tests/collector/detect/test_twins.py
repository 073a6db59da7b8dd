from __future__ import annotations

import json
from pathlib import Path

from collector.detect.twins import run
from tests.collector.detect.sigma_text import HEAD

RULE = f"{HEAD}detection:\n  a:\n    network.iana_number: 41\n  condition: a\n"
FLOW = {"@timestamp": 1, "event.dataset": "tengwang.flow", "event.action": "flow"}
HIT = json.dumps({"match": True, "event": {**FLOW, "network.iana_number": "41"}})
MISS = json.dumps({"match": False, "event": {**FLOW, "network.iana_number": "6"}})


def said(folder: Path, *lines: str) -> list[str]:
    (folder / "x.yml").write_text(RULE)
    (folder / "x.jsonl").write_text("\n".join(lines))
    (outcome,) = run(folder, folder)
    return [str(problem).removeprefix(str(folder)) for problem in outcome.problems]


def test_a_rule_that_hits_and_misses_as_told_is_good(tmp_path: Path) -> None:
    assert said(tmp_path, HIT, MISS, "") == []


def test_what_goes_otherwise_is_told_with_its_line(tmp_path: Path) -> None:
    wrong = said(tmp_path, HIT, HIT.replace("true", "false"), MISS.replace("false", "true"), MISS)
    assert wrong == ["/x.jsonl:2: hits and must not", "/x.jsonl:3: must hit and does not"]


def test_both_a_hit_and_a_miss_are_wanted(tmp_path: Path) -> None:
    assert said(tmp_path, HIT) == ["/x.jsonl: has no miss (a rule is proven by both)"]
    assert said(tmp_path, MISS) == ["/x.jsonl: has no hit (a rule is proven by both)"]


def test_an_event_that_no_agent_could_send_proves_nothing(tmp_path: Path) -> None:
    (problem,) = said(tmp_path, HIT, MISS, HIT.replace('"41"', "41"))
    assert problem.startswith("/x.jsonl:3: event: no agent could send this: wrong_type: network.iana_number")


def test_lines_that_are_no_twin_lines_are_told(tmp_path: Path) -> None:
    problems = said(tmp_path, HIT, MISS, "{", '{"match": 1, "event": {}}', "[" * 5000)
    assert [p.split(":")[1] for p in problems] == ["3", "4", "5"]


def test_a_rule_without_a_twin_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "y.yml").write_text(RULE)
    (outcome,) = run(tmp_path, tmp_path)
    assert "can not be read" in str(outcome.problems[0])
