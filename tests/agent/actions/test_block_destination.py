"""block_destination: what goes to one address is dropped at the bridge, the router, or the host that sends it."""

from __future__ import annotations

import pytest

from agent.actions.block_destination import BlockDestination
from agent.stand import Stand
from telemetry.errors import Permanent
from telemetry.order import Action
from tests.agent.actions.lan import BEYOND, HOST, ROUTER, SWITCH, Lan, address, order

pytestmark = pytest.mark.needs("root", "iproute2", "nftables")


@pytest.mark.parametrize(("where", "stand"), [("switch", SWITCH), ("router", ROUTER), ("intruder", HOST)])
def test_what_goes_to_it_is_dropped_and_passes_again_after_the_undo(segment: Lan, where: str, stand: Stand) -> None:
    action = BlockDestination(segment.fence(where, stand))
    made = order(Action.BLOCK_DESTINATION, address=BEYOND)
    assert segment.reaches("intruder", BEYOND)
    action.act(made)
    assert not segment.reaches("intruder", BEYOND)
    assert segment.reaches("intruder", address("router")), "other destinations are left alone"
    assert action.measure(made).packets > 0
    action.undo(made)
    assert segment.reaches("intruder", BEYOND)


def test_a_destination_without_an_address_is_refused(segment: Lan) -> None:
    with pytest.raises(Permanent, match="bad_target"):
        BlockDestination(segment.fence("switch", SWITCH)).act(order(Action.BLOCK_DESTINATION))
