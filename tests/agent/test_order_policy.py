"""What this host lets a collector do: off by default, bounded, and never to what must stay reachable."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agent.order_policy import Actions, Own, check, own
from telemetry.errors import Permanent
from telemetry.order import Action
from telemetry.work import Router, Work
from tests.agent.actions.lan import now_ms, order

OPEN = Actions(allow=tuple(Action), never=("2001:db8:1::/64", "02:00:00:00:00:AA"), interfaces=("lan",))
OWN = Own({"2001:db8::1": "router r"}, {"02:00:00:00:00:01": "router r"})
TARGET = "02:00:00:00:00:66"


def refusal(policy: Actions, action: Action, seconds: float = 60, active: int = 0, **changes: Any) -> str:
    try:
        check(order(action, seconds, **changes), "a1", policy, lambda: OWN, active, now_ms())
    except Permanent as error:
        return error.reason
    return ""


def test_without_a_word_of_the_operator_only_measurements_are_made() -> None:
    assert refusal(Actions(), Action.RECHECK, check="rogue_ra") == ""
    for action in set(Action) - {Action.RECHECK}:
        assert refusal(Actions(), action, mac=TARGET) == "not_allowed"
    assert refusal(Actions(allow=()), Action.RECHECK, check="rogue_ra") == "not_allowed"


def test_what_is_allowed_is_carried_out() -> None:
    assert refusal(OPEN, Action.BLOCK_SOURCE, mac=TARGET) == ""
    assert refusal(OPEN, Action.BLOCK_SOURCE, address="2001:db8::66", interface="lan") == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "bad_target"),
        ({"mac": "02:00:00:00:00:6"}, "bad_target"),
        ({"mac": "ff:ff:ff:ff:ff:ff"}, "bad_target"),
        ({"mac": "33:33:00:00:00:01"}, "bad_target"),
        ({"mac": "02:00:00:00:00:66; drop"}, "bad_target"),
        ({"address": "ff02::1"}, "bad_target"),
        ({"address": "::"}, "bad_target"),
        ({"address": "127.0.0.1"}, "bad_target"),
        ({"address": "255.255.255.255"}, "bad_target"),
        ({"address": "2001:DB8::66"}, "bad_target"),
        ({"address": "2001:db8::/32"}, "bad_target"),
        ({"mac": TARGET, "interface": "a b"}, "bad_target"),
        ({"mac": TARGET, "packets_per_second": -1}, "bad_target"),
        ({"mac": TARGET, "interface": "other"}, "not_allowed"),
        ({"mac": TARGET, "agent": "a2"}, "other_agent"),
        ({"mac": TARGET, "id": "../../etc"}, "bad_order"),
        ({"mac": TARGET, "seconds": 9 * 3600}, "too_long"),
        ({"mac": TARGET, "seconds": -1}, "too_long"),
        ({"mac": TARGET, "active": 64}, "too_many"),
        ({"address": "2001:db8:1::7"}, "never"),
        ({"mac": "02:00:00:00:00:aa"}, "never"),
        ({"address": "2001:db8::1"}, "never"),
        ({"mac": "02:00:00:00:00:01"}, "never"),
        ({"mac": "02:00:00:00:00:01", "address": "2001:db8::66"}, "never"),
    ],
)
def test_what_it_refuses(changes: dict[str, Any], reason: str) -> None:
    assert refusal(OPEN, Action.BLOCK_SOURCE, **changes) == reason


def test_own_are_this_host_its_collectors_and_the_registered_routers() -> None:
    work = Work(resolvers=("2001:db8::53",), routers=(Router("r", ("fe80::1",), ("02:00:00:00:00:01",)),))
    found = own(["https://[2001:db8::8]:8743", "https://localhost:8743", "https://no-such-host.invalid"], work)
    assert {"2001:db8::53", "fe80::1", "2001:db8::8", "::1"} <= found.addresses.keys()
    assert found.macs["02:00:00:00:00:01"] == "router r"
    assert "" not in found.addresses
    assert "" not in found.macs


def test_a_wrong_list_is_refused_when_it_is_read() -> None:
    with pytest.raises(msgspec.ValidationError, match="never"):
        msgspec.convert({"never": ["somebody"]}, Actions)
