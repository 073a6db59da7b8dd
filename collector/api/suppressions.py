"""``/suppressions``: maintenance windows, in which incidents are found and nobody is paged."""

from __future__ import annotations

import asyncio
import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from collector.access.roles import Role
from collector.api._operation import Nothing, Operation
from collector.incidents.suppression import Suppression
from collector.site import Site, Who
from collector.views.moment import moment

Word = Annotated[str, Meta(max_length=256)]
TAG = "suppressions"


class SuppressionGiven(msgspec.Struct, frozen=True):
    """What is given must all match; at least one of unit, asset, rule and key is wanted."""

    reason: Annotated[str, Meta(min_length=1, max_length=1000, description="Why")]
    minutes: Annotated[int, Meta(ge=1, le=366 * 1440, description="How long")]
    delay_minutes: Annotated[int, Meta(ge=0, le=366 * 1440, description="Begins so much later")] = 0
    unit: Word = ""
    asset: Word = ""
    rule: Word = ""
    key: Annotated[str, Meta(max_length=1000)] = ""


class SuppressionAsked(msgspec.Struct, frozen=True):
    suppression: Annotated[str, Meta(max_length=64, description="Its id")]


class SuppressionAnswer(msgspec.Struct, frozen=True):
    id: str
    by: str
    reason: str
    begins: datetime.datetime | None
    ends: datetime.datetime | None
    holds: bool
    unit: str
    asset: str
    rule: str
    key: str
    ended_by: str


class SuppressionList(msgspec.Struct, frozen=True):
    """Newest first; also those that ended within the last 30 days."""

    suppressions: tuple[SuppressionAnswer, ...]


def _answer(site: Site, one: Suppression) -> SuppressionAnswer:
    return SuppressionAnswer(
        one.id,
        one.by,
        one.reason,
        moment(one.from_ms),
        moment(one.until_ms),
        one.from_ms <= site.services.clock.now_ms() < one.until_ms,
        one.unit,
        one.asset,
        one.rule,
        one.key,
        one.ended_by,
    )


async def every(site: Site, _who: Who, _: Nothing) -> SuppressionList:
    found = await site.answers.ask(site.services.desk.suppressions.all)
    return SuppressionList(tuple(_answer(site, one) for one in found))


async def add(site: Site, who: Who, asked: SuppressionGiven) -> SuppressionAnswer:
    begin = site.services.clock.now_ms() + asked.delay_minutes * 60_000
    made = await asyncio.to_thread(
        lambda: site.services.desk.suppressions.add(
            who.name,
            asked.reason,
            begin + asked.minutes * 60_000,
            from_ms=begin,
            unit=asked.unit,
            asset=asked.asset,
            rule=asked.rule,
            key=asked.key,
        )
    )
    return _answer(site, made)


async def end(site: Site, who: Who, asked: SuppressionAsked) -> SuppressionAnswer:
    ended = await asyncio.to_thread(site.services.desk.suppressions.end, asked.suppression, who.name)
    return _answer(site, ended)


OPERATIONS = (
    Operation("/suppressions", "list_suppressions", TAG, "Maintenance windows", Nothing, SuppressionList, every),
    Operation(
        "/suppressions",
        "add_suppression",
        TAG,
        "Page nobody about something for a while",
        SuppressionGiven,
        SuppressionAnswer,
        add,
        Role.OPERATOR,
        "POST",
    ),
    Operation(
        "/suppressions/{suppression}/end",
        "end_suppression",
        TAG,
        "End one now",
        SuppressionAsked,
        SuppressionAnswer,
        end,
        Role.OPERATOR,
        "POST",
    ),
)
