"""Escalation: steps in time, once each, none left out; stopped by whoever acknowledges."""

from __future__ import annotations

from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from collector.incidents.escalation import (
    due_steps,
    next_step,
    people_near,
    people_of,
    policy_of,
    step_at,
    total,
)
from collector.incidents.model import Incident, State
from collector.inventory import Escalation, EscalationStep
from collector.inventory_index import Indexed
from telemetry.verdict import Text
from tests.collector.inventory_text import RIGHT, indexed

MINUTE = 60_000
POLICY = msgspec.convert(
    {
        "id": "p",
        "steps": [{"notify": ["a"]}, {"after": "5m", "notify": ["b"]}, {"after": "15m", "notify": ["a", "c"]}],
        "repeat": 1,
        "repeat_after": "10m",
    },
    Escalation,
)
INCIDENT = Incident(
    id="i", key="k", rule="r", title=Text("标题", "title"), category="", level="high", first_ms=0, found_ms=0, last_ms=0
)


def incident(**changes: object) -> Incident:
    return msgspec.structs.replace(INCIDENT, **changes)


def numbers(made: Incident, now_ms: int) -> list[int]:
    return [due.number for due in due_steps(POLICY, made, now_ms)]


def test_the_first_step_is_due_at_once() -> None:
    assert numbers(incident(), 1000) == [0]


def test_steps_come_in_their_time_and_again() -> None:
    begun = incident(escalation_ms=1000, escalation_steps=1)
    times = [step_at(POLICY, n, 1000).at_ms - 1000 for n in range(total(POLICY))]
    assert [t // MINUTE for t in times] == [0, 5, 15, 25, 30, 40]
    assert numbers(begun, 1000 + 5 * MINUTE - 1) == []
    assert numbers(begun, 1000 + 5 * MINUTE) == [1]


def test_after_a_pause_every_missed_step_is_still_carried_out() -> None:
    assert numbers(incident(escalation_ms=1000, escalation_steps=1), 1000 + 26 * MINUTE) == [1, 2, 3]


def test_a_finished_round_is_over() -> None:
    assert numbers(incident(escalation_ms=1000, escalation_steps=6), 10**12) == []
    assert next_step(POLICY, incident(escalation_ms=1000, escalation_steps=6), 10**12) is None


def test_whoever_acknowledges_stops_it() -> None:
    late = 10**9
    assert numbers(incident(escalation_ms=1, escalation_steps=1, acknowledged_ms=5), late) == []
    for state in State:
        stopped = state not in (State.FOUND, State.NOTIFIED)
        assert (numbers(incident(escalation_ms=1, state=state), late) == []) is stopped


def test_nobody_is_told_of_what_is_suppressed_or_merged_away() -> None:
    assert numbers(incident(suppressed_until_ms=5000), 4999) == []
    assert numbers(incident(suppressed_until_ms=5000), 5000) == [0]
    assert numbers(incident(merged_into="other"), 4999) == []


POLICIES = st.builds(
    lambda lengths, repeat, gap: Escalation(
        id="p",
        steps=tuple(EscalationStep(after=f"{n}m", notify=("a",)) for n in sorted(lengths)),
        repeat=repeat,
        repeat_after=f"{gap}m",
    ),
    st.lists(st.integers(0, 90), min_size=1, max_size=6),
    st.integers(0, 4),
    st.integers(0, 30),
)


@given(POLICIES, st.lists(st.integers(0, 40 * MINUTE), max_size=40), st.integers(0, 400))
def test_no_step_is_left_out_or_repeated(policy: Escalation, pauses: list[int], stop_after: int) -> None:
    """Looked at after any pauses, carried out one by one: 0, 1, 2 ... in order, none before its time."""
    now, made, done = 1000, incident(), []
    for number, pause in enumerate([0, *pauses]):
        now += pause
        if number == stop_after:
            made = msgspec.structs.replace(made, acknowledged_ms=now, state=State.ACKNOWLEDGED)
        due = due_steps(policy, made, now)
        assert number < stop_after or due == []
        for step in due:
            done.append(step.number)
            begun = made.escalation_ms or now
            assert step.at_ms <= now
            made = msgspec.structs.replace(made, escalation_ms=begun, escalation_steps=step.number + 1)
        upcoming = next_step(policy, made, now)
        assert upcoming is None or upcoming.at_ms > now
    assert done == list(range(len(done)))
    assert len(done) <= total(policy)


DUTY = """
people:
  - {id: li, name: 李, unit: county, phone: "13800000001"}
  - {id: zhao, name: 赵, phone: "13800000002", channels: [mail, sms]}
rotations:
  - {id: soc, name: 值班, people: [li, zhao], start: 2026-01-05}
escalations:
  - {id: all, steps: [{notify: [soc]}, {after: 10m, notify: [soc, zhao, owners]}]}
"""


def index(folder: Path, text: str = "") -> Indexed:
    (folder / "inv").mkdir(exist_ok=True)
    (folder / "inv" / "duty.yml").write_text(DUTY, encoding="utf-8")
    return indexed(folder / "inv", text or RIGHT)


def test_a_unit_has_the_policy_of_the_nearest_unit_above(tmp_path: Path) -> None:
    made = index(tmp_path, RIGHT.replace("level: county, parent: city", "level: county, parent: city, escalation: all"))
    found = policy_of(made, "village", ["wang"])
    assert found is not None
    assert found.id == "all"
    above = policy_of(made, "city", ["wang"])
    assert above is not None
    assert above.id == "default"


def test_without_a_policy_the_responsible_people_are_told_one_after_another(tmp_path: Path) -> None:
    made = policy_of(index(tmp_path), "county", ["zhao", "li", "zhao", "nobody"])
    assert made is not None
    assert [(step.after, step.notify) for step in made.steps] == [("0m", ("zhao",)), ("10m", ("li",))]


def test_without_responsible_people_those_of_the_unit_or_above_are(tmp_path: Path) -> None:
    made = index(tmp_path)
    assert people_near(made, "village") == ["li"]
    assert people_near(made, "") == ["wang"]
    assert people_near(made, "unheard-of") == ["wang"]


def test_with_nobody_there_is_no_policy() -> None:
    from collector.inventory_index import EMPTY

    assert policy_of(EMPTY, "anything", ["ghost"]) is None


def test_a_step_tells_everybody_once(tmp_path: Path) -> None:
    made = index(tmp_path)
    step = made.inventory.escalations[0].steps[1]
    assert people_of(step, ["wang", "zhao"], {"soc": "zhao"}, made) == ["zhao", "wang"]
