"""The part "escalate" on a real store with a real desk: who is told, once, whoever leads, and what else is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from collector.audit import Trail
from collector.duty import Duty
from collector.incidents.desk import Desk
from collector.incidents.escalate import Escalate
from collector.incidents.model import Entry, Incident, State
from collector.inventory_index import EMPTY, Indexed
from collector.operation import News
from collector.page import Page, PageState, Why
from collector.pager import Pager, entry_of, still_needed
from collector.signed_link import Links
from collector.store import Store
from telemetry.clock import ManualClock
from telemetry.report import Report
from tests.collector.access.sqlite_store import open_store
from tests.collector.inventory_text import RIGHT
from tests.collector.paging_parts import Tape, incident, index, outbox

ID = "a" * 24
MINUTE = 60


class Scene:
    """A collector's part with all that it stands on; a second one may stand on the same store."""

    def __init__(self, store: Store, inventory: Indexed, clock: ManualClock, name: str = "one") -> None:
        report = Report(clock)
        self.clock = clock
        self.desk = Desk(
            store=store,
            inventory=lambda: inventory,
            clock=clock,
            report=report,
            trail=Trail(store, clock, report),
            rules=lambda _: None,
            collector_id=name,
        )
        self.tape = Tape()
        self.alone: dict[str, int] = {}
        self.box = outbox(
            store,
            clock,
            {"sms": self.tape, "mail": Tape()},
            name,
            needed=lambda page: still_needed(page, self.desk.get(page.incident), clock.now_ms()),
            settled=lambda page: self.desk.append(page.incident, entry_of(page, clock.now_ms())),
        )
        self.duty = Duty(store, lambda: inventory, clock, report)
        links = Links(store, clock, b"k" * 32, 3_600_000)
        self.part = Escalate(
            everything=lambda: self.desk.docket.all(0),
            change=self.desk.change,
            pager=Pager(self.box, links, lambda: inventory, clock, lambda: "https://soc.example"),
            inventory=lambda: inventory,
            on_call=self.duty.on_call,
            suppressions=self.desk.suppressions.all,
            nobody=self.alone_is,
            clock=clock,
            report=report,
            level="medium",
        )
        self.part.begin(clock.now_ms())

    def alone_is(self, incidents: dict[str, int]) -> None:
        self.alone = incidents

    def step(self) -> None:
        self.part.step(News(self.clock.now_ms()))

    def found(self, **changes: object) -> Incident:
        made = incident(self.clock.now_ms(), **changes)
        self.desk.docket.create(made, Entry(self.clock.now_ms(), "system", "alert"))
        return made

    def told(self) -> list[str]:
        return sorted(page.person for page in self.box.all())

    def pages(self) -> list[Page]:
        self.box.refresh()
        return self.box.all()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_795_680_000_000)


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    made = open_store(tmp_path, clock)
    yield made
    made.close()


@pytest.fixture
def inventory(tmp_path: Path) -> Indexed:
    return index(tmp_path, RIGHT.replace("parent: city, zone: office", "parent: city, zone: office, escalation: all"))


@pytest.fixture
def scene(store: Store, inventory: Indexed, clock: ManualClock) -> Scene:
    return Scene(store, inventory, clock)


def test_who_is_on_call_is_told_at_once_and_the_next_when_nobody_acknowledges(scene: Scene) -> None:
    now = scene.duty.on_call(scene.clock.now_ms())["soc"]
    scene.found()
    scene.step()
    assert scene.told() == [now]
    scene.clock.advance(4 * MINUTE)
    scene.step()
    assert scene.told() == [now]
    scene.clock.advance(MINUTE)
    scene.step()
    assert scene.told() == sorted([now, now, "wang"])
    scene.clock.advance(1000 * MINUTE)
    scene.step()
    assert len(scene.told()) == 3
    entries = [entry for entry in scene.desk.history(ID) if entry.action == "escalated"]
    assert [entry.data["step"] for entry in entries] == [0, 1]


def test_whoever_acknowledges_stops_it_and_what_has_not_gone_out_does_not_go(scene: Scene) -> None:
    scene.found()
    scene.step()
    scene.desk.acknowledge(ID, "li")
    scene.clock.advance(60 * MINUTE)
    scene.step()
    assert len(scene.told()) == 1
    scene.box.send(scene.box._ways["sms"], scene.pages()[0].id)
    assert scene.pages()[0].state is PageState.NOT_NEEDED
    assert scene.tape.asked == []


