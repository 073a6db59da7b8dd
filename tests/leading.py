"""What the leading collector does, in tests by hand: incidents from what came in, then scores and early warnings."""

from __future__ import annotations

import asyncio

from collector.incidents.model import Entry
from collector.wiring import make_operations, make_posture
from tests.running_site import RunningSite


async def lead(site: RunningSite) -> None:
    """One step of the operations, and one run of the posture part."""

    def work() -> None:
        operations = make_operations(site.services)
        operations.keep()
        operations.step()
        make_posture(site.services).run(site.clock.now_ms())
        operations.stop()

    await asyncio.to_thread(work)


async def handle_some(site: RunningSite) -> None:
    """Somebody takes two of the open incidents, contains and closes them."""

    def work() -> None:
        desk, now = site.services.desk, site.clock.now_ms()
        for incident in desk.open()[:2]:
            desk.acknowledge(incident.id, "wang")
            desk.handle(incident.id, "wang")
            desk.append(incident.id, Entry(now, "system", "contained"))
            desk.close(incident.id, "wang", "looked at by hand")

    await asyncio.to_thread(work)
