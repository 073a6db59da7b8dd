from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from collector import shipped
from collector.main import main

TWINS = Path(__file__).parents[2] / "rules"


def test_our_own_rules_are_good_and_do_as_their_twins_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "check"]) == 0
    assert main(["rules", "test", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["ok"]


def test_list_speaks_both_languages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "list"]) == 0
    out = capsys.readouterr().out
    assert "Router advertisement from a router that is not registered" in out
    assert "未登记路由器发送路由通告（RA）  [网络攻击]" in out
    assert main(["rules", "list", "--json"]) == 0
    assert {"id", "title", "level", "idle"} <= json.loads(capsys.readouterr().out)["rules"][0].keys()


def test_a_folder_of_ones_own_is_treated_as_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(shipped.rules() / "violation", tmp_path, dirs_exist_ok=True)
    assert main(["rules", "test", str(tmp_path)]) == 2
    assert "telnet.jsonl: can not be read" in capsys.readouterr().err
    shutil.copytree(TWINS / "violation", tmp_path, dirs_exist_ok=True)
    assert main(["rules", "test", str(tmp_path)]) == 0
    assert "good  " in capsys.readouterr().out
    (tmp_path / "telnet.yml").write_text("title: x\n")
    assert main(["rules", "check", str(tmp_path)]) == 2
    assert "telnet.yml:" in capsys.readouterr().err
    assert main(["rules", "check", str(tmp_path), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["active"] == len(list(tmp_path.glob("*.yml"))) - 1


ROGUE = "6bb63fa7-5651-4c95-8bde-d3170bd03e36"
TWIN = TWINS / "ndp/rogue_router_advertisement.jsonl"


def explained(tmp_path: Path, capsys: pytest.CaptureFixture[str], **more: object) -> str:
    event = json.loads(TWIN.read_text(encoding="utf-8").splitlines()[0])["event"]
    path = tmp_path / "event.json"
    path.write_text(json.dumps(event | more), encoding="utf-8")
    assert main(["rules", "explain", ROGUE, str(path)]) == 0
    return capsys.readouterr().out


def test_explain_says_field_by_field_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = explained(tmp_path, capsys)
    assert said.startswith("matches  ")
    assert "event.action: wants router_advertisement; is router_advertisement" in said
    said = explained(tmp_path, capsys, **{"tengwang.ndp.registered": True})
    assert said.startswith("does not match  ")
    assert "no   tengwang.ndp.registered: wants " in said
    assert "; is True" in said
    said = explained(tmp_path, capsys, **{"event.dataset": "tengwang.flow"})
    assert "because: the rule is about tengwang.ndp, the event is of tengwang.flow" in said


def test_explain_of_a_correlation_says_what_an_event_counts_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text(
        "title: Base\nid: 5f6d1e0a-1111-4222-8333-444455556666\nname: base\nlogsource: {product: tengwang}\n"
        "detection:\n  a:\n    destination.port: 22\n  condition: a\n---\n"
        "title: Many\nid: 5f6d1e0a-1111-4222-8333-444455556667\ncorrelation: {type: value_count, rules: [base], "
        "group-by: [source.ip], timespan: 1m, condition: {gte: 3, field: destination.ip}}\n"
    )
    event = tmp_path / "e.json"
    for fields, told in (
        ({"source.ip": "::1", "destination.ip": "::2"}, 'Many: ["::1"] counts ::2'),
        ({"source.ip": "::1"}, "has no destination.ip, so it does not count"),
        ({}, "no group: a field of group-by is missing"),
    ):
        event.write_text(json.dumps({"event.dataset": "tengwang.flow", "destination.port": 22, **fields}))
        assert main(["rules", "explain", "base", str(event), "--path", str(rules)]) == 0
        assert told in capsys.readouterr().out
    assert main(["rules", "explain", str(rules), str(event), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rules"][0]["matches"]


def test_explain_of_nothing_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "e.json").write_text("{}")
    assert main(["rules", "explain", "none", str(tmp_path / "e.json")]) == 2
    assert "there is no such rule" in capsys.readouterr().err
    assert main(["rules", "explain", ROGUE, str(tmp_path / "none.json")]) == 2
    assert "is no event" in capsys.readouterr().err


def test_coverage_names_what_is_looked_for_and_what_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "coverage", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    by_name = {dataset["name"]: dataset for dataset in made["datasets"]}
    assert by_name["tengwang.ndp"]["rules"] > 3
    assert made["attack"]["T1557"] >= 1
    assert made["classes"]["network-attack"] > 3
    assert made["classes"]["force-majeure"] == 0
    assert "tengwang.ndp.registered" not in made["fields_unused"]
    (tmp_path / "w.yml").write_text(
        "title: W\nid: 5f6d1e0a-1111-4222-8333-444455556666\nlogsource: {product: windows}\n"
        "detection:\n  a:\n    Image: x\n  condition: a\n"
    )
    assert main(["rules", "coverage", str(tmp_path)]) == 0
    assert "w.yml:1: no agent sends this log source" in capsys.readouterr().out