def test_what_went_out_makes_the_incident_notified(scene: Scene) -> None:
    scene.found()
    scene.step()
    page = scene.pages()[0]
    assert "东湖区" in page.text or "county" in page.text
    assert page.link.startswith("https://soc.example/h/")
    scene.box.send(scene.box._ways[page.channel], page.id)
    found = scene.desk.get(ID)
    assert found is not None
    assert found.state is State.NOTIFIED
    assert found.entries[-1].data["person"] == page.person


def test_an_incident_that_comes_back_is_a_new_round(scene: Scene) -> None:
    scene.found()
    scene.step()
    scene.desk.false_positive(ID, "li", "test")
    scene.desk.reopen(ID, "li", "it is back")
    scene.step()
    assert sorted(page.round for page in scene.pages()) == [0, 1]


def test_two_leaders_tell_everybody_once(scene: Scene, store: Store, inventory: Indexed, clock: ManualClock) -> None:
    other = Scene(store, inventory, clock, "two")
    scene.found()
    for _ in range(3):
        scene.step()
        other.step()
        clock.advance(5 * MINUTE)
    assert len(scene.pages()) == 3
    found = scene.desk.get(ID)
    assert found is not None
    assert [entry.data["step"] for entry in found.entries if entry.action == "escalated"] == [0, 1]


def test_a_leader_that_died_between_page_and_incident_repeats_nothing(
    scene: Scene, store: Store, inventory: Indexed, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.found()

    def die(id: str, change: object) -> Incident:
        raise MemoryError

    monkeypatch.setattr(scene.part, "_change", die)
    with pytest.raises(MemoryError):
        scene.step()
    heir = Scene(store, inventory, clock, "two")
    heir.step()
    assert len(heir.pages()) == 1
    found = heir.desk.get(ID)
    assert found is not None
    assert found.escalation_steps == 1


def test_nobody_is_told_of_what_is_minor_or_in_maintenance(scene: Scene) -> None:
    scene.found(level="low")
    scene.step()
    assert scene.told() == []
    made = msgspec.structs.replace(incident(scene.clock.now_ms()), id="b" * 24, unit="street")
    scene.desk.docket.create(made, Entry(0, "system", "alert"))
    scene.desk.suppressions.add("li", "works", scene.clock.now_ms() + 60_000, unit="county")
    scene.step()
    assert scene.told() == []
    scene.clock.advance(61)
    scene.step()
    assert len(scene.told()) == 1


def test_where_there_is_nobody_the_switch_hears_of_it(store: Store, clock: ManualClock) -> None:
    scene = Scene(store, EMPTY, clock)
    scene.found()
    scene.step()
    since = clock.now_ms()
    clock.advance(5)
    scene.step()
    assert scene.alone == {ID: since}


def test_an_action_that_does_not_hold_pages_who_has_it_and_who_is_called_first(scene: Scene) -> None:
    scene.found()
    scene.step()
    scene.desk.acknowledge(ID, "wang")
    entry = Entry(scene.clock.now_ms(), "system", "page_needed", "", {"order": "o1", "state": "applied_not_effective"})
    scene.desk.append(ID, entry)
    for _ in range(3):
        scene.step()
    told = [page for page in scene.pages() if page.why is Why.ACTION]
    on_call = scene.duty.on_call(scene.clock.now_ms())["soc"]
    assert sorted(page.person for page in told) == sorted({"wang", on_call})
    assert all("处置“已实施但无效”：" in page.text or "(Applied, not effective): " in page.text for page in told)
    assert still_needed(told[0], scene.desk.get(ID), scene.clock.now_ms())


def test_a_report_that_is_due_pages_and_says_which(scene: Scene) -> None:
    scene.found()
    scene.step()
    data: dict[str, str | int | float | bool | list[str]] = {
        "clock": "c",
        "title_zh": "一小时内报告",
        "title_en": "1 h",
    }
    scene.desk.append(ID, Entry(scene.clock.now_ms(), "system", "page_needed", "", data))
    scene.step()
    told = [page for page in scene.pages() if page.why is Why.CLOCK]
    assert told
    assert "报告时限“一小时内报告”：" in told[0].text or "report due (1 h): " in told[0].text


def test_whoever_an_incident_is_handed_to_is_paged_also_after_it_was_acknowledged(scene: Scene) -> None:
    scene.found()
    scene.step()
    scene.desk.acknowledge(ID, "wang")
    scene.desk.hand_over(ID, "wang", "zhao")
    scene.step()
    (told,) = [page for page in scene.pages() if page.why is Why.HANDED_OVER]
    assert told.person == "zhao"
    assert told.text.startswith("[Tengwang] HIGH handed to you: ")
    assert told.channels == ("mail", "sms")
