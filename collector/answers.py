"""Questions to the store from pages and the API, so that no one waits long and no one asks twice.

The store blocks; questions run in a few threads of their own. A question of a page is remembered by its key: those
who ask the same at the same time share one answer, a fresh answer is given at once, and where the store needs longer
than ``wait_s`` the page is told ``PENDING`` (or gets the older answer) while the question goes on; the page asks
again shortly. So a page takes at most its own ``wait_s``, whatever the store holds.
"""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import msgspec

from telemetry.clock import Clock
from telemetry.errors import Permanent, TengwangError, Transient

T = TypeVar("T")
THREADS = 4
WAITING = 64
REMEMBERED = 512


class Answer(msgspec.Struct, Generic[T], frozen=True):
    """``value`` is None while pending or after an error; ``as_of_ms`` is when the value was asked for."""

    value: T | None
    as_of_ms: int = 0
    pending: bool = False
    error: str = ""

    @property
    def known(self) -> bool:
        return self.value is not None


class Answers:
    """Asks the store in worker threads; bounded in threads, in waiting questions and in remembered answers."""

    def __init__(self, clock: Clock, threads: int = THREADS) -> None:
        self._clock = clock
        self._pool = concurrent.futures.ThreadPoolExecutor(threads, "ask")
        self._running: dict[Hashable, asyncio.Future[object]] = {}
        self._held: collections.OrderedDict[Hashable, tuple[int, object]] = collections.OrderedDict()

    async def ask(self, question: Callable[[], T], timeout_s: float = 10.0) -> T:
        """Ask once, remember nothing. Raises what the question raises; Transient when it takes too long."""
        if len(self._running) >= WAITING:
            raise Transient("too many questions are waiting for the store; try again shortly")
        future = asyncio.get_running_loop().run_in_executor(self._pool, question)
        key = id(future)
        self._running[key] = future  # type: ignore[assignment]
        future.add_done_callback(lambda _: self._running.pop(key, None))
        try:
            return await asyncio.wait_for(asyncio.shield(future), timeout_s)
        except TimeoutError as error:
            future.add_done_callback(_swallow)
            raise Transient(f"the store did not answer within {timeout_s:g} s") from error

    async def panel(
        self, key: Hashable, question: Callable[[], T], wait_s: float = 0.6, fresh_s: float = 2.0
    ) -> Answer[T]:
        """The answer for a part of a page; never raises for what the store does."""
        now = self._clock.now_ms()
        held = self._held.get(key)
        if held is not None and 0 <= now - held[0] < fresh_s * 1000:
            self._held.move_to_end(key)
            return Answer(held[1], held[0])  # type: ignore[arg-type]
        future = self._running.get(key)
        if future is None:
            if len(self._running) >= WAITING:
                return Answer(held[1] if held else None, held[0] if held else 0, pending=True)  # type: ignore[arg-type]
            future = asyncio.get_running_loop().run_in_executor(self._pool, question)
            self._running[key] = future
            future.add_done_callback(lambda done: self._finish(key, now, done))
        try:
            value = await asyncio.wait_for(asyncio.shield(future), wait_s)
        except TimeoutError:
            return Answer(held[1] if held else None, held[0] if held else 0, pending=True)  # type: ignore[arg-type]
        except (TengwangError, ValueError) as error:
            why = error.detail if isinstance(error, Permanent) and error.detail else str(error)
            return Answer(held[1] if held else None, held[0] if held else 0, error=why)  # type: ignore[arg-type]
        return Answer(value, now)  # type: ignore[arg-type]

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _finish(self, key: Hashable, asked_ms: int, done: asyncio.Future[object]) -> None:
        self._running.pop(key, None)
        if done.cancelled() or done.exception() is not None:
            return
        self._held[key] = (asked_ms, done.result())
        self._held.move_to_end(key)
        if len(self._held) > REMEMBERED:
            self._held.popitem(last=False)


def _swallow(done: asyncio.Future[T]) -> None:
    """Someone stopped waiting; an error of the question then has nobody to go to."""
    if not done.cancelled():
        done.exception()
