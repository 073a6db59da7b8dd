from __future__ import annotations

import json
from pathlib import Path

from collector.detect.twins import one, run
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


SCAN = """title: S
id: 5f6d1e0a-1111-4222-8333-444455550001
correlation: {type: value_count, rules: [base], group-by: [source.ip], timespan: 1m,
              condition: {gte: 3, field: destination.port}}
tengwang:
  over:
    proof:
      logsource: {product: tengwang, service: agent}
      detection: {up: {event.action: status}, condition: up}
      by: [source.ip]
"""
BASE = f"{HEAD}name: base\ndetection:\n  a:\n    network.iana_number: '6'\n  condition: a\n"


def line(match: bool, ports: list[int], **more: object) -> str:
    flow = {**FLOW, "network.iana_number": "6", "source.ip": "::1"}
    events = [{**flow, "@timestamp": 1_790_000_000_000 + n, "destination.port": p} for n, p in enumerate(ports)]
    return json.dumps({"match": match, "events": events, **more})


def outcome_of(folder: Path, rules: str, *lines: str) -> list[str]:
    (folder / "x.yml").write_text(rules)
    (folder / "x.jsonl").write_text("\n".join(lines))
    return [str(problem).removeprefix(str(folder)) for problem in run(folder, folder)[-1].problems]


def test_a_correlation_is_shown_by_sequences(tmp_path: Path) -> None:
    both = f"{BASE}---\n{SCAN}"
    good, bad = line(True, [1, 2, 3]), line(False, [1, 2, 2])
    proof = {**FLOW, "event.dataset": "tengwang.agent", "event.action": "status", "source.ip": "::1"}
    end = json.dumps({"match": False, "proves": True, "event": proof})
    assert outcome_of(tmp_path, both, good, bad, end) == []
    wrong = [line(False, [1, 2, 3]), line(True, [1]), end.replace("status", "start")]
    assert outcome_of(tmp_path, both, good, bad, *wrong) == [
        "/x.jsonl:3: hits and must not",
        "/x.jsonl:4: must hit and does not",
        "/x.jsonl:5: must prove the end and does not",
    ]


def test_rules_of_a_correlation_may_stand_in_another_file(tmp_path: Path) -> None:
    (tmp_path / "base.yml").write_text(BASE)
    assert outcome_of(tmp_path, SCAN, line(True, [1, 2, 3]), line(False, [1])) == []
    assert [str(p) for p in one(tmp_path / "x.yml", tmp_path / "x.jsonl").problems] == []


def test_an_absence_is_shown_by_the_time_after(tmp_path: Path) -> None:
    absent = f"{BASE}---\n" + SCAN.replace("value_count", "absence").replace(
        "timespan: 1m,\n              condition: {gte: 3, field: destination.port}", "timespan: 1m"
    )
    assert outcome_of(tmp_path, absent, line(True, [1], after="2m"), line(False, [1]), line(False, [1, 2])) == []


def test_files_of_filters_and_pipelines_need_no_twin(tmp_path: Path) -> None:
    (tmp_path / "f.yml").write_text(
        "title: F\nlogsource: {product: tengwang}\nfilter:\n  rules: any\n  s: {source.ip: '::1'}\n  condition: not s\n"
    )
    (tmp_path / "m.yml").write_text("name: m\ntransformations: [{type: field_name_mapping, mapping: {a: source.ip}}]\n")
    assert run(tmp_path, tmp_path) == []
