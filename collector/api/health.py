"""``/health``: does the collector take events; where not, why not."""

from __future__ import annotations

from collector.api._operation import Nothing, Operation
from collector.site import Site, Who
from collector.views.health import HealthView, health


async def tell(site: Site, _who: Who, _: Nothing) -> HealthView:
    return await site.answers.ask(lambda: health(site.services))


OPERATIONS = (Operation("/health", "get_health", "health", "The collector and its store", Nothing, HealthView, tell),)
