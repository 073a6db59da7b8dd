"""What was seen on the agent's own segments: the router advertisements of late, for whoever judges them.

Filled by the ndp input, read by checks; neither knows the other. Bounded: one entry for each source, link-layer source
and set of prefixes, the longest unseen goes first.
"""

from __future__ import annotations

import threading

from telemetry.event import TIMESTAMP, Event

MAX_ADVERTISEMENTS = 256


class SegmentView:
    """Thread-safe. ``listening_since_ms`` is None while nobody listens: then nothing seen means nothing known."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, ...], Event] = {}
        self.listening_since_ms: int | None = None
        self.interfaces: tuple[str, ...] = ()

    def listening(self, since_ms: int | None, interfaces: tuple[str, ...]) -> None:
        """Called by the listener when it starts, when its interfaces change, and with None when it stops."""
        self.listening_since_ms, self.interfaces = since_ms, interfaces

    def record(self, event: Event) -> None:
        """One advertisement; another of the same source and prefixes takes its place."""
        prefixes = event.get("tengwang.ndp.prefixes", [])
        key = (
            str(event.get("tengwang.interface.name", "")),
            str(event.get("source.ip", "")),
            str(event.get("source.mac", "")),
            *(map(str, prefixes) if isinstance(prefixes, list) else ()),
        )
        with self._lock:
            self._seen.pop(key, None)
            if len(self._seen) >= MAX_ADVERTISEMENTS:
                del self._seen[next(iter(self._seen))]
            self._seen[key] = dict(event)

    def advertisements(self, now_ms: int, within_s: float) -> list[Event]:
        """Those last seen within so many seconds before ``now_ms``, oldest first."""
        since = now_ms - int(within_s * 1000)
        with self._lock:
            return [dict(event) for event in self._seen.values() if int(str(event[TIMESTAMP])) >= since]


_VIEW = SegmentView()


def view() -> SegmentView:
    """This process's view."""
    return _VIEW
