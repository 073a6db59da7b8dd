"""rate_limit: so many packets a second pass, the rest is dropped and counted."""

from __future__ import annotations

import re

import pytest

from agent.actions.rate_limit import RateLimit
from telemetry.errors import Permanent
from telemetry.order import Action
from tests.agent.actions.lan import MAC, SWITCH, Lan, address, order

pytestmark = pytest.mark.needs("root", "iproute2", "nftables")


def returned(segment: Lan) -> int:
    said = segment.run("intruder", "ping", "-q", "-c100", "-i0.01", "-W1", address("victim")).stdout
    found = re.search(r"(\d+) received", said)
    assert found, said
    return int(found[1])


def test_a_flood_is_slowed_down_and_what_is_dropped_is_counted(segment: Lan) -> None:
    action = RateLimit(segment.fence("switch", SWITCH))
    made = order(Action.RATE_LIMIT, mac=MAC["intruder"], packets_per_second=5)
    assert returned(segment) == 100
    action.act(made)
    passed = returned(segment)
    assert 1 <= passed <= 30
    assert action.measure(made).packets >= 100 - passed - 5
    action.undo(made)
    assert returned(segment) == 100


def test_a_limit_of_nothing_is_refused(segment: Lan) -> None:
    with pytest.raises(Permanent, match="bad_target"):
        RateLimit(segment.fence("switch", SWITCH)).act(order(Action.RATE_LIMIT, mac=MAC["intruder"]))
