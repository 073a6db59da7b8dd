"""``/alerts``: what the rules found."""

from __future__ import annotations

from collector.api._operation import Operation
from collector.api._period import Period
from collector.api.events import EventPage, page
from collector.query import Kind
from collector.site import Site, Who


async def find(site: Site, _who: Who, asked: Period) -> EventPage:
    return await page(site, Kind.ALERT, asked)


OPERATIONS = (Operation("/alerts", "search_alerts", "alerts", "Search alerts, newest first", Period, EventPage, find),)
