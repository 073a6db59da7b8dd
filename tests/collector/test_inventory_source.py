from __future__ import annotations

import os
from pathlib import Path

from collector.inventory_source import InventorySource
from telemetry.clock import ManualClock
from telemetry.report import Report
from tests.collector.inventory_text import RIGHT, source, write


def test_changed_files_are_taken_and_unchanged_ones_are_not_read_again(tmp_path: Path) -> None:
    made = source(tmp_path)
    first = made.current()
    assert made.version == 1
    assert not made.poll()
    assert made.current() is first
    write(tmp_path, RIGHT.replace("南昌市", "新南昌市"))
    assert made.poll()
    assert made.version == 2
    unit = made.current().unit("city")
    assert unit is not None
    assert unit.name == "新南昌市"


def test_the_old_one_stays_while_the_new_one_is_wrong(tmp_path: Path) -> None:
    made = source(tmp_path)
    good = made.current()
    write(tmp_path, RIGHT.replace("level: village", "level: vilage"))
    assert not made.poll()
    assert made.current() is good
    assert [p.key for p in made.problems()] == ["units[4].level"]
    write(tmp_path, RIGHT)
    assert made.poll()
    assert made.problems() == []


def test_a_file_put_in_place_by_rename_with_the_old_time_is_seen(tmp_path: Path) -> None:
    made = source(tmp_path)
    path = tmp_path / "all.yml"
    before = path.stat()
    new = tmp_path / ".new"
    new.write_text(RIGHT.replace("公园街道", "百花街道"), encoding="utf-8")
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.replace(path)
    assert made.poll()


def test_a_file_that_goes_takes_its_entries_along(tmp_path: Path) -> None:
    write(tmp_path, "zones: [{id: extra, name: x}]", "more.yml")
    made = source(tmp_path)
    assert made.current().zone("extra") is not None
    (tmp_path / "more.yml").unlink()
    assert made.poll()
    assert made.current().zone("extra") is None


def test_a_new_secret_is_taken_without_a_change_of_the_inventory(tmp_path: Path) -> None:
    secret = tmp_path / "s"
    secret.touch(0o600)
    secret.write_text("one")
    made = source(tmp_path, RIGHT.replace("hush-hush", "file:s"))
    secret.write_text("another")
    assert made.poll()
    credential = made.current().credential("v2")
    assert credential is not None
    assert credential.community == "another"


def test_a_mended_secret_file_is_noticed(tmp_path: Path) -> None:
    made = source(tmp_path, RIGHT.replace("hush-hush", "file:s"))
    assert made.version == 0
    (tmp_path / "s").touch(0o600)
    (tmp_path / "s").write_text("now")
    assert made.poll()
    assert made.version == 1


def test_before_the_first_good_one_it_is_empty(tmp_path: Path) -> None:
    report = Report(ManualClock())
    made = InventorySource(tmp_path / "nowhere", report)
    assert made.current().inventory.units == ()
    assert made.problems()
    assert report.value("tengwang_inventory_problems") == 1
