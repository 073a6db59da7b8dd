"""Tell open browser pages that something changed: a topic, not the data; a page then asks for what it shows."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

from telemetry.clock import Clock
from telemetry.errors import Transient

TOPICS = frozenset({"events", "alerts", "agents", "readiness", "devices", "incidents", "paging", "posture"})
MAX_SUBSCRIBERS = 256
PAUSE_SECONDS = 1.0


class _Subscriber:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.topics: set[str] = set()
        self.wake = asyncio.Event()

    def tell(self, topic: str) -> None:
        self.topics.add(topic)
        self.wake.set()


class Live:
    """``publish`` from any thread; ``subscribe`` from a coroutine. A slow reader misses repeats, never a topic."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._subscribers: set[_Subscriber] = set()

    def publish(self, topic: str) -> None:
        """Something of this topic changed. Never blocks, never raises for want of a listener."""
        if topic not in TOPICS:
            raise ValueError(f"unknown topic {topic!r}")
        with self._lock:
            subscribers = list(self._subscribers)
        for subscriber in subscribers:
            if not subscriber.loop.is_closed():
                subscriber.loop.call_soon_threadsafe(subscriber.tell, topic)

    async def subscribe(self) -> AsyncIterator[str]:
        """Topics as they change, each at most once a second. Raises Transient where too many listen."""
        subscriber = _Subscriber(asyncio.get_running_loop())
        with self._lock:
            if len(self._subscribers) >= MAX_SUBSCRIBERS:
                raise Transient(f"{MAX_SUBSCRIBERS} pages are open already")
            self._subscribers.add(subscriber)
        try:
            while True:
                await subscriber.wake.wait()
                subscriber.wake.clear()
                topics, subscriber.topics = subscriber.topics, set()
                for topic in sorted(topics):
                    yield topic
                await self._clock.sleep(PAUSE_SECONDS)
        finally:
            with self._lock:
                self._subscribers.discard(subscriber)

    @property
    def subscribers(self) -> int:
        return len(self._subscribers)
