"""[page] [complete]: the console over 10 M stored events of 10 days; no page may wait more than 1 s.

The embedded store is filled directly, up to now; agents and devices report as in the demonstration. Then every page is
asked for over HTTP, the ones that search several times with other questions, so that no answer was remembered.
``page`` is the slowest first answer: a page shows what it has and marks what the store is still at work on.
``complete`` is the slowest until nothing is marked any more. ``EVENTS`` and ``DAYS`` make it shorter; with
``EVENTS=1000000 DAYS=1`` each hour is as full as in the whole.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
import time
from pathlib import Path

from collector.partition import DAY_MS
from collector.query import Kind
from collector.store import Record
from tests.bench.query import Traffic
from tests.bench.result import Result
from tests.demo import INVENTORY, fill
from tests.running_site import Browserless, RunningSite

EVENTS = int(os.environ.get("EVENTS", "10000000"))
DAYS = int(os.environ.get("DAYS", "10"))
BATCH = 2000
BOUND_S = 1.0
PAGES = (
    "/",
    "/agents",
    "/events",
    "/events?q=src:2001:db8:5::/48+dataset:tengwang.flow",
    "/events?q=unit:unit-007&since=-24h",
    "/events?q=10.3.0.0/16&since=-6h",
    "/events?q=src:10.0.0.0/8&since=-7d",
    "/events?q=gw7&since=-24h",
    "/events?since=-30d",
    "/events?q=src:2001:db8:ffff::/48&since=-30d",
    "/alerts",
    "/aside",
    "/audit",
    "/devices",
    "/devices/nc-core-1",
    "/readiness",
    "/readiness/edu",
    "/health",
)


def run() -> list[Result]:
    return asyncio.run(_run())


async def _run() -> list[Result]:
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        async with RunningSite(Path(folder), INVENTORY) as site, Browserless(site) as me:
            await asyncio.to_thread(_store, site)
            await fill(site, minutes=5)
            await me.enter()
            first, complete = [], []
            for path in PAGES:
                waited, whole, size = await _ask(me, path)
                print(f"{waited:6.3f} s, complete {whole:6.3f} s, {size / 1024:6.1f} KiB  {path}", flush=True)
                first.append(waited)
                complete.append(whole)
    return [
        Result("page", round(max(first), 3), BOUND_S, "bound", "s"),
        Result("complete", round(max(complete), 3), BOUND_S, "bound", "s"),
    ]


def _store(site: RunningSite) -> None:
    traffic, end = Traffic(1), site.clock.now_ms()
    for day in range(DAYS):
        began = time.monotonic()
        made = traffic.events(end - (DAYS - day) * DAY_MS, EVENTS // DAYS)
        while batch := [Record(Kind.EVENT, str(doc["event.id"]), doc) for doc in itertools.islice(made, BATCH)]:
            site.services.store.write(batch)
        print(f"day {day + 1} of {DAYS}: {EVENTS // DAYS} events in {time.monotonic() - began:.0f} s", flush=True)


async def _ask(me: Browserless, path: str) -> tuple[float, float, int]:
    """Seconds until the first answer, seconds until it is whole, bytes."""
    began = time.monotonic()
    status, text = await me.get(path)
    waited = time.monotonic() - began
    size = len(text.encode())
    while "data-retry" in text:
        if time.monotonic() - began > 120:
            raise RuntimeError(f"{path} is not whole after two minutes")
        await asyncio.sleep(0.1)
        status, text = await me.get(path)
    if status != 200:
        raise RuntimeError(f"{path}: {status}")
    return waited, time.monotonic() - began, size
