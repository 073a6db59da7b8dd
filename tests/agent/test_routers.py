from __future__ import annotations

import pytest

from agent.routers import Register
from telemetry.event import Event, event
from telemetry.work import Router, Work

MAC, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:66"


def seen(source: str = "fe80::1", mac: str = MAC, prefixes: tuple[str, ...] = (), option: str = "") -> Event:
    made = event(0, "tengwang.ndp", "router_advertisement")
    made["source.ip"], made["source.mac"] = source, mac
    if prefixes:
        made["tengwang.ndp.prefixes"] = list(prefixes)
    if option:
        made["tengwang.ndp.source_lladdr"] = option
    return made


def register(*routers: Router, home: tuple[str, ...] = ()) -> Register:
    return Register(Work(version="1", routers=routers, home_prefixes=home))


BY_MAC = Router(device="r", macs=(MAC,), prefixes=("2001:db8::/48",))
BY_ADDRESS = Router(device="r", addresses=("192.0.2.1", "fe80::1"), prefixes=("2001:db8::/48",))


@pytest.mark.parametrize("router", [BY_MAC, BY_ADDRESS])
def test_a_registered_router_with_its_own_prefixes_is_known(router: Router) -> None:
    assert register(router).registered(seen(prefixes=("2001:db8:0:1::/64",), option=MAC)) is True
    assert register(router).registered(seen()) is True


@pytest.mark.parametrize(
    ("router", "made"),
    [
        (BY_MAC, seen(mac=OTHER)),
        (BY_MAC, seen(prefixes=("2001:db8:bad::/64",))),
        (BY_MAC, seen(prefixes=("2001:db8:0:1::/64", "2001:db8:bad::/64"))),
        (BY_MAC, seen(prefixes=("2001::/16",))),
        (BY_MAC, seen(option=OTHER)),
        (BY_ADDRESS, seen(source="fe80::66")),
        (Router(device="r", addresses=("fe80::1",), macs=(MAC,)), seen(source="fe80::66")),
    ],
)
def test_any_other_is_not(router: Router, made: Event) -> None:
    assert register(router).registered(made) is False


def test_without_prefixes_of_its_own_those_of_the_site_count() -> None:
    router = Router(device="r", macs=(MAC,))
    made = seen(prefixes=("2001:db8:bad::/64",))
    assert register(router, home=("2001:db8:1::/48", "192.0.2.0/24")).registered(made) is False
    assert register(router, home=("2001:db8:bad::/48",)).registered(made) is True
    assert register(router).registered(made) is True


@pytest.mark.parametrize(
    "nothing_to_go_by",
    [
        Register(Work()),
        register(),
        register(home=("2001:db8::/48",)),
        register(Router(device="r", addresses=("192.0.2.1", "2001:db8::1"), prefixes=("2001:db8::/48",))),
    ],
)
def test_where_no_router_can_be_told_by_its_address_nothing_is_said(nothing_to_go_by: Register) -> None:
    assert nothing_to_go_by.registered(seen()) is None
    assert nothing_to_go_by.identified("fe80::1", MAC) is None


def test_beside_one_that_can_be_told_a_router_without_an_address_of_the_link_is_any_other() -> None:
    both = register(BY_MAC, Router(device="other", addresses=("2001:db8::1",)))
    assert both.registered(seen()) is True
    assert both.registered(seen(mac=OTHER)) is False


def test_a_register_is_renewed_only_when_the_work_changes() -> None:
    first = register(BY_MAC)
    assert first.renewed(Work(version="1", routers=(BY_MAC,))) is first
    assert first.renewed(Work(version="2", routers=(BY_ADDRESS,))).registered(seen(source="fe80::66")) is False
    assert first.renewed(Work(version="3")).registered(seen()) is None
