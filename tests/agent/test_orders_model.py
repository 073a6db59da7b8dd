"""Orders through random histories of repeats, withdrawals, kills and time, against what must always hold."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.nft import FAMILIES, TABLE
from agent.orders import CONFIRM_S
from telemetry.order import Order
from tests.agent.actions.lan import Lan, lan
from tests.agent.order_signing import signed
from tests.agent.test_orders import AUTHORITY, MINUTE, Desk

pytestmark = [pytest.mark.needs("root", "iproute2", "nftables"), pytest.mark.timeout(300)]
HISTORIES, STEPS = 8, 16


@pytest.fixture(scope="module")
def segment() -> Iterator[Lan]:
    with lan() as made:
        yield made


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_nothing_is_in_force_that_may_not_be_and_nothing_runs_twice(tmp_path: Path, segment: Lan, seed: int) -> None:
    rng = random.Random(seed)
    desk = Desk(tmp_path, segment.nft("switch"))
    orders: dict[str, Order] = {}
    withdrawn: set[str] = set()
    try:
        for number in range(STEPS):
            act = rng.choice(["new", "new", "repeat", "withdraw", "kill", "time", "time", "away"])
            if act == "new":
                made = desk.order(
                    id=f"{seed:010x}{number:010x}", mac=f"02:00:00:00:02:{number:02x}",
                    until_ms=desk.clock.now_ms() + rng.randrange(1, 20) * MINUTE,
                )  # fmt: skip
                orders[made.id] = made
                desk.give(*listed(orders, withdrawn))
            elif act == "repeat" and orders:
                desk.give(signed(AUTHORITY, rng.choice(list(orders.values()))))
                desk.give(*listed(orders, withdrawn))
            elif act == "withdraw" and orders:
                chosen = rng.choice(list(orders.values()))
                withdrawn.add(chosen.id)
                desk.give(signed(AUTHORITY, chosen, withdraw=True, serial=2), *listed(orders, withdrawn))
            elif act == "kill":
                desk.orders = desk.run()
                desk.orders.recover()
                desk.give(*listed(orders, withdrawn))
            elif act == "away":
                desk.orders = desk.run()
                desk.orders.recover()
                desk.wait(CONFIRM_S + 1)
                assert desk.in_force() == set(), "without a collector nothing is left"
            else:
                desk.wait(rng.randrange(1, 6 * 60))
            now = desk.clock.now_ms()
            in_force = desk.in_force()
            assert in_force <= {i for i, o in orders.items() if i not in withdrawn and o.until_ms > now}
            assert len(in_force) <= desk.policy.max_active
            assert desk.orders.active() == len(in_force)
        gone = [str(e["tengwang.order.id"]) for e in desk.told if e.get("message") == "its rules are gone"]
        assert len(gone) == len(set(gone)), "what was undone is never begun again"
        desk.orders.undo_all("agent_stopped")
        assert all(desk.tables.table(family) == [] for family in FAMILIES), f"no table {TABLE} is left"
    finally:
        for order_id in desk.in_force():
            desk.fence.take_away(order_id)


def listed(orders: dict[str, Order], withdrawn: set[str]) -> list[Order]:
    """What a collector would list now."""
    return [order for order in orders.values() if order.id not in withdrawn]
