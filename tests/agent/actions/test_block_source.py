"""block_source on a bridge, a router and a host: what it stops, what it leaves alone, and that its undo is one."""

from __future__ import annotations

import time

import pytest

from agent import fence
from agent.actions.block_source import BlockSource
from agent.stand import Stand
from telemetry.errors import Permanent
from telemetry.order import Action, Scope
from tests.agent.actions.lan import BEYOND, HOST, MAC, ROUTER, SWITCH, Lan, address, order

pytestmark = pytest.mark.needs("root", "iproute2", "nftables")


def gone(action: BlockSource, made: object) -> bool:
    try:
        action.measure(made)  # type: ignore[arg-type]
    except Permanent as error:
        return error.reason == "not_there"
    return False


@pytest.mark.parametrize(
    ("target", "version"),
    [
        ({"mac": MAC["intruder"]}, 6),
        ({"mac": MAC["intruder"]}, 4),
        ({"address": address("intruder")}, 6),
        ({"address": address("intruder", 4)}, 4),
    ],
)
def test_on_a_bridge_neighbours_are_protected_and_the_undo_lets_it_pass_again(
    segment: Lan, target: dict[str, str], version: int
) -> None:
    rules = segment.fence("switch", SWITCH)
    action, made = BlockSource(rules), order(Action.BLOCK_SOURCE, 60, **target)
    victim = address("victim", version)
    assert segment.reaches("intruder", victim)
    assert action.act(made).detail == Scope.SEGMENT
    assert not segment.reaches("intruder", victim)
    assert segment.reaches("victim", address("router", version)), "others are left alone"
    met = action.measure(made).packets
    assert met > 0
    assert action.act(made).packets >= met, "a second act sets nothing anew"
    action.undo(made)
    action.undo(made)
    assert gone(action, made)
    assert segment.reaches("intruder", victim)
    assert rules.orders() == set()


def test_on_a_router_what_goes_through_it_is_stopped_but_not_what_neighbours_say(segment: Lan) -> None:
    action = BlockSource(segment.fence("router", ROUTER))
    made = order(Action.BLOCK_SOURCE, address=address("intruder"))
    assert segment.reaches("intruder", BEYOND)
    assert action.act(made).detail == Scope.ROUTED
    assert not segment.reaches("intruder", BEYOND)
    assert segment.reaches("intruder", address("victim"))
    assert action.measure(made).packets > 0
    action.undo(made)
    assert segment.reaches("intruder", BEYOND)


def test_a_router_knows_the_mac_of_a_neighbour(segment: Lan) -> None:
    action = BlockSource(segment.fence("router", ROUTER))
    made = order(Action.BLOCK_SOURCE, mac=MAC["intruder"])
    action.act(made)
    assert not segment.reaches("intruder", BEYOND)
    action.undo(made)
    assert segment.reaches("intruder", BEYOND)


@pytest.mark.parametrize("target", [{"mac": MAC["intruder"]}, {"address": address("intruder")}])
def test_a_host_protects_itself_and_says_that_it_is_no_more(segment: Lan, target: dict[str, str]) -> None:
    action = BlockSource(segment.fence("victim", HOST))
    made = order(Action.BLOCK_SOURCE, 60, **target)
    assert action.act(made).detail == Scope.HOST
    assert not segment.reaches("intruder", address("victim"))
    assert segment.reaches("intruder", address("router")), "a host is not in the way of others"
    assert action.measure(made).packets > 0
    action.undo(made)
    assert segment.reaches("intruder", address("victim"))


def test_two_orders_are_undone_each_by_itself(segment: Lan) -> None:
    rules = segment.fence("switch", SWITCH)
    action = BlockSource(rules)
    first = order(Action.BLOCK_SOURCE, mac=MAC["intruder"])
    second = order(Action.BLOCK_SOURCE, address=address("intruder"))
    action.act(first)
    action.act(second)
    assert rules.orders() == {first.id, second.id}
    action.undo(first)
    assert gone(action, first)
    assert not segment.reaches("intruder", address("victim")), "the other one holds"
    action.undo(second)
    assert segment.reaches("intruder", address("victim"))


def test_the_kernel_ends_it_where_nobody_does(segment: Lan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fence, "BACKSTOP_S", 0)
    action = BlockSource(segment.fence("switch", SWITCH))
    made = order(Action.BLOCK_SOURCE, seconds=1, mac=MAC["intruder"])
    action.act(made)
    assert not segment.reaches("intruder", address("victim"))
    deadline = time.monotonic() + 5
    while not gone(action, made) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert segment.reaches("intruder", address("victim"))
    action.undo(made)


def test_it_keeps_to_the_interface_that_the_order_names(segment: Lan) -> None:
    action = BlockSource(segment.fence("switch", SWITCH))
    made = order(Action.BLOCK_SOURCE, mac=MAC["intruder"], interface="lan")
    action.act(made)
    assert not segment.reaches("intruder", address("victim"))
    action.undo(made)
    with pytest.raises(Permanent, match="no_place"):
        action.act(order(Action.BLOCK_SOURCE, mac=MAC["intruder"], interface="other"))


def test_a_host_without_cards_says_so(segment: Lan) -> None:
    with pytest.raises(Permanent, match="no_place"):
        BlockSource(segment.fence("victim", Stand())).act(order(Action.BLOCK_SOURCE, mac=MAC["intruder"]))
