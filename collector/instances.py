"""Notice a cloned disk: one agent id, two programs that run at once.

Every run of an agent names itself by a random ``instance``. A restart goes from A to B and never back. Two clones
alternate: A, B, A, B. One return may be an old request that was read late, so it takes ``RETURNS`` of them within
``WINDOW_S``. Then **both** are refused, for nobody here can tell which one is real, and each would use up the other's
sequence numbers. It ends when the real host is enrolled again (which revokes the certificate that the clone holds),
or when only one of them has tried for ``WINDOW_S``.
"""

from __future__ import annotations

import threading

from telemetry.clock import Clock

WINDOW_S = 600.0
RETURNS = 2
MAX_INSTANCES = 16


class _Seen:
    __slots__ = ("cloned", "last", "present", "returns")

    def __init__(self) -> None:
        self.present = ""
        self.last: dict[str, float] = {}
        self.returns: list[float] = []
        self.cloned = False


class Instances:
    """Thread-safe; bounded by the number of enrolled agents and ``MAX_INSTANCES`` each."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._agents: dict[str, _Seen] = {}

    def cloned(self, agent: str, instance: str) -> bool:
        """Note that this instance speaks for this agent. True where another one does so too."""
        if not instance:
            return False
        now = self._clock.monotonic()
        with self._lock:
            seen = self._agents.setdefault(agent, _Seen())
            for old in [name for name, at in seen.last.items() if now - at > WINDOW_S]:
                del seen.last[old]
            seen.returns = [at for at in seen.returns if now - at <= WINDOW_S]
            if seen.present and instance != seen.present and instance in seen.last:
                seen.returns.append(now)
            seen.present = instance
            seen.last[instance] = now
            if len(seen.last) > MAX_INSTANCES:
                del seen.last[min(seen.last, key=lambda name: seen.last[name])]
            if len(seen.returns) >= RETURNS:
                seen.cloned = True
            elif len(seen.last) < 2:
                seen.cloned = False
            return seen.cloned

    def conflict(self, agent: str) -> bool:
        """Are two instances of this agent at odds now?"""
        with self._lock:
            seen = self._agents.get(agent)
            return seen is not None and seen.cloned

    def forget(self, agent: str) -> None:
        """The host was enrolled again: what was seen before says nothing."""
        with self._lock:
            self._agents.pop(agent, None)
