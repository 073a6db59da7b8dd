"""``/events``, ``/alerts``, ``/aside`` and ``/audit``: search, histogram, pages, and one record."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web

from collector.access.roles import Role
from collector.answers import Answer
from collector.console import charts
from collector.console.render import page, reader
from collector.query import Kind
from collector.search_text import SHORT, parse
from collector.security import needs, record
from collector.site import Site, Who
from collector.store import Found
from collector.views.events import Bar, Between, between, histogram, readable, search
from telemetry.errors import Permanent
from telemetry.fields import FIELDS, Type

PAGE = 50


@dataclass(frozen=True)
class Listing:
    """One kind of record and how its page is called."""

    path: str
    kind: Kind
    title: str
    topic: str
    since: str
    role: Role = Role.VIEWER


LISTINGS = (
    Listing("/events", Kind.EVENT, "Events", "events", "-1h"),
    Listing("/alerts", Kind.ALERT, "Alerts", "alerts", "-7d"),
    Listing("/aside", Kind.ASIDE, "Set aside", "events", "-7d"),
    Listing("/audit", Kind.AUDIT, "Audit", "", "-7d", Role.ADMIN),
)
SUGGESTED = sorted([*SHORT, *(field.name for field in FIELDS if field.type is not Type.JSON)])


class Pages:
    """The two pages of one kind of record: the list, and one of them."""

    def __init__(self, listing: Listing) -> None:
        self.listing = listing

    async def many(self, request: web.Request, site: Site, who: Who) -> web.StreamResponse:
        listing = self.listing
        asked = {name: request.query.get(name, "") for name in ("q", "since", "until", "after")}
        since, until = asked["since"] or listing.since, asked["until"] or "now"
        try:
            span = between(since, until, site.services.clock.now_ms())
            where = parse(asked["q"])
        except Permanent as error:
            return self._show(request, asked, since, until, mistake=error.detail)
        if asked["q"] and "X-Live" not in request.headers and listing.kind is not Kind.AUDIT:
            await record(request, site, "search", "success", who, f"{listing.kind.value}: {asked['q']}")
        # a moving range gets the same key within two seconds, so that many open pages ask once
        key = (listing.kind, asked["q"], since, until, asked["after"])
        services, kind = site.services, listing.kind
        rows, bars = await asyncio.gather(
            site.answers.panel(("rows", *key), lambda: search(services, span, where, kind, PAGE, asked["after"])),
            site.answers.panel(("bars", *key[:4]), lambda: histogram(services, span, where, kind)),
        )
        return self._show(request, asked, since, until, span, rows=rows, bars=bars)

    def _show(
        self,
        request: web.Request,
        asked: dict[str, str],
        since: str,
        until: str,
        span: Between | None = None,
        mistake: str = "",
        rows: Answer[tuple[tuple[Found, ...], str]] | None = None,
        bars: Answer[tuple[Bar, ...]] | None = None,
    ) -> web.Response:
        drawing = None
        if bars is not None and bars.value is not None:
            drawing = charts.histogram(reader(request), bars.value, self.listing.path, asked["q"])
        found: tuple[Found, ...] = ()
        after = ""
        if rows is not None and rows.value is not None:
            found, after = rows.value
        following = urlencode({"q": asked["q"], "since": since, "until": until, "after": after}) if after else ""
        return page(
            request,
            "records.html",
            listing=self.listing,
            asked=asked,
            since=since,
            until=until,
            span=span,
            mistake=mistake,
            rows=found,
            answer=rows,
            chart=drawing,
            chart_pending=bars is not None and bars.pending,
            following=following,
            suggested=SUGGESTED,
        )

    async def one(self, request: web.Request, site: Site, _who: Who) -> web.StreamResponse:
        name = request.match_info["record"]
        found = await site.answers.ask(lambda: site.services.store.get(self.listing.kind, name))
        if found is None:
            raise web.HTTPNotFound(text="there is no such record; it may be older than the retention")
        return page(
            request, "record.html", listing=self.listing, found=found, fields=readable(found.doc), doc=found.doc
        )


ROUTES = tuple(
    route
    for listing in LISTINGS
    for pages in (Pages(listing),)
    for route in (
        web.get(listing.path, needs(listing.role, pages.many)),
        web.get(listing.path + "/{record}", needs(listing.role, pages.one)),
    )
)
