"""What may be wrong with rotations, holidays and escalations, each told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.inventory_source import examine
from tests.collector.inventory_text import RIGHT, write

DUTY = """\
people:
  - {id: li, name: 李, unit: county, phone: "13800000001", channels: [sms]}
rotations:
  - {id: soc, name: 值班, people: [li, wang], start: 2026-01-05, shift: custom, hours: 12, hand_over_time: "08:30"}
holidays:
  - {date: 2026-10-01, days: 7, name: 国庆节, rotation: soc, people: [li]}
escalations:
  - {id: all, steps: [{notify: [soc]}, {after: 10m, notify: [soc, li, owners]}]}
units:
  - {id: duty, name: 值班室, level: county, parent: city, escalation: all}
"""


def problems(folder: Path, duty: str) -> list[str]:
    write(folder, RIGHT)
    write(folder, duty, "duty.yml")
    return [str(p).removeprefix(f"{folder / 'duty.yml'}:") for p in examine(folder).problems]


def test_a_right_one_has_no_problem(tmp_path: Path) -> None:
    assert problems(tmp_path, DUTY) == []


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("[li, wang]", "[li, wong]", "4: rotations[1].people[2]: there is no people entry 'wong' (did you mean 'wang'"),
        ("people: [li, wang]", "people: []", "4: rotations[1].people: Expected `array` of length >= 1"),
        ("start: 2026-01-05", "start: 1026-01-05", "4: rotations[1].start: 1026-01-05 is not believable"),
        ("start: 2026-01-05", "start: soon", "4: rotations[1].start: Invalid RFC3339 encoded date"),
        ("hours: 12", "time_zone: Asia/Nanchang, hours: 12", "time_zone: 'Asia/Nanchang' is not a time zone (e.g. "),
        ("hours: 12", "time_zone: ../../etc/passwd, hours: 12", "is not a time zone"),
        ("shift: custom, hours: 12", "shift: custom", "shift: a custom shift needs days or hours (e.g. hours: 12)"),
        ("shift: custom", "shift: daily", "hours: is not used with shift daily (custom?)"),
        ('"08:30"', '"8:30"', "hand_over_time: Expected `str` matching regex"),
        ("rotation: soc", "rotation: sok", "6: holidays[1].rotation: there is no rotations entry 'sok'"),
        (
            "escalations:",
            "  - {date: 2026-10-07, name: 中秋, rotation: soc, people: [li]}\nescalations:",
            "7: holidays[2].date: 2026-10-07 is a holiday already (at ",
        ),
        ("after: 10m", "after: ten", "8: escalations[1].steps[2].after: Expected `str` matching regex"),
        ("[{notify: [soc]}", "[{after: 20m, notify: [soc]}", "steps[2].after: comes before the step above it"),
        ("[soc, li, owners]", "[sock]", "there is no rotations or people entry 'sock' (did you mean 'soc'?)"),
        ("escalation: all", "escalation: none", "10: units[1].escalation: there is no escalations entry 'none'"),
        ("id: soc", "id: li", "rotations[1].id: 'li' has another meaning already"),
        ("id: li, name", "id: owners, name", "people[1].id: 'owners' has another meaning"),
        ("id: all, steps", "nmae: x, id: all, steps", "nmae: unknown key (did you mean 'name'?)"),
    ],
)
def test_each_mistake_is_told_with_its_line(tmp_path: Path, old: str, new: str, wanted: str) -> None:
    assert old in DUTY
    found = problems(tmp_path, DUTY.replace(old, new, 1))
    assert any(wanted in one for one in found), found


def test_an_id_that_is_there_twice(tmp_path: Path) -> None:
    twice = DUTY + "escalations_: []\n"
    assert any("unknown key" in one for one in problems(tmp_path, twice))
    rotation = next(line for line in DUTY.splitlines() if "id: soc" in line)
    assert any(
        "'soc' is there twice" in one
        for one in problems(tmp_path, DUTY.replace(rotation, rotation * 1 + "\n" + rotation))
    )
