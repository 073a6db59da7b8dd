"""Repeated and flooding messages to a bounded stream: identical ones folded, new ones limited a kind.

The first of its like is told at once and starts a window; those that follow within it are counted, and told as one when
it ends. Each kind has its own allowance (a token bucket), so a flood of one kind can not hide another kind. More than
the allowance is dropped and counted by the caller. Memory is bounded by allowance times window, and by ``most``.
"""

from __future__ import annotations

import enum
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

What = TypeVar("What")


class Answer(enum.Enum):
    TELL = "tell"
    FOLD = "fold"
    DROP = "drop"


class Window(Generic[What]):
    """One told message and how often it was seen again: first and last time in milliseconds."""

    __slots__ = ("again", "first_ms", "last_ms", "until", "what")

    def __init__(self, what: What, until: float, now_ms: int) -> None:
        self.what = what
        self.until = until
        self.again = 0
        self.first_ms = self.last_ms = now_ms


class Folding(Generic[What]):
    """``ask`` about a message; if the answer is TELL, ``start`` its window; collect ``ended`` windows each tick."""

    def __init__(self, window_s: float, rate: float, burst: int, most: int) -> None:
        self._window_s = window_s
        self._rate, self._burst, self._most = rate, burst, most
        self._windows: dict[Hashable, Window[What]] = {}
        self._tokens: dict[str, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._windows)

    def ask(self, key: Hashable, kind: str, now: float, now_ms: int) -> tuple[Answer, What | None]:
        """What to do with one message, and with FOLD what was given to ``start``. ``kind`` is of a small fixed set."""
        held = self._windows.get(key)
        if held is not None:
            if not held.again:
                held.first_ms = now_ms
            held.again += 1
            held.last_ms = now_ms
            return Answer.FOLD, held.what
        tokens, at = self._tokens.get(kind, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - at) * self._rate)
        allowed = tokens >= 1 and len(self._windows) < self._most
        self._tokens[kind] = (tokens - 1 if allowed else tokens, now)
        return (Answer.TELL if allowed else Answer.DROP), None

    def start(self, key: Hashable, what: What, now: float, now_ms: int) -> None:
        self._windows[key] = Window(what, now + self._window_s, now_ms)

    def ended(self, now: float) -> Iterator[Window[What]]:
        """Windows that are over and saw their message again; they are forgotten."""
        # windows have one length, so they end in the order they began
        while self._windows:
            key, window = next(iter(self._windows.items()))
            if window.until > now:
                return
            del self._windows[key]
            if window.again:
                yield window

    def flush(self) -> Iterator[Window[What]]:
        """End all windows now."""
        yield from self.ended(float("inf"))
