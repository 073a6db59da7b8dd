"""Orders on their way through the agent, with real rules on a real bridge and a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent import order_signature
from agent.action import ActionContext
from agent.fence import Fence
from agent.nft import Nft
from agent.order_policy import Actions, Own
from agent.orders import CONFIRM_S, RARELY_S, Orders
from agent.responder import actions
from telemetry.clock import ManualClock
from telemetry.errors import Permanent, Transient
from telemetry.event import Event
from telemetry.order import Action, Order, Phase, SignedOrder, SignedOrders
from telemetry.report import Report
from telemetry.validate import validate
from tests.agent.actions.lan import MAC, SWITCH, Lan, address, lan, now_ms
from tests.agent.order_signing import given, signed
from tests.agent.tls_site import Authority

pytestmark = pytest.mark.needs("root", "iproute2", "nftables")
AUTHORITY = Authority()
MINUTE = 60_000


@pytest.fixture(scope="module")
def segment() -> Iterator[Lan]:
    with lan() as made:
        yield made


class Desk:
    """One agent's orders, run by run, and what it told."""

    def __init__(self, folder: Path, tables: Nft, policy: Actions | None = None) -> None:
        self.folder, self.tables = folder, tables
        self.policy = policy or Actions(allow=tuple(Action), max_active=3)
        self.clock = ManualClock(now_ms())
        self.told: list[Event] = []
        self.measured: list[Order] = []
        self.fence = Fence(tables, lambda: SWITCH, self.clock.now_ms)
        self.orders = self.run()

    def run(self) -> Orders:
        """A new run of the program on the same disk."""
        context = ActionContext(self.fence, self._remeasure)
        return Orders(
            self.folder / "orders.json",
            self.policy,
            "a1",
            actions(context),
            self.fence,
            lambda one: order_signature.verify(one, AUTHORITY.pem.encode()),
            lambda: Own({}, {MAC["router"]: "router r"}),
            lambda: SWITCH,
            self.tables.probe,
            self.clock,
            Report(self.clock),
            self.emit,
        )

    def emit(self, made: Event) -> None:
        self.told.append(validate(made))

    def _remeasure(self, order: Order) -> str:
        self.measured.append(order)
        return "bureau: pass"

    def order(self, **changes: Any) -> Order:
        now = self.clock.now_ms()
        made: dict[str, Any] = {
            "id": "00000000000000000001", "agent": "a1", "action": Action.BLOCK_SOURCE, "mac": MAC["intruder"],
            "issued_ms": now, "not_after_ms": now + MINUTE, "until_ms": now + 30 * MINUTE, "serial": 1,
            "incident": "i1",
        }  # fmt: skip
        return Order(**(made | changes))

    def give(self, *orders: Order | SignedOrder) -> None:
        made = [o if isinstance(o, SignedOrder) else signed(AUTHORITY, o) for o in orders]
        self.orders.take(given(*made))
        self.orders.step()

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.orders.step()

    def phases(self) -> list[tuple[str, str]]:
        return [
            (str(e["tengwang.order.state"]), str(e.get("event.reason", "")))
            for e in self.told
            if "tengwang.order.state" in e
        ]

    def last(self) -> Event:
        return [e for e in self.told if "tengwang.order.state" in e][-1]

    def in_force(self) -> set[str]:
        return self.fence.orders()


@pytest.fixture
def desk(tmp_path: Path, segment: Lan) -> Iterator[Desk]:
    made = Desk(tmp_path, segment.nft("switch"))
    yield made
    for order_id in made.in_force():
        made.fence.take_away(order_id)


