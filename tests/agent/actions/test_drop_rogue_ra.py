"""drop_rogue_ra: hosts of the segment no longer take the advertisements, and the sender's other traffic goes on."""

from __future__ import annotations

import time

import pytest

from agent.actions.drop_rogue_ra import DropRogueRa
from telemetry.order import Action
from tests.agent.actions.lan import MAC, ROGUE_PREFIX, SWITCH, Lan, address, order

pytestmark = pytest.mark.needs("root", "iproute2", "nftables")


def takes_it(segment: Lan) -> bool:
    """Does the victim make itself an address of the rogue prefix?"""
    segment.ip("victim", "-6 addr flush dev eth0 scope global dynamic")
    segment.advertise()
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        if segment.rogue_addresses():
            return True
        time.sleep(0.05)
    return False


def test_the_victim_no_longer_takes_the_rogue_prefix_until_the_undo(segment: Lan) -> None:
    action = DropRogueRa(segment.fence("switch", SWITCH))
    made = order(Action.DROP_ROGUE_RA, mac=MAC["intruder"])
    assert takes_it(segment)
    action.act(made)
    assert not takes_it(segment)
    assert action.measure(made).packets == 1
    assert segment.reaches("intruder", address("victim")), "other traffic of the sender goes on"
    action.undo(made)
    assert takes_it(segment)


def test_by_the_link_local_address(segment: Lan) -> None:
    listed = segment.run("intruder", "ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "link").stdout
    link_local = listed.split("inet6 ")[1].split("/")[0]
    action = DropRogueRa(segment.fence("switch", SWITCH))
    made = order(Action.DROP_ROGUE_RA, address=link_local)
    action.act(made)
    assert not takes_it(segment)
    action.undo(made)
    assert takes_it(segment)


@pytest.mark.needs("thc-ipv6")
@pytest.mark.parametrize("evasion", ["H", "1", "D"])
def test_behind_extension_headers_and_in_fragments_they_are_dropped_too(segment: Lan, evasion: str) -> None:
    action = DropRogueRa(segment.fence("switch", SWITCH))
    made = order(Action.DROP_ROGUE_RA, mac=MAC["intruder"])
    action.act(made)
    segment.ip("victim", "-6 addr flush dev eth0 scope global dynamic")
    words = ["-E", evasion, "-A", ROGUE_PREFIX, "-n", "2", "-i", "1", "eth0"]
    segment.run("intruder", "timeout", "5", "atk6-fake_router26", *words)
    assert action.measure(made).packets >= 2
    assert segment.rogue_addresses() == []
    action.undo(made)


def test_of_another_sender_they_pass(segment: Lan) -> None:
    action = DropRogueRa(segment.fence("switch", SWITCH))
    made = order(Action.DROP_ROGUE_RA, mac=MAC["router"])
    action.act(made)
    assert takes_it(segment)
    assert action.measure(made).packets == 0
    action.undo(made)
