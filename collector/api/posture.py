"""``/posture``: scores of units, zones, levels and the whole, explained, now or at any past time; early warnings."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from collector.api._operation import Nothing, Operation
from collector.api._period import TIME
from collector.site import Site, Who
from collector.views import posture as views
from collector.views.events import instant
from collector.views.posture import Early, Posture, PostureDetail
from telemetry.errors import Permanent

At = Annotated[
    str,
    msgspec.Meta(pattern=TIME, description="The moment that is scored: now, -7d, or RFC 3339", examples=["now", "-7d"]),
]


class PostureAt(msgspec.Struct, frozen=True):
    at: At = "now"


class PostureOf(msgspec.Struct, frozen=True):
    scope: Annotated[Literal["unit", "branch", "zone", "level", "all"], msgspec.Meta(description="What is scored")]
    subject: Annotated[str, msgspec.Meta(description="Id of the unit, zone or level; `all` of all", max_length=64)]
    at: At = "now"


class EarlyList(msgspec.Struct, frozen=True):
    """The worst first. ``judged`` series had enough data, ``short`` had not."""

    warnings: tuple[Early, ...]


def _moment(site: Site, words: str) -> int:
    now = site.services.clock.now_ms()
    return now if words == "now" else min(instant(words, now), now)


async def every(site: Site, _who: Who, asked: PostureAt) -> Posture:
    at_ms = _moment(site, asked.at)
    return await site.answers.ask(lambda: views.posture(site.services, views.computed(site.services, at_ms)))


async def one(site: Site, _who: Who, asked: PostureOf) -> PostureDetail:
    at_ms = _moment(site, asked.at)
    found = await site.answers.ask(
        lambda: views.detail(site.services, views.computed(site.services, at_ms), asked.scope, asked.subject)
    )
    if found is None:
        raise Permanent("not_found", f"there is no {asked.scope} {asked.subject!r}")
    return found


async def warnings(site: Site, _who: Who, _: Nothing) -> EarlyList:
    now = site.services.clock.now_ms()
    return EarlyList(await site.answers.ask(lambda: views.early(site.services, now)))


OPERATIONS = (
    Operation("/posture", "list_posture", "posture", "Scores of everything, in tree order", PostureAt, Posture, every),
    Operation(
        "/posture/{scope}/{subject}", "get_posture", "posture", "One score, explained", PostureOf, PostureDetail, one
    ),
    Operation("/early-warnings", "list_early_warnings", "posture", "Early warnings", Nothing, EarlyList, warnings),
)
