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