def test_an_order_is_carried_out_counted_and_undone_at_its_end(desk: Desk, segment: Lan) -> None:
    order = desk.order()
    desk.give(order)
    assert desk.phases() == [("applied", "")]
    assert not segment.reaches("intruder", address("victim"))
    desk.wait(5)
    counted = desk.last()
    assert int(str(counted["tengwang.order.packets"])) > 0
    assert counted["tengwang.order.target"] == MAC["intruder"]
    assert (counted["tengwang.order.scope"], counted["tengwang.incident.id"]) == ("segment", "i1")
    desk.wait(30 * 60)
    assert desk.phases()[-1] == ("undone", "ended")
    assert desk.last()["event.outcome"] == "success"
    assert desk.in_force() == set()
    assert segment.reaches("intruder", address("victim"))
    assert desk.orders.active() == 0


def test_a_repeat_changes_nothing_and_is_not_told(desk: Desk) -> None:
    order = desk.order()
    desk.give(order)
    for _ in range(3):
        desk.give(order)  # ECDSA signs each of them anew
    assert desk.phases() == [("applied", "")]


def test_counters_are_told_often_at_first_and_then_rarely(desk: Desk) -> None:
    desk.give(desk.order())
    for _ in range(130):
        desk.wait(1)
    often = len(desk.told)
    for _ in range(100):
        desk.wait(1)
    assert often >= 20
    assert len(desk.told) - often <= 100 / RARELY_S + 1


@pytest.mark.parametrize(
    ("changes", "phase", "reason"),
    [
        ({"agent": "a2"}, "refused", "other_agent"),
        ({"mac": MAC["router"]}, "refused", "never"),
        ({"mac": "", "address": "ff02::1"}, "refused", "bad_target"),
        ({"not_after_ms": 1}, "expired", "too_late"),
        ({"until_ms": 2**53}, "refused", "too_long"),
    ],
)
def test_what_is_not_carried_out_is_told_with_why(desk: Desk, changes: dict[str, Any], phase: str, reason: str) -> None:
    desk.give(desk.order(**changes))
    desk.give(desk.order(**changes))
    assert desk.phases() == [(phase, reason)]
    assert desk.in_force() == set()


def test_a_forged_order_is_refused_and_told_once(desk: Desk) -> None:
    forged = signed(Authority("another"), desk.order())
    for _ in range(3):
        desk.give(forged)
    assert desk.phases() == [("refused", "forged")]
    assert desk.in_force() == set()


def test_a_replay_after_the_end_does_nothing_also_in_a_later_run(desk: Desk) -> None:
    order = desk.order()
    desk.give(order)
    desk.give(signed(AUTHORITY, order, withdraw=True, serial=2))
    assert desk.phases()[-1] == ("undone", "withdrawn")
    desk.orders = desk.run()
    desk.orders.recover()
    before = len(desk.phases())
    desk.give(order)
    assert desk.in_force() == set()
    assert desk.phases()[before:] == [("refused", "replayed")]


def test_an_order_with_the_same_number_and_other_words_is_refused(desk: Desk) -> None:
    order = desk.order()
    desk.give(order)
    desk.give(signed(AUTHORITY, order, mac=MAC["victim"]))
    assert desk.phases() == [("applied", ""), ("refused", "replayed")]


def test_a_withdrawal_undoes_at_once_and_twice_is_once(desk: Desk, segment: Lan) -> None:
    order = desk.order()
    desk.give(order)
    undo = signed(AUTHORITY, order, withdraw=True, serial=2)
    desk.give(undo)
    desk.give(undo)
    assert desk.phases() == [("applied", ""), ("undone", "withdrawn")]
    assert segment.reaches("intruder", address("victim"))


def test_a_withdrawal_that_comes_first_leaves_nothing_to_do(desk: Desk) -> None:
    order = desk.order()
    desk.give(signed(AUTHORITY, order, withdraw=True, serial=2))
    desk.give(order)
    assert desk.phases() == [("undone", "withdrawn"), ("refused", "replayed")]
    assert desk.in_force() == set()


def test_rules_that_somebody_took_away_are_told(desk: Desk, segment: Lan) -> None:
    desk.give(desk.order())
    segment.run("switch", "nft", "delete", "table", "bridge", "tengwang")
    desk.wait(5)
    assert desk.phases()[-1] == ("failed", "not_there")
    assert desk.orders.active() == 0


