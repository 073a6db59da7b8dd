"""``tengwang actions`` as a person calls it, on a real store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from collector.main import main
from collector.response.model import Proposal
from telemetry.order import Action, Scope
from telemetry.verdict import Text
from tests.collector.running import INVENTORY

GOOD = """id: x
title: X
title_zh: 某
when: {families: [ndp]}
actions:
  - {action: block_source, at: source_ip, ttl: 1h}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory" / "units.yml").write_text(INVENTORY, encoding="utf-8")
    return tmp_path


def proposed(home: Path) -> str:
    """An order that waits for approval, as the leader would put it on record."""
    import argparse

    from collector.attached import services

    with services(argparse.Namespace(home=home, config=None)) as parts:
        proposal = Proposal(
            playbook="x", title=Text("阻断", "Block"), action=Action.BLOCK_SOURCE, agent="a1", scope=Scope.SEGMENT,
            mac="02:00:00:00:00:66", ttl_ms=3_600_000, begin_ms=600_000,
        )  # fmt: skip
        kept = parts.responses.keep("i1", proposal)
        assert kept is not None
        return kept.id


def test_our_own_playbooks_are_good(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["actions", "check"]) == 0
    assert "playbooks good" in capsys.readouterr().out
    assert main(["actions", "check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"]


def test_wrong_ones_are_named_with_their_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.yml").write_text(GOOD.replace("block_source", "shoot"), encoding="utf-8")
    assert main(["actions", "check", str(tmp_path)]) == 2
    assert "x.yml:6" in capsys.readouterr().err
    assert main(["actions", "check", str(tmp_path), "--json"]) == 2
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert problem["line"] == 6
    assert main(["actions", "check", str(tmp_path / "nowhere")]) == 2


def test_orders_are_listed_and_decided(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order = proposed(home)
    assert main(["actions", "list", "--home", str(home)]) == 0
    out = capsys.readouterr().out
    assert order in out
    assert "Waits for approval" in out
    assert main(["actions", "approve", order, "--home", str(home)]) == 0
    assert "approved" in capsys.readouterr().err
    assert main(["actions", "withdraw", order, "--home", str(home)]) == 0
    assert main(["actions", "list", "--json", "--incident", "i1", "--home", str(home)]) == 0
    (view,) = json.loads(capsys.readouterr().out)["orders"]
    assert (view["state"], view["why"]) == ("undoing", "withdrawn")
    assert "(command line)" in view["decided_by"]


def test_what_may_not_be_done_is_said(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order = proposed(home)
    assert main(["actions", "refuse", order, "--reason", "the printer", "--home", str(home)]) == 0
    assert main(["actions", "approve", order, "--home", str(home)]) == 2
    assert "refused by now" in capsys.readouterr().err
    assert main(["actions", "approve", "nowhere", "--home", str(home)]) == 2
    assert "no order" in capsys.readouterr().err
