"""``/events``: search, one event, and counts by field and time."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

import msgspec

from collector.api._operation import Operation
from collector.api._period import Limit, Period, Query, Since, Until
from collector.query import Aggregate, ByTerm, ByTime, Kind, Measure, Row, Scalar
from collector.search_text import parse
from collector.site import Site, Who
from collector.store import Found
from collector.views.events import SPANS, between, readable, search
from telemetry.errors import Permanent
from telemetry.fields import BY_NAME, Type


class EventView(msgspec.Struct, frozen=True):
    """``fields`` by their dotted ECS names; times are RFC 3339."""

    id: str
    fields: dict[str, Any]


class EventPage(msgspec.Struct, frozen=True):
    """``next`` is the ``cursor`` of the following page; empty on the last one."""

    events: tuple[EventView, ...]
    next: str


class OneEvent(msgspec.Struct, frozen=True):
    event: Annotated[str, msgspec.Meta(description="The event's id", max_length=256)]


class Grouping(msgspec.Struct, frozen=True):
    since: Since = "-1h"
    until: Until = "now"
    q: Query = ""
    by: Annotated[
        tuple[str, ...],
        msgspec.Meta(max_length=3, description="Fields to group by; `time:5m` groups by time", examples=[["unit"]]),
    ] = ()
    measure: Annotated[
        tuple[str, ...],
        msgspec.Meta(
            max_length=8,
            description="count, sum:FIELD, min:FIELD, max:FIELD, distinct:FIELD, p95:FIELD",
            examples=[["count", "sum:network.bytes"]],
        ),
    ] = ("count",)
    limit: Limit = 100


class Group(msgspec.Struct, frozen=True):
    """``keys`` in the order of ``by`` (a time as ms since 1970), ``values`` in that of ``measure``; null of none."""

    keys: tuple[Scalar, ...]
    values: tuple[float | None, ...]


class Groups(msgspec.Struct, frozen=True):
    by: tuple[str, ...]
    measure: tuple[str, ...]
    groups: tuple[Group, ...]


def view(found: Found) -> EventView:
    return EventView(found.id, readable(found.doc))


async def page(site: Site, kind: Kind, asked: Period) -> EventPage:
    """One page of any kind of record."""
    span = between(asked.since, asked.until, site.services.clock.now_ms())
    where = parse(asked.q)
    rows, after = await site.answers.ask(lambda: search(site.services, span, where, kind, asked.limit, asked.cursor))
    return EventPage(tuple(view(row) for row in rows), after)


async def find(site: Site, _who: Who, asked: Period) -> EventPage:
    return await page(site, Kind.EVENT, asked)


async def one(site: Site, _who: Who, asked: OneEvent) -> EventView:
    found = await site.answers.ask(lambda: site.services.store.get(Kind.EVENT, asked.event))
    if found is None:
        raise Permanent("not_found", f"there is no event {asked.event!r}")
    return view(found)


async def group(site: Site, _who: Who, asked: Grouping) -> Groups:
    span = between(asked.since, asked.until, site.services.clock.now_ms())
    query = Aggregate(
        span.since_ms,
        span.until_ms,
        parse(asked.q),
        by=tuple(_key(word) for word in asked.by),
        measures=tuple(_measure(word) for word in asked.measure),
        limit=asked.limit,
    )
    rows = await site.answers.ask(lambda: site.services.store.aggregate(query))
    return Groups(asked.by, asked.measure, tuple(_row(row) for row in rows))


def _row(row: Row) -> Group:
    return Group(row.keys, tuple(None if math.isnan(value) else value for value in row.values))


def _key(word: str) -> ByTerm | ByTime:
    if found := re.fullmatch(r"time:([0-9]{1,4})([smhdw])", word, re.ASCII):
        step = int(found[1]) * SPANS[found[2]]
        if not step:
            raise Permanent("bad_parameter", "by: a step of time is at least 1s")
        return ByTime(step)
    if word not in BY_NAME or BY_NAME[word].type in (Type.TEXT, Type.JSON):
        raise Permanent("bad_parameter", f"by: there is no field {word[:80]!r} to group by; or write time:5m")
    return ByTerm(word)


def _measure(word: str) -> Measure:
    op, _, field = word.partition(":")
    if word == "count":
        return Measure("count")
    numeric = field in BY_NAME and BY_NAME[field].type in (Type.LONG, Type.DOUBLE)
    if op == "distinct" and field in BY_NAME and BY_NAME[field].type not in (Type.TEXT, Type.JSON):
        return Measure("distinct", field)
    if numeric and op in ("sum", "min", "max"):
        return Measure(op, field)  # type: ignore[arg-type]
    if numeric and (found := re.fullmatch(r"p(100|[0-9]{1,2})", op, re.ASCII)):
        return Measure("percentile", field, float(found[1]))
    raise Permanent("bad_parameter", f"measure: {word[:80]!r}; write count, sum:network.bytes, p95:network.bytes ...")


OPERATIONS = (
    Operation("/events", "search_events", "events", "Search events, newest first", Period, EventPage, find),
    Operation("/events/{event}", "get_event", "events", "One event", OneEvent, EventView, one),
    Operation("/aggregate", "aggregate_events", "events", "Count and sum by field and time", Grouping, Groups, group),
)
