"""The part "escalate": carries out the steps of escalation that are due, and tells people what else they must hear.

Pages are written first and then the incident; both are recognised when they are done twice. So whoever leads next
after a fault repeats nothing and leaves nothing out. What else a person must hear is a line on the incident's record:
``page_needed`` (an action does not hold, a clock runs out, sight is lost) and ``handed_over``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from collector.detect.rule import SEVERITY
from collector.incidents import lifecycle
from collector.incidents.escalation import Due, due_steps, escalates, people_of, policy_of
from collector.incidents.model import Entry, Incident
from collector.incidents.suppression import Suppression, holding
from collector.inventory import Escalation
from collector.inventory_index import Indexed
from collector.operation import News
from collector.page import Why
from collector.response.model import State as OrderState
from collector.response.texts import STATES
from telemetry.clock import Clock
from telemetry.errors import Permanent
from telemetry.report import Report
from telemetry.verdict import Text

SYSTEM = "system"
HEARD_MS = 3_600_000
"""A line on the record is told of within this time, so that a take-over does not tell of old ones again."""
SUPPRESSIONS_S = 3.0
CONTACTS = ("acknowledged_by", "assignee")


class Pages(Protocol):
    """collector/pager.py"""

    def page(
        self,
        incident: Incident,
        person: str,
        why: Why,
        step: str,
        channels: Sequence[str] = (),
        note: Text | None = None,
    ) -> bool: ...


class Escalate:
    name = "escalate"

    def __init__(
        self,
        *,
        everything: Callable[[], Sequence[Incident]],
        change: Callable[[str, Callable[[Incident], Incident]], Incident],
        pager: Pages,
        inventory: Callable[[], Indexed],
        on_call: Callable[[int], dict[str, str]],
        suppressions: Callable[[], Sequence[Suppression]],
        nobody: Callable[[dict[str, int]], None],
        clock: Clock,
        report: Report,
        level: str,
    ) -> None:
        self._everything = everything
        self._change = change
        self._pager = pager
        self._inventory = inventory
        self._on_call = on_call
        self._read_suppressions = suppressions
        self._nobody = nobody
        self._clock = clock
        self._report = report
        self._least = SEVERITY[level]
        self._heard: dict[str, int] = {}
        self._alone: dict[str, int] = {}
        self._suppressions: Sequence[Suppression] = ()
        self._suppressions_at = float("-inf")

    def begin(self, now_ms: int) -> None:  # noqa: ARG002 - what is heard again is recognised by its page
        self._heard = {}
        self._alone = {}
        self._suppressions_at = float("-inf")

    def step(self, news: News) -> None:
        index = self._inventory()
        everything = self._everything()
        on_call = self._on_call(news.now_ms)
        alone: dict[str, int] = {}
        for incident in everything:
            try:
                if self._paged(incident) and not self._escalate(incident, index, on_call, news.now_ms):
                    alone[incident.id] = self._alone.get(incident.id, news.now_ms)
                self._hear(incident, index, on_call, news.now_ms)
            except Permanent as error:  # changed meanwhile, e.g. merged: the next step sees it as it is
                self._report.warn("escalate", str(error))
        self._heard = {one.id: self._heard.get(one.id, 0) for one in everything}
        self._alone = alone
        self._nobody(alone)

    def _paged(self, incident: Incident) -> bool:
        return SEVERITY.get(incident.level, 0) >= self._least

    def _escalate(self, incident: Incident, index: Indexed, on_call: dict[str, str], now_ms: int) -> bool:
        """False where somebody should be told and there is nobody."""
        if not escalates(incident, now_ms) or self._suppressed(incident, index, now_ms):
            return True
        policy = policy_of(index, incident.unit, incident.owners)
        if policy is None:
            return False
        begun = incident.escalation_ms or now_ms
        told = True
        for due in due_steps(policy, incident, now_ms):
            people = people_of(due.step, incident.owners, on_call, index)
            for person in people:
                self._pager.page(incident, person, Why.ESCALATION, str(due.number), due.step.channels)
            changed = self._change(incident.id, _carried_out(due, begun, people, policy, now_ms))
            told = told and bool(people)
            if changed.escalation_steps != due.number + 1:
                break  # acknowledged meanwhile, or carried out by another collector
        return told

    def _suppressed(self, incident: Incident, index: Indexed, now_ms: int) -> bool:
        if self._clock.monotonic() - self._suppressions_at >= SUPPRESSIONS_S:
            self._suppressions = self._read_suppressions()
            self._suppressions_at = self._clock.monotonic()
        return holding(self._suppressions, incident, index, now_ms) is not None

    def _hear(self, incident: Incident, index: Indexed, on_call: dict[str, str], now_ms: int) -> None:
        """Lines of the record that somebody must be told of."""
        if self._heard.get(incident.id) == incident.revision:
            return
        for entry in incident.entries:
            if entry.at_ms < now_ms - HEARD_MS or entry.action not in ("page_needed", "handed_over"):
                continue
            step = f"{entry.action}-{_name(entry)}"
            why, people = self._meant(entry, incident, index, on_call)
            for person in people:
                self._pager.page(incident, person, why, step, note=_note(entry))
        self._heard[incident.id] = incident.revision

    def _meant(
        self, entry: Entry, incident: Incident, index: Indexed, on_call: dict[str, str]
    ) -> tuple[Why, list[str]]:
        """Why, and whom: who has the incident and who is called first for it."""
        if entry.action == "handed_over":
            to = str(entry.data.get("to", ""))
            return Why.HANDED_OVER, [to] if index.person(to) is not None and to != entry.by else []
        people = [person for name in CONTACTS if index.person(person := getattr(incident, name)) is not None]
        policy = policy_of(index, incident.unit, incident.owners)
        if policy is not None:
            people += people_of(policy.steps[0], incident.owners, on_call, index)
        return _why(entry), list(dict.fromkeys(people))


def _carried_out(
    due: Due, begun_ms: int, people: Sequence[str], policy: Escalation, now_ms: int
) -> Callable[[Incident], Incident]:
    def change(incident: Incident) -> Incident:
        if not escalates(incident, now_ms) or incident.escalation_steps != due.number:
            return incident
        data: dict[str, str | int | float | bool | list[str]] = {
            "policy": policy.id,
            "step": due.number,
            "round": incident.reopened,
            "people": list(people),
        }
        entry = Entry(now_ms, SYSTEM, "escalated", "" if people else "nobody", data)
        stepped = msgspec.structs.replace(incident, escalation_ms=begun_ms, escalation_steps=due.number + 1)
        return lifecycle.noted(stepped, entry)

    return change


def _why(entry: Entry) -> Why:
    if "order" in entry.data:
        return Why.ACTION
    if "clock" in entry.data:
        return Why.CLOCK
    return Why.COVERAGE if "coverage" in entry.data else Why.NOTICE


def _note(entry: Entry) -> Text | None:
    """How the action stands, or which report is due."""
    if "title_zh" in entry.data:
        return Text(str(entry.data["title_zh"]), str(entry.data.get("title_en", "")))
    state = entry.data.get("state")
    return STATES.get(OrderState(state)) if state in set(OrderState) and "order" in entry.data else None


def _name(entry: Entry) -> str:
    return hashlib.blake2b(msgspec.json.encode(entry), digest_size=6).hexdigest()
