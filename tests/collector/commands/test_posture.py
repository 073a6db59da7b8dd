"""``tengwang posture`` on a collector's home: scores now and then, and files of one's own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from collector import shipped
from collector.main import main
from tests.demo import INVENTORY, fill
from tests.running_site import RunningSite

INDICATORS = shipped.rules() / "posture"


async def test_scores_in_the_tree_one_explained_and_the_past(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with RunningSite(tmp_path, INVENTORY) as site:
        await fill(site, minutes=2)
    where = ["--home", str(tmp_path)]
    assert main(["posture", "show", *where]) == 0
    shown = capsys.readouterr().out
    assert "全网 (5 of 9 units are seen)" in shown
    assert "进贤县信息中心 [jx] blind" in shown
    assert main(["posture", "show", "unit/hgt", *where]) == 0
    one = capsys.readouterr().out
    assert "Network devices that do not answer / 不可达的网络设备: 1  /events?q=" in one
    assert main(["posture", "show", "all/all", "--json", "--at=-30d", *where]) == 0
    assert json.loads(capsys.readouterr().out)["score"]["score"] is None
    assert main(["posture", "show", "unit/nobody", *where]) == 2
    assert main(["posture", "show", "--at=soon", *where]) == 2


def test_files_of_one_s_own_are_checked_and_tested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["posture", "check"]) == 0
    assert "indicators and 5 early warnings good" in capsys.readouterr().out
    folder = tmp_path / "posture"
    folder.mkdir()
    text = (INDICATORS / "violations.yml").read_text(encoding="utf-8")
    (folder / "own.yml").write_text(text.replace("id: violations", "id: own"), encoding="utf-8")
    twins = Path(__file__).parents[2] / "rules/posture"
    shutil.copy(twins / "violations.jsonl", folder / "own.jsonl")
    assert main(["posture", "check", str(folder)]) == 0
    assert main(["posture", "test", str(folder)]) == 0
    assert "own.yml: 3 cases" in capsys.readouterr().out
    (folder / "own.yml").write_text(text.replace("weight: 0.5", "weight: 5"), encoding="utf-8")
    assert main(["posture", "test", str(folder)]) == 2
    assert "own.jsonl:1: 15 points come off, not 1.5" in capsys.readouterr().err
    (folder / "own.yml").write_text(text.replace("weight", "wieght"), encoding="utf-8")
    assert main(["posture", "check", str(folder)]) == 2
    assert "own.yml:" in capsys.readouterr().err
