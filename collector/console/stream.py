"""``/live``: server-sent events that say which part of a page is out of date. They carry no data."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web

from collector.site import Site, Who
from telemetry.errors import Transient

KEEPALIVE_S = 15.0
LONGEST_S = 3600.0
"""Then the browser connects again by itself and its session is looked at again."""


async def live(request: web.Request, site: Site, _who: Who) -> web.StreamResponse:
    """Write ``data: <topic>`` lines as things change, and a comment when nothing does."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    clock = site.services.clock
    until = clock.monotonic() + LONGEST_S
    topics = site.services.live.subscribe().__aiter__()
    waiting: asyncio.Future[str] | None = None
    try:
        await response.prepare(request)
        await response.write(b"retry: 3000\n\n")
        while clock.monotonic() < until:
            waiting = waiting or asyncio.ensure_future(topics.__anext__())
            done, _ = await asyncio.wait({waiting}, timeout=KEEPALIVE_S)
            if done:
                await response.write(f"data: {waiting.result()}\n\n".encode())
                waiting = None
            else:
                await response.write(b": still here\n\n")
    except (ConnectionError, StopAsyncIteration, Transient):  # gone, or too many pages listen: it connects again later
        return response
    finally:
        if waiting is not None and not waiting.done():
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiting
        close = getattr(topics, "aclose", None)
        if close is not None:
            await close()
    return response
