"""Make one readiness check now, because an order asks for it. Its verdict is an event with the order's id.

A check that judges what was heard within some time is made to judge only the last seconds, for what is asked is how
things are since something was done about them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from agent.config import InputSettings
from agent.home import Home
from agent.input import Context
from telemetry import component
from telemetry.clock import Clock
from telemetry.errors import ConfigError, MissingExtra, Permanent
from telemetry.event import Event
from telemetry.order import Order
from telemetry.report import Report
from telemetry.work import Work

WITHIN_S = 10
MAX_S = 60.0


class Remeasure:
    """``__call__`` blocks until the check is made."""

    def __init__(
        self, inputs: Sequence[InputSettings], home: Home, clock: Clock, report: Report, emit: Callable[[Event], None],
        work: Callable[[], Work],
    ) -> None:  # fmt: skip
        self._inputs, self._home, self._clock, self._report = inputs, home, clock, report
        self._emit, self._work = emit, work

    def __call__(self, order: Order) -> str:
        """What was found, in a line. Raises Permanent: unknown_check, no_subject, too_slow."""
        from agent.inputs import readiness

        try:
            module = component.load(readiness.PACKAGE, order.check, "recheck")
        except (ConfigError, MissingExtra) as error:
            raise Permanent("unknown_check", f"this agent has no check {order.check!r}") from error
        given = next((i.options for i in self._inputs if i.type == "readiness"), readiness.Config())
        options: dict[str, Any] = dict(given.options.get(order.check, {}))
        if any(field.name == "within" for field in msgspec.structs.fields(module.Config)):
            options["within"] = WITHIN_S
        config = msgspec.structs.replace(given, checks=(order.check,), options={order.check: options})
        found: list[Event] = []
        context = Context(
            clock=self._clock,
            report=self._report,
            emit=found.append,
            work=lambda: narrowed(self._work(), order.subject),
            state=self._home.state,
        )
        try:
            asyncio.run(asyncio.wait_for(readiness.build(config, context).collect(), MAX_S))
        except TimeoutError as error:
            raise Permanent("too_slow", f"not done in {MAX_S:.0f} s") from error
        except ConfigError as error:
            raise Permanent("unknown_check", str(error)) from error
        told = [made for made in found if not order.subject or made.get("tengwang.check.subject") == order.subject]
        for made in told:
            self._emit({**made, "tengwang.order.id": order.id})
        if not told:
            raise Permanent("no_subject", f"nothing here is called {order.subject!r} that {order.check} is about")
        return ", ".join(f"{made['tengwang.check.subject']}: {made['tengwang.check.status']}" for made in told)[:400]


def narrowed(work: Work, subject: str) -> Work:
    """Only what the order is about, so that nothing else is measured; all of it where it names nothing."""
    if not subject:
        return work
    return msgspec.structs.replace(
        work,
        snmp=tuple(target for target in work.snmp if target.device == subject),
        systems=tuple(
            msgspec.structs.replace(system, domains=tuple(d for d in system.domains if d == subject))
            for system in work.systems
            if subject in system.domains
        ),
    )
