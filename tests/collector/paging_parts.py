"""For the tests of paging: a channel that is told what to do, an outbox on a real store, and a small inventory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from collector.incidents.model import Incident
from collector.inventory_index import Indexed
from collector.notifier import Message, Recipient, Sent
from collector.outbox import Outbox, Way
from collector.page import Page, Why
from collector.store import Store
from telemetry.clock import Clock
from telemetry.report import Report
from telemetry.verdict import Text
from tests.collector.inventory_text import RIGHT, indexed

DUTY = """
people:
  - {id: li, name: 李工, unit: county, phone: "13800000001", email: li@example.gov.cn}
  - {id: zhao, name: Zhao, phone: "13800000002", language: en, channels: [mail, sms]}
rotations:
  - {id: soc, name: 值班, people: [li, zhao], start: 2026-01-05}
escalations:
  - {id: all, steps: [{notify: [soc]}, {after: 5m, notify: [wang, soc]}], repeat: 0}
"""

_people, _rotations = DUTY.strip().split("rotations:")
INVENTORY = RIGHT.replace("people:\n", _people, 1) + "rotations:" + _rotations
"""All in one file."""


class Tape:
    """A notifier that keeps what it is given; ``errors`` are raised first, one a message."""

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.asked: list[str] = []
        self.errors: list[Exception] = []
        self.receipts = False
        self.hold = threading.Event()
        self.hold.set()
        self.on_notify: Callable[[Message], None] = lambda _: None
        self.closed = False

    def notify(self, message: Message) -> Sent:
        self.asked.append(message.id)
        self.hold.wait(10)
        if self.errors:
            raise self.errors.pop(0)
        self.on_notify(message)
        self.taken.append(message)
        return Sent((message.id[:8],) if self.receipts else ())

    def close(self) -> None:
        self.closed = True


def recipient(person: str) -> Recipient | None:
    return None if person == "ghost" else Recipient(person, person, "13800000001", f"{person}@example.gov.cn")


def outbox(store: Store, clock: Clock, tapes: dict[str, Tape], collector: str = "one", **options: object) -> Outbox:
    made = Outbox(
        store=store,
        clock=clock,
        report=Report(clock),
        collector_id=collector,
        recipient=recipient,
        give_up_ms=3_600_000,
        **options,  # type: ignore[arg-type]
    )
    made.use([Way(name, 600, tape) for name, tape in tapes.items()])
    return made


def page(person: str = "li", now_ms: int = 0, **changes: object) -> Page:
    made = Page(
        id=f"{'a' * 24}/0/0/{person}",
        incident="a" * 24,
        person=person,
        why=Why.ESCALATION,
        created_ms=now_ms,
        level="high",
        subject="s",
        text="t",
    )
    return msgspec.structs.replace(made, **changes)


def incident(now_ms: int, **changes: object) -> Incident:
    made = Incident(
        id="a" * 24,
        key="k",
        rule="r",
        title=Text("未登记的路由器通告", "Rogue router"),
        category="",
        level="high",
        unit="county",
        unit_name="东湖区",
        owners=("wang",),
        first_ms=now_ms,
        found_ms=now_ms,
        last_ms=now_ms,
        count=1,
    )
    return msgspec.structs.replace(made, **changes)


def index(folder: Path, text: str) -> Indexed:
    (folder / "inv").mkdir(exist_ok=True)
    (folder / "inv" / "duty.yml").write_text(DUTY, encoding="utf-8")
    return indexed(folder / "inv", text)
