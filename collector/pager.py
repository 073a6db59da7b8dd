"""Make a page of an incident for a person: the words in their language, their link, their channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from collector.incidents.escalation import escalates
from collector.incidents.model import Entry, Incident
from collector.inventory_index import Indexed
from collector.notifier import Recipient
from collector.outbox import Outbox
from collector.page import Page, PageState, Why, page_id
from collector.page_text import subject_and_text
from collector.signed_link import PATH, Links
from telemetry.clock import Clock
from telemetry.verdict import Text

SYSTEM = "system"


class Pager:
    """Thread-safe; blocks on the store and may raise Transient."""

    def __init__(
        self,
        outbox: Outbox,
        links: Links,
        inventory: Callable[[], Indexed],
        clock: Clock,
        base_url: Callable[[], str],
    ) -> None:
        self._outbox = outbox
        self._links = links
        self._inventory = inventory
        self._clock = clock
        self._base_url = base_url

    def page(
        self,
        incident: Incident,
        person: str,
        why: Why,
        step: str,
        channels: Sequence[str] = (),
        note: Text | None = None,
    ) -> bool:
        """Tell one person, once for each ``step`` of this round. False where that was done already.

        ``step`` is the number of a step of the escalation, or a word that says what else it is about.
        """
        index = self._inventory()
        who = index.person(person)
        name = page_id(incident.id, incident.reopened, step, person)
        link = self._base_url() + PATH + self._links.token(name, incident.id, person)
        unit = index.unit(incident.unit)
        language = who.language if who is not None else "zh-CN"
        unit_en = unit.name_en if unit is not None else ""
        subject, text = subject_and_text(incident, why, language, link, unit_en, note)
        wanted = channels or (who.channels if who is not None else ())
        return self._outbox.put(
            Page(
                id=name,
                incident=incident.id,
                person=person,
                why=why,
                round=incident.reopened,
                created_ms=self._clock.now_ms(),
                level=incident.level,
                subject=subject,
                text=text,
                link=link,
                data={
                    "rule": incident.rule,
                    "unit": incident.unit,
                    "state": incident.state.value,
                    "count": incident.count,
                    "title": incident.title.zh,
                    "title_en": incident.title.en,
                    "why": why.value,
                    "first_ms": incident.first_ms,
                },
                channels=tuple(dict.fromkeys((*wanted, *self._outbox.channels))),
            )
        )


def recipient(index: Indexed, person: str) -> Recipient | None:
    found = index.person(person)
    if found is None:
        return None
    return Recipient(found.id, found.name, found.phone, found.email, found.language)


def still_needed(page: Page, incident: Incident | None, now_ms: int) -> bool:
    """Not where somebody acknowledged, or the matter is over, before the page went out."""
    if page.why is not Why.ESCALATION or incident is None:
        return True
    return incident.reopened == page.round and escalates(incident, now_ms)


def entry_of(page: Page, now_ms: int) -> Entry:
    """What became of a page, for the incident's record; the first that went out makes the incident notified."""
    data: dict[str, str | int | float | bool | list[str]] = {
        "person": page.person,
        "why": page.why.value,
        "channel": page.sent_by,
        "page": page.message_id,
    }
    if page.state is PageState.SENT:
        return Entry(now_ms, SYSTEM, "notified" if page.why is Why.ESCALATION else "page", "", data)
    data["outcome"] = page.state.value
    error = page.attempts[-1].error if page.state is PageState.DEAD and page.attempts else ""
    return Entry(now_ms, SYSTEM, "page", error, data)
