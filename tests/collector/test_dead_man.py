"""The switch: what is wrong with paging is said, as long as it lasts, and once an hour as an alert."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.dead_man import RULE, DeadMan
from collector.feed import Feed
from collector.outbox import Outbox
from collector.page import PageState
from collector.query import Kind
from collector.store import Store
from telemetry.clock import ManualClock
from telemetry.errors import Permanent, Transient
from telemetry.report import Report
from telemetry.validate import validate
from tests.collector.access.sqlite_store import open_store
from tests.collector.paging_parts import Tape, outbox, page


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    made = open_store(tmp_path, clock)
    yield made
    made.close()


def switch(box: Outbox, store: Store, clock: ManualClock) -> tuple[DeadMan, Feed, Report]:
    feed, report = Feed(), Report(clock)
    return DeadMan(box, store, feed, clock, report, 120_000), feed, report


def codes(made: DeadMan) -> list[str]:
    return [trouble.code for trouble in made.look()]


def test_no_channel_is_said_but_raises_no_alert(store: Store, clock: ManualClock) -> None:
    made, feed, report = switch(outbox(store, clock, {}), store, clock)
    assert codes(made) == ["no_channel"]
    assert report.value("tengwang_paging_trouble", reason="no_channel") == 1
    assert feed.take()[0] == []


def test_pages_that_wait_too_long_raise_one_alert_an_hour(store: Store, clock: ManualClock) -> None:
    box = outbox(store, clock, {"sms": Tape()})
    made, feed, _ = switch(box, store, clock)
    box.put(page(now_ms=clock.ms))
    assert codes(made) == []
    clock.advance(121)
    assert codes(made) == ["undelivered"]
    assert codes(made) == ["undelivered"]
    records = feed.take()[0]
    assert [record.kind for record in records] == [Kind.ALERT]
    assert records[0].doc["rule.id"] == RULE
    validate(records[0].doc)
    clock.advance(3_600)
    made.look()
    assert len(feed.take()[0]) == 1


def test_when_every_channel_fails(store: Store, clock: ManualClock) -> None:
    sms, mail = Tape(), Tape()
    sms.errors, mail.errors = [Permanent("refused", "no")], [Transient("down")] * 2
    box = outbox(store, clock, {"sms": sms, "mail": mail})
    made, _, _ = switch(box, store, clock)
    box.put(page(now_ms=clock.ms))
    box.send(box._ways["sms"], page().id)
    assert codes(made) == []
    box.send(box._ways["mail"], page().id)
    assert codes(made) == ["all_channels_fail"]
    clock.advance(30)
    mail.errors = []
    box.send(box._ways["mail"], page().id)
    assert box.all()[0].state is PageState.SENT
    assert codes(made) == []


def test_dead_letters_and_incidents_without_anybody(store: Store, clock: ManualClock) -> None:
    box = outbox(store, clock, {})
    made, _, _ = switch(box, store, clock)
    box.put(page(now_ms=clock.ms))
    made.nobody({"i": 5})
    assert codes(made) == ["no_channel", "dead_letters", "nobody"]
    clock.advance(61)  # it leads no longer: another collector says who has nobody
    assert codes(made) == ["no_channel", "dead_letters"]
    since = made.troubles[0].since_ms
    clock.advance(60)
    box.see(page().id, "chen")
    made.nobody({})
    assert codes(made) == ["no_channel"]
    assert made.troubles[0].since_ms == since
