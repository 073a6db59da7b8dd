"""Puts together the part of the agent that carries out orders, from its configuration and identity."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from agent import order_policy, stand
from agent.action import Action, ActionContext
from agent.config import InputSettings
from agent.fence import Fence
from agent.home import Home
from agent.identity import CA
from agent.nft import Nft
from agent.order_evidence import TakeOut
from agent.orders import Orders
from agent.remeasure import Remeasure
from telemetry import component
from telemetry.clock import Clock
from telemetry.event import Event
from telemetry.order import Action as Kind
from telemetry.order import Order, SignedOrder
from telemetry.report import Report
from telemetry.work import Work

PACKAGE = "agent.actions"


def build(
    home: Home,
    policy: order_policy.Actions,
    agent: str,
    inputs: Sequence[InputSettings],
    collectors: Iterable[str],
    clock: Clock,
    report: Report,
    emit: Callable[[Event], None],
    work: Callable[[], Work],
    tables: Nft | None = None,
) -> Orders:
    """``tables`` is replaced in a test."""
    tables = tables or Nft()
    look = partial(stand.look, only=policy.interfaces)
    fence = Fence(tables, look, clock.now_ms, named=bool(policy.interfaces))
    context = ActionContext(fence, Remeasure(inputs, home, clock, report, emit, work), TakeOut(home, clock, emit))
    urls = tuple(collectors)

    def verify(signed: SignedOrder) -> Order:
        from agent import order_signature

        return order_signature.verify(signed, (home.identity / CA).read_bytes())

    return Orders(
        home.orders,
        policy,
        agent,
        actions(context),
        fence,
        verify,
        lambda: order_policy.own(urls, work()),
        look,
        tables.probe,
        clock,
        report,
        emit,
    )


def actions(context: ActionContext) -> dict[str, Action]:
    """Every action by name; what is not allowed is never asked."""
    made: dict[str, Action] = {}
    for kind in Kind:
        module = component.load(PACKAGE, kind.value)
        made[kind.value] = module.build(module.Config(), context)
    return made
