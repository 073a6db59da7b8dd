"""Reporting clocks: what the regulation says, as data; told before they run out, once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector import duration, shipped
from collector.incidents import reporting
from collector.incidents.clocks import Phase, clocks
from collector.incidents.model import Grade, Incident, State
from collector.incidents.remind import Remind
from collector.operation import News
from telemetry.clock import ManualClock
from telemetry.verdict import Text
from tests.collector.incidents.desk_of_test import MINUTE, Bench, alert, sqlite_at

NOW = 1_790_000_000_000
FOUND, PROBLEMS = reporting.read([shipped.rules() / "reporting"])
TWIN = Path(__file__).parents[2] / "rules/reporting/cac-2025.jsonl"
HOUR = 60 * MINUTE


def length(text: str) -> int:
    """``3h30m`` in ms."""
    total, number = 0, ""
    for letter in text:
        number += letter
        if letter in duration.UNITS:
            total += duration.seconds(number)
            number = ""
    return total * 1000


def incident(about: dict[str, Any]) -> Incident:
    return Incident(
        id="0" * 24,
        key="k",
        rule="r",
        title=Text("标题", "title"),
        category="other",
        level="high",
        first_ms=NOW,
        found_ms=NOW,
        last_ms=NOW,
        grade=Grade(about["grade"]) if "grade" in about else None,
        cii=about.get("cii", False),
        state=State(about.get("state", "found")),
        closed_ms=NOW + length(about["closed"]) if "closed" in about else 0,
        clocks={name: NOW + length(at) for name, at in about.get("clocks", {}).items()},
    )


@pytest.mark.parametrize("line", TWIN.read_text(encoding="utf-8").splitlines())
def test_the_regulation_as_it_is_written(line: str) -> None:
    case = json.loads(line)
    found = clocks(incident(case["incident"]), FOUND, NOW + length(case["at"]), case["operator"])
    told = {one.id: [one.phase.value, one.due_ms - NOW if one.due_ms else 0] for one in found}
    assert told == {name: [phase, length(due)] for name, (phase, due) in case["clocks"].items()}, case["case"]


def test_the_shipped_files_are_right_and_every_clock_has_its_article() -> None:
    assert PROBLEMS == []
    assert all(clock.article and clock.to.zh and clock.to.en for r in FOUND for clock in r.clocks)


def test_told_once_before_it_runs_out_and_once_after(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    bench = Bench(sqlite_at(tmp_path, clock), clock)
    bench.give(alert("a", NOW))
    one = bench.only()
    bench.desk.grade(one.id, "li", Grade.RELATIVELY_MAJOR)

    def leader() -> Remind:
        return Remind(bench.desk, lambda: FOUND, "other", clock, bench.report)

    told: list[tuple[int, str]] = []
    part = leader()
    for step in range(6 * 12):
        clock.advance(300)
        if step % 7 == 0:
            part = leader()  # a take-over tells nothing twice
            part.begin(clock.now_ms())
        before = len(bench.only().entries)
        part.step(News(clock.now_ms()))
        new = bench.only().entries[before:]
        told += [((clock.now_ms() - NOW) // HOUR, str(e.data["phase"])) for e in new if e.action == "page_needed"]
    assert told == [(3, "warning"), (4, "overdue")]
    bench.desk.reported(one.id, "li", "operator-report", "by telephone")
    assert clocks(bench.only(), FOUND, clock.now_ms())[0].phase is Phase.DONE
    again = bench.desk.reported(one.id, "li", "operator-report")
    assert [e.action for e in again.entries].count("report") == 1


def test_what_was_reported_in_time_is_not_told_of(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    bench = Bench(sqlite_at(tmp_path, clock), clock)
    bench.give(alert("a", NOW))
    bench.desk.grade(bench.only().id, "li", Grade.MAJOR)
    bench.desk.reported(bench.only().id, "li", "operator-report")
    part = Remind(bench.desk, lambda: FOUND, "other", clock, bench.report)
    clock.advance(5 * 3600)
    part.step(News(clock.now_ms()))
    assert "page_needed" not in [e.action for e in bench.only().entries]


def test_while_a_summary_is_owed_the_document_stays(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    bench = Bench(sqlite_at(tmp_path, clock), clock)
    part = Remind(bench.desk, lambda: FOUND, "other", clock, bench.report)
    bench.group._needed = part.running
    bench.give(alert("a", NOW))
    one = bench.only()
    bench.desk.grade(one.id, "li", Grade.MAJOR)
    bench.desk.reported(one.id, "li", "operator-report")
    bench.desk.close(one.id, "li", "done")
    clock.advance(20 * 86_400)
    bench.group.step(News(clock.now_ms()))
    assert bench.only().id == one.id
    bench.desk.reported(one.id, "li", "summary")
    clock.advance(1000)
    bench.group.step(News(clock.now_ms()))
    assert bench.desk.docket.all(0) == []


WRONG = [
    ("warn: 1h", "warn: 5h", "shorter"),
    ("after: cii-report", "after: nothing", "no clock of this file"),
    ("id: organ-report", "id: cii-report", "several clocks"),
    ("within: 4h", "within: soon", "length of time"),
    ("grades: [major, particularly_major]", "grades: [grave]", "Invalid enum value"),
    ("source: https://", "source: ", "regex"),
    ("start: ended", "start: ended\n    colour: red", "unknown key"),
]


@pytest.mark.parametrize(("old", "new", "why"), WRONG)
def test_a_mistake_is_said_with_its_line_and_the_other_files_hold(tmp_path: Path, old: str, new: str, why: str) -> None:
    right = (shipped.rules() / "reporting/cac-2025.yml").read_text(encoding="utf-8")
    assert old in right
    (tmp_path / "a.yml").write_text(right.replace(old, new, 1), encoding="utf-8")
    (tmp_path / "b.yml").write_text(right, encoding="utf-8")
    found, problems = reporting.read([tmp_path])
    assert len(found) == 1
    assert problems
    assert all(p.path.endswith("a.yml") and p.line for p in problems)
    assert any(why in p.message for p in problems), problems


@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_regulation_or_problems(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yml"
    file.write_bytes(data)
    found, problems = reporting.read([file])
    assert bool(found) is not bool(problems)


@given(
    now=st.integers(NOW, NOW + 10**10),
    grade=st.sampled_from(Grade),
    cii=st.booleans(),
    done=st.dictionaries(st.sampled_from(["cii-report:done", "operator-report:done", "summary:done"]), st.just(NOW)),
)
def test_a_clock_never_runs_backwards(now: int, grade: Grade, cii: bool, done: dict[str, int]) -> None:
    order = [Phase.WAITING, Phase.RUNNING, Phase.WARNING, Phase.OVERDUE, Phase.DONE]
    one = msgspec.structs.replace(incident({"cii": cii}), grade=grade, clocks=done)
    before, after = clocks(one, FOUND, now), clocks(one, FOUND, now + 60_000)
    assert [c.id for c in before] == [c.id for c in after]
    for was, is_ in zip(before, after, strict=True):
        assert order.index(was.phase) <= order.index(is_.phase)
        assert (was.phase is Phase.OVERDUE) == (not was.done and 0 < was.due_ms <= now)