def test_only_so_many_are_in_force_at_once(desk: Desk) -> None:
    made = [desk.order(id=f"{n:020x}", mac=f"02:00:00:00:01:{n:02x}") for n in range(1, 5)]
    desk.give(*made)
    assert len(desk.in_force()) == 3
    assert desk.phases().count(("refused", "too_many")) == 1


def test_a_stop_undoes_everything(desk: Desk) -> None:
    desk.give(desk.order())
    desk.orders.undo_all("agent_stopped")
    assert desk.phases()[-1] == ("undone", "agent_stopped")
    assert desk.in_force() == set()


def test_after_a_kill_what_the_collector_confirms_goes_on(desk: Desk) -> None:
    order = desk.order()
    desk.give(order)
    desk.orders = desk.run()
    desk.orders.recover()
    desk.wait(CONFIRM_S / 2)
    assert desk.in_force() == {order.id}
    desk.give(order)
    desk.wait(2 * CONFIRM_S)
    assert desk.in_force() == {order.id}
    assert desk.phases()[-1] == ("applied", "")


def test_after_a_kill_without_a_collector_it_is_undone(desk: Desk) -> None:
    desk.give(desk.order())
    desk.orders = desk.run()
    desk.orders.recover()
    desk.wait(CONFIRM_S + 1)
    assert desk.phases()[-1] == ("undone", "no_collector")
    assert desk.in_force() == set()


def test_after_a_kill_what_the_collector_no_longer_lists_is_undone(desk: Desk) -> None:
    desk.give(desk.order())
    desk.orders = desk.run()
    desk.orders.recover()
    desk.orders.take(SignedOrders())
    desk.orders.step()
    assert desk.phases()[-1] == ("undone", "not_confirmed")


def test_after_a_kill_in_the_middle_of_setting_rules_they_are_undone(desk: Desk) -> None:
    desk.give(desk.order())
    file = desk.folder / "orders.json"
    half = msgspec.json.decode(file.read_bytes())
    for held in half["held"].values():
        held["applied_ms"] = 0
    file.write_bytes(msgspec.json.encode(half))
    desk.orders = desk.run()
    desk.orders.recover()
    desk.orders.step()
    assert desk.phases()[-1] == ("undone", "not_finished")
    assert desk.in_force() == set()


def test_what_the_operator_no_longer_allows_is_undone_by_the_next_run(desk: Desk) -> None:
    desk.give(desk.order())
    desk.policy = Actions()
    desk.orders = desk.run()
    desk.orders.recover()
    desk.orders.step()
    assert desk.phases()[-1] == ("undone", "not_allowed")
    assert desk.in_force() == set()


@pytest.mark.parametrize("damage", [b"", b"{", b'{"held": 3}'])
def test_rules_without_a_memory_are_taken_away(desk: Desk, damage: bytes) -> None:
    desk.give(desk.order())
    (desk.folder / "orders.json").write_bytes(damage)
    desk.orders = desk.run()
    desk.orders.recover()
    assert desk.in_force() == set()


def test_a_clock_set_far_ahead_ends_it_and_one_set_back_does_not_prolong_it(desk: Desk) -> None:
    desk.give(desk.order(until_ms=desk.clock.now_ms() + 10 * MINUTE))
    desk.clock.ms -= 365 * 86_400_000
    desk.wait(9 * 60)
    assert len(desk.in_force()) == 1
    desk.wait(2 * 60)
    assert desk.phases()[-1] == ("undone", "ended")
    desk.give(desk.order(id="0" * 19 + "2", until_ms=desk.clock.now_ms() + 10 * MINUTE))
    desk.clock.ms += 365 * 86_400_000
    desk.orders.step()
    assert desk.phases()[-1] == ("undone", "ended")


