from __future__ import annotations

import json
from pathlib import Path

import pytest

from collector.main import main
from tests.collector.inventory_text import RIGHT, write


def test_check_says_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inventory", "check", str(write(tmp_path))]) == 0
    assert "good: 4 units, 1 people, 2 zones, 4 prefixes, 1 devices" in capsys.readouterr().out


def test_check_names_every_problem_and_exits_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, RIGHT.replace("level: village", "level: hamlet").replace("10.0.0.0/8", "10.0.0.0/33"))
    assert main(["inventory", "check", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert f"{tmp_path}/all.yml:5: units[4].level" in error
    assert f"{tmp_path}/all.yml:15: prefixes[4].prefix" in error
    assert main(["inventory", "check", str(tmp_path), "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert not told["ok"]
    assert [p["line"] for p in told["problems"]] == [5, 15]


def test_show_is_the_tree_and_hides_secrets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    assert main(["inventory", "show", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "南昌市 [city] city, zone office"
    assert "    device  路由器 [r1] 2001:db8:1::1" in lines
    assert "      公园社区 [village] village" in lines
    assert main(["inventory", "show", str(tmp_path), "--json"]) == 0
    out = capsys.readouterr().out
    assert "hush-hush" not in out
    assert json.loads(out)["credentials"][0]["community"] == "(hidden)"


def test_the_example_is_written_once_and_is_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "inventory"
    assert main(["inventory", "example", str(folder)]) == 0
    assert main(["inventory", "check", str(folder)]) == 0
    assert main(["inventory", "example", str(folder)]) == 2
    assert "nothing was written" in capsys.readouterr().err
