"""What an input lost before it could become an event: counted, and told as an event of its own."""

from __future__ import annotations

from agent.input import Context
from telemetry.event import event

TELL_S = 10.0


class Losses:
    """One input's tally. An event ``input-lost`` of ``tengwang.agent`` at most every TELL_S seconds."""

    def __init__(self, input: str, context: Context) -> None:
        self._input = input
        self._context = context
        self._held = 0
        self._told_at = float("-inf")

    def note(self, lost: int) -> None:
        if lost:
            self._held += lost
            self._context.report.count("tengwang_input_lost_total", lost, input=self._input)

    def tell(self, at_once: bool = False) -> None:
        """Emit what was noted, if there is something and it is time."""
        now = self._context.clock.monotonic()
        if not self._held or (now - self._told_at < TELL_S and not at_once):
            return
        self._told_at, lost, self._held = now, self._held, 0
        made = event(self._context.clock.now_ms(), "tengwang.agent", "input-lost", kind="metric")
        made["tengwang.input.type"], made["tengwang.input.lost"] = self._input, lost
        self._context.emit(made)