def test_a_measurement_is_made_aside_and_told(desk: Desk) -> None:
    desk.give(desk.order(action=Action.RECHECK, mac="", check="rogue_ra"))
    for thread in desk.orders._rechecks:
        thread.join(5)
    assert [o.check for o in desk.measured] == ["rogue_ra"]
    assert desk.phases() == [("applied", "measured")]
    assert desk.orders.active() == 0


def test_it_says_what_it_may_do_and_how_far_it_reaches(desk: Desk) -> None:
    desk.orders.step()
    ready = desk.told[0]
    assert ready["event.action"] == "ready"
    assert ready["tengwang.order.allowed"] == [action.value for action in Action]
    assert ready["tengwang.order.scope"] == "segment"
    desk.wait(100)
    assert len(desk.told) == 1
    desk.wait(300)
    assert len(desk.told) == 2


class Broken(Nft):
    """nft that fails as it does without rights, or for a while."""

    def __init__(self, tables: Nft, raises: Callable[[], None]) -> None:
        super().__init__(tables._run)
        self.raises = raises

    def _ask(self, words: Any, text: str) -> str:
        self.raises()
        return super()._ask(words, text)


def test_without_the_right_to_set_rules_it_says_so_and_fails(tmp_path: Path, segment: Lan) -> None:
    def denied() -> None:
        raise Permanent("not_permitted", "Operation not permitted; it needs CAP_NET_ADMIN")

    desk = Desk(tmp_path, Broken(segment.nft("switch"), denied))
    desk.orders.step()
    assert desk.told[0]["tengwang.order.allowed"] == ["recheck", "evidence"]
    assert "CAP_NET_ADMIN" in str(desk.told[0]["message"])
    desk.give(desk.order())
    assert desk.phases() == [("failed", "not_permitted")]
    assert desk.orders.active() == 0


def test_what_fails_for_a_while_is_tried_again_in_time(tmp_path: Path, segment: Lan) -> None:
    busy = True

    def sometimes() -> None:
        if busy:
            raise Transient("nft: Device or resource busy")

    desk = Desk(tmp_path, Broken(segment.nft("switch"), sometimes))
    desk.give(desk.order())
    assert desk.phases() == []
    busy = False
    desk.wait(3)
    assert desk.phases() == [("applied", "")]
    desk.orders.undo_all("agent_stopped")


def test_what_fails_too_long_is_given_up(tmp_path: Path, segment: Lan) -> None:
    def busy() -> None:
        raise Transient("nft: Device or resource busy")

    desk = Desk(tmp_path, Broken(segment.nft("switch"), busy))
    desk.give(desk.order())
    for _ in range(12):
        desk.wait(6)
    assert desk.phases() == [("failed", "not_in_time")]
    assert desk.orders.active() == 0


def test_an_undo_that_fails_is_told_and_tried_again(tmp_path: Path, segment: Lan) -> None:
    broken = False

    def sometimes() -> None:
        if broken:
            raise Permanent("nft", "broken")

    desk = Desk(tmp_path, Broken(segment.nft("switch"), sometimes))
    order = desk.order()
    desk.give(order)
    broken = True
    desk.give(signed(AUTHORITY, order, withdraw=True, serial=2))
    assert (desk.phases()[-1], desk.last()["event.outcome"]) == (("undone", "withdrawn"), "failure")
    broken = False
    desk.wait(10)
    assert (desk.phases()[-1], desk.last()["event.outcome"]) == (("undone", "withdrawn"), "success")
    assert desk.in_force() == set()


def test_without_a_disk_nothing_is_begun(desk: Desk) -> None:
    (desk.folder / ".orders.json.new").mkdir()
    desk.give(desk.order())
    assert desk.in_force() == set()
    (desk.folder / ".orders.json.new").rmdir()
    desk.wait(3)
    assert desk.phases() == [("applied", "")]
    assert Phase.APPLIED.value == desk.last()["event.action"]
