"""Scores, their trend and early warnings for pages: computed once for all who look. See collector/console/parts.py."""

from __future__ import annotations

from collector.answers import Answer
from collector.site import Site
from collector.views import posture as views
from collector.views.posture import Computed, Early

FRESH_S, OLDEST_S = 10.0, 120.0
SHARE = 25
"""So many times as long as they took to compute, scores stay on the pages: looking takes 4 % of a core at most."""


async def scores(site: Site, at_ms: int = 0) -> Answer[Computed]:
    """Of now, shared by all who look; or of a past moment."""

    def ask() -> Computed:
        return views.computed(site.services, at_ms or site.services.clock.now_ms())

    known = await site.answers.panel(("posture", at_ms), ask, fresh_s=OLDEST_S)
    if known.value is None or known.pending:
        return known
    fresh_s = min(OLDEST_S, max(FRESH_S, SHARE * known.value.took_s))
    return await site.answers.panel(("posture", at_ms), ask, fresh_s=fresh_s)


async def trends(site: Site, scope: str) -> Answer[dict[str, tuple[float | None, ...]]]:
    def ask() -> dict[str, tuple[float | None, ...]]:
        return views.trends(site.services, scope, site.services.clock.now_ms())

    return await site.answers.panel(("posture-trend", scope), ask, fresh_s=60)


async def early(site: Site) -> Answer[tuple[Early, ...]]:
    return await site.answers.panel(
        "early", lambda: views.early(site.services, site.services.clock.now_ms()), fresh_s=20
    )
