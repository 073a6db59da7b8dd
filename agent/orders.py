"""Carries out the collector's orders: verified, held against the local policy, counted, and undone at their end.

In a thread of its own, for setting rules blocks. The way of an order:

    signature -> seen before? -> in time? -> policy -> written down -> rules set -> told, again and again with counters
    -> undone at its end, when it is withdrawn, when the agent stops -> looked after -> told

Three things end a block when nobody can: the kernel ends it at its time (agent/nft.py); a run that finds what an
earlier one left undoes it where no collector confirms it within CONFIRM_S; and rules that no order here explains are
taken away at the start. What is told are events of the dataset ``tengwang.response``.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from agent import order_events
from agent.action import Action
from agent.fence import Effect, Fence
from agent.order_memory import Held, Memory
from agent.order_policy import Actions, Own, check
from agent.stand import Stand
from telemetry.clock import Clock
from telemetry.errors import Permanent, Transient
from telemetry.event import Event
from telemetry.order import CONTAINING, Order, Phase, SignedOrder, SignedOrders
from telemetry.report import Report

TICK_S = 1.0
CONFIRM_S = 120.0
READY_S = 300.0
OFTEN_S = 120.0
"""How long a new action is told as often as ``report_seconds`` says; then it is told every RARELY_S."""
RARELY_S = 20.0
RETRY_S = 2.0
MAX_HANDLED = 4096
MAX_RECHECKS = 4


class Due(msgspec.Struct):
    """When something is to be done about a held order, by the monotonic clock."""

    ends: float
    began: float
    report_at: float
    confirmed: bool = True
    reason: str = ""
    """Why it is being undone; empty while it holds."""
    told_failure: bool = False


class Orders:
    """``take`` from any thread; everything else happens in the thread ``orders``, or by ``step`` in a test."""

    def __init__(
        self,
        path: Path,
        policy: Actions,
        agent: str,
        actions: Mapping[str, Action],
        fence: Fence,
        verify: Callable[[SignedOrder], Order],
        own: Callable[[], Own],
        stand: Callable[[], Stand],
        ready: Callable[[], None],
        clock: Clock,
        report: Report,
        emit: Callable[[Event], None],
    ) -> None:
        """``verify`` raises Permanent for what the collector's authority did not sign; ``ready`` where nft can not."""
        self._policy, self._agent, self._actions, self._fence = policy, agent, actions, fence
        self._verify, self._own, self._stand, self._ready = verify, own, stand, ready
        self._clock, self._report, self._emit = clock, report, emit
        self._memory = Memory(path, report)
        self._due: dict[str, Due] = {}
        self._waiting: OrderedDict[str, tuple[SignedOrder, Order | None, float]] = OrderedDict()
        self._handled: OrderedDict[str, None] = OrderedDict()
        self._rechecks: list[threading.Thread] = []
        self._listed: frozenset[str] | None = None
        self._given: SignedOrders | None = None
        self._started = clock.monotonic()
        self._ready_at = float("-inf")
        self._told_ready: tuple[object, ...] = ()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="orders", daemon=True)

    def take(self, given: SignedOrders) -> None:
        """What the collector has for this agent now. Never blocks."""
        with self._lock:
            self._given = given
        self._wake.set()

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float = 20.0) -> None:
        """Undo everything, and end."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        self.recover()
        while not self._stopping.is_set():
            self.step()
            self._wake.wait(TICK_S)
            self._wake.clear()
        self.undo_all("agent_stopped")

    def step(self) -> None:
        """One round. Never raises."""
        try:
            with self._lock:
                given, self._given = self._given, None
            if given is not None:
                self._listed = frozenset(self._enqueue(given))
            self._carry_out()
            for order_id in list(self._memory.held):
                self._tend(order_id)
            self._tell_ready()
        except Exception as error:  # noqa: BLE001 - this thread must outlive any fault, or nothing is undone any more
            self._report.error("orders", f"{type(error).__name__}: {error}")

    def recover(self) -> None:
        """Look after what an earlier run left: known orders wait to be confirmed, other rules go. Never raises."""
        now, mono = self._clock.now_ms(), self._clock.monotonic()
        for order_id, held in self._memory.held.items():
            left = max(0.0, (held.order.until_ms - now) / 1000)
            reason = "" if held.applied_ms else "not_finished"
            if held.order.action not in self._policy.allow:
                reason = "not_allowed"
            self._due[order_id] = Due(ends=mono + left, began=mono, report_at=mono, confirmed=False, reason=reason)
        if not self._memory.held and not self._may_contain():
            return
        try:
            for order_id in self._fence.orders() - self._memory.held.keys():
                self._fence.take_away(order_id)
                self._report.warn("orders", f"rules of the unknown order {order_id} were there, and are taken away")
        except (Permanent, Transient) as error:
            self._report.warn("orders", f"rules of earlier runs can not be looked for: {error}")

    def undo_all(self, reason: str) -> None:
        for order_id in list(self._memory.held):
            self._undo(order_id, reason)
        self._report.gauge("tengwang_agent_orders_active", len(self._memory.held))

    def active(self) -> int:
        return len(self._memory.held)

    def _enqueue(self, given: SignedOrders) -> list[str]:
        """Verify what is new; ids of all that are listed and not withdrawn."""
        listed = []
        for signed in given.orders:
            digest = digest_of(signed)
            try:
                order = self._verify(signed)
            except Permanent as error:
                if digest not in self._handled:
                    self._handle(digest)
                    self._refuse(None, error)
                continue
            if order.agent == self._agent and not order.withdraw:
                listed.append(order.id)
            if digest not in self._handled and digest not in self._waiting:
                self._waiting[digest] = (signed, order, 0.0)
        return listed

    def _carry_out(self) -> None:
        now = self._clock.monotonic()
        for digest, (signed, order, not_before) in list(self._waiting.items()):
            if order is None or now < not_before:
                continue
            try:
                self._begin(order, digest)
            except Transient as error:
                self._report.warn("orders", f"order {order.id}: {error}; tried again")
                if self._clock.now_ms() <= order.not_after_ms or order.withdraw:
                    self._waiting[digest] = (signed, order, now + RETRY_S)
                    continue
                self._give_up(order, "not_in_time", str(error))
            except Permanent as error:
                self._refuse(order, error)
            except Exception as error:  # noqa: BLE001 - one order must not keep the others from being carried out
                self._give_up(order, "internal", f"{type(error).__name__}: {error}")
                self._report.error("orders", f"order {order.id}: {type(error).__name__}: {error}")
            del self._waiting[digest]
            self._handle(digest)

    def _handle(self, digest: str) -> None:
        self._handled[digest] = None
        while len(self._handled) > MAX_HANDLED:
            self._handled.popitem(last=False)

    def _begin(self, order: Order, digest: str) -> None:
        """Raises Permanent (refused), Transient (tried again while it is valid)."""
        now = self._clock.now_ms()
        if order.agent != self._agent:
            raise Permanent("other_agent", f"it is meant for agent {order.agent[:40]!r}")
        seen = self._memory.seen(order.id)
        begun = order.id in self._memory.held and order.id not in self._due
        if seen is not None and order.serial <= seen.serial and not (begun and digest == seen.digest):
            if digest != seen.digest:
                raise Permanent("replayed", f"order {order.id} was superseded by number {seen.serial}")
            if order.id in self._due and not order.withdraw:
                self._due[order.id].confirmed = True
            if order.id not in self._memory.held or not order.withdraw:
                return  # a repeat of what was carried out, or is over
        if order.withdraw:
            self._memory.note(order, digest, now)
            self._withdraw(order)
            return
        if now > order.not_after_ms and begun:
            self._give_up(order, "not_in_time", "it could not be carried out in time")
            return
        if now > order.not_after_ms:
            self._memory.note(order, digest, now)
            self._tell(order, Phase.EXPIRED, reason="too_late", message="it came too late and is not carried out")
            return
        if not begun:
            check(order, self._agent, self._policy, self._own, len(self._memory.held), now)
        self._rechecks = [thread for thread in self._rechecks if thread.is_alive()]
        if order.action not in CONTAINING and len(self._rechecks) >= MAX_RECHECKS:
            raise Transient(f"{MAX_RECHECKS} measurements are being made")
        action = self._actions[order.action]
        self._memory.note(order, digest, now)
        if order.action in CONTAINING:
            self._contain(order, action, now)
        else:
            self._recheck(order, action)

    def _recheck(self, order: Order, action: Action) -> None:
        """In a thread of its own: a check takes seconds, and what is in force must be undone in time."""

        def measure() -> None:
            try:
                effect = action.act(order)
            except (Permanent, Transient) as error:
                reason = error.reason if isinstance(error, Permanent) else "not_in_time"
                self._tell(order, Phase.FAILED, reason=reason, message=str(error))
            except Exception as error:  # noqa: BLE001 - a check may do anything; the agent goes on
                self._tell(order, Phase.FAILED, reason="internal", message=f"{type(error).__name__}: {error}")
            else:
                self._tell(order, Phase.APPLIED, effect, reason="measured", message=effect.detail)

        thread = threading.Thread(target=measure, name="recheck", daemon=True)
        self._rechecks.append(thread)
        thread.start()

    def _contain(self, order: Order, action: Action, now: int) -> None:
        """Raises Transient; what was begun is then begun again, or given up."""
        self._memory.hold(Held(order))
        try:
            effect = action.act(order)
        except Permanent as error:
            self._give_up(order, error.reason, error.detail)
            return
        mono = self._clock.monotonic()
        ends = mono + min(order.until_ms - now, order.until_ms - order.issued_ms) / 1000
        self._due[order.id] = Due(ends=ends, began=mono, report_at=mono + self._policy.report_seconds)
        self._memory.hold(Held(order, self._clock.now_ms()))
        self._tell(order, Phase.APPLIED, effect)

    def _give_up(self, order: Order, reason: str, message: str) -> None:
        """It can not be done here; half of it may be there."""
        self._memory.drop(order.id)
        self._due.pop(order.id, None)
        self._clear(order)
        self._tell(order, Phase.FAILED, reason=reason, message=message)

    def _withdraw(self, order: Order) -> None:
        if order.id in self._memory.held:
            self._undo(order.id, "withdrawn")
            return
        self._tell(order, Phase.UNDONE, outcome="success", reason="withdrawn", message="it was not in force")

    def _tend(self, order_id: str) -> None:
        """What time brings to one order in force."""
        due, held = self._due.get(order_id), self._memory.held[order_id]
        now = self._clock.monotonic()
        if due is None:
            return  # tried again, see _carry_out
        if due.reason:
            if now >= due.report_at:
                self._undo(order_id, due.reason)
            return
        if now >= due.ends or self._clock.now_ms() >= held.order.until_ms:
            self._undo(order_id, "ended")
        elif not due.confirmed and self._listed is not None and order_id not in self._listed:
            self._undo(order_id, "not_confirmed")
        elif not due.confirmed and self._listed is None and now - self._started > CONFIRM_S:
            self._undo(order_id, "no_collector")
        elif now >= due.report_at:
            due.confirmed = due.confirmed or (self._listed is not None and order_id in self._listed)
            self._count(held, due, now)

    def _count(self, held: Held, due: Due, now: float) -> None:
        order = held.order
        often = now - due.began < OFTEN_S
        due.report_at = now + (self._policy.report_seconds if often else max(RARELY_S, self._policy.report_seconds))
        try:
            effect = self._actions[order.action].measure(order)
        except Transient as error:
            self._report.warn("orders", f"order {order.id} can not be counted: {error}")
        except Permanent as error:
            if error.reason == "not_there":
                self._give_up(order, "not_there", "somebody took its rules away")
            else:
                self._report.warn("orders", f"order {order.id} can not be counted: {error}")
        else:
            self._tell(order, Phase.APPLIED, effect)

    def _clear(self, order: Order) -> None:
        """Half of it may be left."""
        try:
            self._actions[order.action].undo(order)
        except (Permanent, Transient) as error:
            self._report.warn("orders", f"order {order.id}: {error}")

    def _undo(self, order_id: str, reason: str) -> None:
        """Take the rules away, and look whether they are gone. What can not be undone is tried again."""
        held = self._memory.held[order_id]
        order, action = held.order, self._actions[held.order.action]
        effect = Effect()
        with contextlib.suppress(Permanent, Transient):  # the kernel may have ended it
            effect = action.measure(order)
        left = ""
        try:
            action.undo(order)
            action.measure(order)
            left = "its rules are still there"
        except Permanent as error:
            left = "" if error.reason == "not_there" else str(error)
        except Transient as error:
            left = str(error)
        mono = self._clock.monotonic()
        due = self._due.setdefault(order_id, Due(ends=mono, began=mono, report_at=mono))
        due.reason = reason
        if left:
            due.report_at = mono + self._policy.report_seconds
            if not due.told_failure:
                due.told_failure = True
                self._tell(order, Phase.UNDONE, effect, outcome="failure", reason=reason, message=left)
            return
        self._memory.drop(order_id)
        del self._due[order_id]
        self._tell(order, Phase.UNDONE, effect, outcome="success", reason=reason, message="its rules are gone")

    def _refuse(self, order: Order | None, error: Permanent) -> None:
        self._report.count("tengwang_agent_orders_refused_total", reason=error.reason)
        self._report.warn("orders", f"refused{f' {order.id}' if order else ''}: {error}")
        if order is None:
            self._emit(order_events.unknown(self._clock.now_ms(), error))
            return
        self._tell(order, Phase.REFUSED, reason=error.reason, message=error.detail)

    def _tell(
        self,
        order: Order,
        phase: Phase,
        effect: Effect | None = None,
        *,
        outcome: str = "",
        reason: str = "",
        message: str = "",
    ) -> None:
        made = order_events.told(order, phase, self._clock.now_ms(), effect, outcome, reason, message)
        self._emit(made)
        self._report.count("tengwang_agent_orders_total", action=order.action.value, phase=phase.value)
        self._report.gauge("tengwang_agent_orders_active", len(self._memory.held))

    def _may_contain(self) -> bool:
        return not CONTAINING.isdisjoint(self._policy.allow)

    def _tell_ready(self) -> None:
        """What this agent may do and how far it reaches: at the start, every few minutes, and when it changes."""
        now = self._clock.monotonic()
        if now < self._ready_at:
            return
        self._ready_at = now + READY_S / 10
        allowed, why = tuple(action.value for action in self._policy.allow), ""
        if self._may_contain():
            try:
                self._ready()
            except (Permanent, Transient) as error:
                allowed, why = tuple(a for a in allowed if a not in CONTAINING), str(error)
        scope = self._stand().scope.value
        state = (allowed, scope, why, int((now - self._started) // READY_S))
        if state == self._told_ready:
            return
        self._told_ready = state
        self._emit(order_events.ready(self._clock.now_ms(), allowed, scope, why))


def digest_of(signed: SignedOrder) -> str:
    """Two orders with the same number and other words are not one. ECDSA signs each time anew: the words count."""
    return hashlib.sha256(signed.payload.encode()).hexdigest()
