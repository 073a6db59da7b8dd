from __future__ import annotations

from pathlib import Path

import pytest

from collector import audit
from collector.audit import Trail
from collector.query import Kind, Search
from collector.store import StoreContext
from collector.stores.sqlite import Config, build
from telemetry.clock import ManualClock
from telemetry.errors import Transient
from telemetry.event import Event
from telemetry.report import Report


class Desk:
    def __init__(self, directory: Path) -> None:
        self.clock = ManualClock()
        self.report = Report(self.clock)
        self.store = build(Config(), StoreContext(directory, self.clock, self.report))
        self.trail = Trail(self.store, self.clock, self.report)

    def records(self) -> list[Event]:
        return [f.doc for f in self.store.search(Search(0, 2**52, (), Kind.AUDIT, 1000)).rows]


def test_who_did_what_from_where_and_how_it_went(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.trail.write("login", "failure", user="w" * 500, roles=["viewer"], client="::ffff:192.0.2.1", reason="password")
    (doc,) = desk.records()
    assert doc["user.name"] == "w" * 256
    assert doc["client.ip"] == "192.0.2.1"
    assert (doc["event.action"], doc["event.outcome"], doc["event.reason"]) == ("login", "failure", "password")


def test_knocking_at_the_door_does_not_fill_the_disk(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for number in range(500):
        desk.trail.refusal("handshake-failed", "foreign_ca", client=f"2001:db8::{number:x}")
        desk.trail.refusal("handshake-failed", "foreign_ca", client="2001:db8::1")
    assert len(desk.records()) == audit.PER_MINUTE
    assert desk.report.value("tengwang_refused_total", reason="foreign_ca") == 1000
    desk.clock.advance(61)
    desk.trail.refusal("handshake-failed", "foreign_ca", client="2001:db8::1")  # within ten minutes: known
    desk.trail.refusal("handshake-failed", "foreign_ca", client="2001:db8:1::1")
    assert len(desk.records()) == audit.PER_MINUTE + 1


def test_what_can_not_be_written_is_counted_and_never_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path)

    def full(*_: object) -> None:
        raise Transient("disk full")

    monkeypatch.setattr(desk.store, "write", full)
    desk.trail.write("login", "success", user="w")
    assert desk.report.value("tengwang_audit_lost_total") == 1
