"""``tengwang incidents`` on the store of a collector."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from collector.config import load
from collector.home import Home
from collector.incidents.group import Group
from collector.incidents.model import Incident
from collector.main import main
from collector.operation import News
from collector.query import Kind, Search
from collector.wiring import make_services
from telemetry.clock import SystemClock
from telemetry.report import Report
from tests.collector.incidents.desk_of_test import alert
from tests.collector.inventory_text import write


@pytest.fixture
def found(tmp_path: Path) -> Incident:
    """One incident of three alerts, in the store of a home."""
    write(tmp_path / "inventory")
    clock = SystemClock()
    home = Home(tmp_path)
    home.make()
    services = make_services(home, load(None), clock, Report(clock))
    now = clock.now_ms()
    group = Group(services.desk, services.store, clock, services.report)
    alerts = [alert("a", now - 5000 + n, n) for n in range(3)]
    services.store.write(alerts)
    group.step(News(now, alerts))
    (one,) = services.desk.open()
    services.store.close()
    return one


def run(home: Path, *words: str) -> int:
    return main(["incidents", *words, "--home", str(home)])


def test_listed_shown_acknowledged_noted_graded_and_closed(
    tmp_path: Path, found: Incident, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "list") == 0
    line = capsys.readouterr().out
    assert found.id in line
    assert "规则一" in line
    short = found.id[:8]
    for words in (("ack", short), ("note", short, "port 5/12"), ("grade", short, "relatively_major")):
        assert run(tmp_path, *words) == 0
    assert run(tmp_path, "show", short, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["incident"]["state"] == "acknowledged"
    assert "command line" in told["incident"]["acknowledged_by"]
    assert [c["id"] for c in told["clocks"]] == ["operator-report", "summary"]
    assert run(tmp_path, "show", short) == 0
    assert "clock operator-report: running" in capsys.readouterr().out
    assert run(tmp_path, "close", short) != 0
    assert "still measures true" in capsys.readouterr().err
    assert run(tmp_path, "close", short, "--reason", "the port was shut") == 0
    assert run(tmp_path, "list") == 0
    assert found.id not in capsys.readouterr().out
    assert run(tmp_path, "list", "--state", "closed", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["id"] == found.id
    clock = SystemClock()
    services = make_services(Home(tmp_path), load(None), clock, Report(clock))
    audited = services.store.search(Search(0, 2**42, (), Kind.AUDIT)).rows
    services.store.close()
    assert {row.doc["event.action"] for row in audited} >= {"incident-acknowledged", "incident-closed"}


@pytest.mark.parametrize(
    ("language", "head"), [("zh-CN", "网络安全事件报告"), ("en", "Report of a cybersecurity incident")]
)
def test_the_draft_of_the_report(
    tmp_path: Path, found: Incident, capsys: pytest.CaptureFixture[str], language: str, head: str
) -> None:
    assert run(tmp_path, "report", found.id, "--language", language) == 0
    text = capsys.readouterr().out
    assert text.startswith(head)
    assert "南昌市" in text
    assert "fe80::bad" in text


def test_an_id_that_is_not_there_is_said(tmp_path: Path, found: Incident, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "show", "0" * 24) != 0
    assert "there is no incident" in capsys.readouterr().err


def test_a_maintenance_window_is_made_listed_and_ended(
    tmp_path: Path, found: Incident, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "suppress", "--unit", "city", "--for", "4h", "--reason", "cutover") == 0
    name = capsys.readouterr().err.split()[0]
    assert run(tmp_path, "suppressions") == 0
    assert "HOLDS" in capsys.readouterr().out
    assert run(tmp_path, "suppressions", "--end", name) == 0
    assert "over" in capsys.readouterr().out
    assert run(tmp_path, "suppress", "--for", "4h", "--reason", "of nothing") != 0
    assert found.id


def test_handled_handed_over_split_merged_reported_and_opened_again(
    tmp_path: Path, found: Incident, capsys: pytest.CaptureFixture[str]
) -> None:
    old = found.id
    first: list[tuple[str, ...]] = [("ack", old), ("handle", old), ("hand-over", old, "wang")]
    for words in [*first, ("split", old, found.recent[0])]:
        assert run(tmp_path, *words) == 0
    part = capsys.readouterr().err.splitlines()[-1].split()[0]
    assert part != old
    then: list[tuple[str, ...]] = [
        ("merge", part, old),
        ("grade", old, "relatively_major"),
        ("reported", old, "operator-report", "--note", "told by telephone"),
        ("false-positive", old, "--reason", "a drill"),
        ("reopen", old, "--reason", "it was none"),
    ]
    for words in then:
        assert run(tmp_path, *words) == 0
    capsys.readouterr()
    assert run(tmp_path, "show", old, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["incident"]["assignee"], told["incident"]["count"], told["incident"]["reopened"]) == (
        "wang",
        3,
        1,
    )
    assert {c["id"]: c["phase"] for c in told["clocks"]}["operator-report"] == "done"
    did = {entry["action"] for entry in told["history"]}
    assert did >= {"split", "merged", "report", "reopened"}
