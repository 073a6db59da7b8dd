"""The way of an event from real hosts to what people see, told on both stores, and once over IPv6 alone."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from functools import partial

import pytest

from tests.chaos.audit import accepted_by
from tests.chaos.run import count_up
from tests.e2e.extranet_site import Site, up
from tests.lab import extranet
from tests.lab.programs import Agent
from tests.parts.elasticsearch import Cluster

pytestmark = [
    pytest.mark.needs("root", "snmpd", "radvd", "nginx", "bind9", "thc-ipv6", "iproute2", "elasticsearch"),
    pytest.mark.timeout(240),
]
PORTAL, PROBE = extranet.address("portal"), "2d00:100:a0:1::10"


def delivered_more_than(agent: Agent, count: int) -> bool:
    return agent.account().acked > count


@pytest.fixture(scope="module", params=["sqlite", "elasticsearch", "sqlite over IPv6 only"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    cluster: Cluster | None = request.getfixturevalue("elasticsearch") if request.param == "elasticsearch" else None
    with up(cluster, v4="IPv6 only" not in request.param) as running:
        yield running


def test_the_agents_of_city_county_and_bureau_are_enrolled_and_up(site: Site) -> None:
    def all_up() -> bool:
        return [(view["unit"], view["presence"]) for view in site.agent_views()] == [
            ("bureau", "up"),
            ("city", "up"),
            ("county", "up"),
        ]

    site.eventually("three agents are up", all_up)


@pytest.mark.parametrize("unit", ["city", "county", "bureau"])
def test_every_host_tells_of_itself_for_its_unit(site: Site, unit: str) -> None:
    host = site.agents[unit].host.name
    for action in ("host", "interface", "address", "route", "neighbor"):
        seen = site.sees(f"dataset:tengwang.host action:{action} unit:{unit}")
        assert seen["host.name"] == host
        assert seen["tengwang.unit.path"][0] == "city"


def test_the_bureaus_probe_stands_in_the_office_zone(site: Site) -> None:
    assert site.sees("dataset:tengwang.host action:host unit:bureau")["tengwang.zone"] == "office"


@pytest.mark.parametrize(
    ("device", "unit", "version"), [("city-router", "city", "2c"), ("county-router", "county", "3")]
)
def test_routers_are_polled_by_the_agent_of_their_unit(site: Site, device: str, unit: str, version: str) -> None:
    system = site.sees(f"dataset:tengwang.snmp action:system device:{device}")
    assert system["observer.name"] == unit
    assert system["tengwang.snmp.version"] == version
    assert system["tengwang.snmp.forwarding"] is True
    assert (system["tengwang.unit.id"], system["tengwang.zone"]) == (unit, "backbone")
    assert system["tengwang.owner.operator"] == "li"
    interface = site.sees(f"dataset:tengwang.snmp action:interface device:{device} interface:backbone")
    assert interface["tengwang.interface.in_octets"] > 0
    address = extranet.address("county") if device == "county-router" else "2d00:100:0:1::1"
    assert site.sees(f"dataset:tengwang.snmp action:address device:{device} tengwang.address.ip:{address}")


def test_a_visit_to_the_portal_is_a_flow_from_office_to_portal(site: Site) -> None:
    site.lab["probe"].run("curl", "-6s", f"http://{extranet.DOMAIN}/")
    flow = site.sees(f"dataset:tengwang.flow unit:bureau src:{PROBE} dst:{PORTAL} port:80")
    assert flow["network.type"] == "ipv6"
    assert flow["network.transport"] == "tcp"
    assert (flow["tengwang.source.zone"], flow["tengwang.destination.zone"]) == ("office", "portal")
    assert flow["tengwang.destination.unit"] == "bureau"
    assert flow["network.packets"] == flow["tengwang.flow.raw_packets"] * flow["tengwang.flow.sampling_rate"]


def test_the_county_routers_advertisements_are_known(site: Site) -> None:
    county = site.lab["county"].spec
    seen = site.sees("dataset:tengwang.ndp action:router_advertisement unit:bureau")
    assert seen["source.ip"] == county.link_local("bureau")
    assert seen["tengwang.ndp.registered"] is True
    assert seen["tengwang.ndp.prefixes"] == [extranet.LAN_PREFIX]


def test_the_portal_is_ready_for_ipv6(site: Site) -> None:
    wanted = {1, 2, 9, 11, 12, 13, 18}

    def checked() -> dict[int, str]:
        verdicts = site.verdicts("portal")
        return verdicts if wanted <= set(verdicts) else {}

    verdicts = site.eventually("all checks of the portal", checked, 60)
    parity = {12, 13, 18}
    for number in wanted - parity:
        assert verdicts[number] == "pass", (number, verdicts)
    for number in parity:  # without IPv4 there is nothing to be equal to
        assert verdicts[number] == ("pass" if site.lab.v4 else "not_tested"), (number, verdicts)


def test_routers_are_ready_for_ipv6(site: Site) -> None:
    site.eventually("check 22 of the county router", lambda: site.verdicts("county-router").get(22) == "pass", 60)


def test_a_rogue_router_is_an_alert_in_under_ten_seconds(site: Site) -> None:
    intruder = site.lab["intruder"].spec
    began = time.monotonic()
    site.lab.start_rogue_ra(seconds=30)
    alert = site.sees(f"unit:bureau rule.level:high,critical src:{intruder.link_local('bureau')}", 10, kind="alerts")
    took = time.monotonic() - began
    site.lab.stop_rogue_ra()
    assert took < 10
    assert (alert["tengwang.unit.id"], alert["event.kind"]) == ("bureau", "alert")
    assert alert["tengwang.rule.name.zh"]


def test_every_ledger_adds_up(site: Site) -> None:
    site.eventually("collected = stored + spooled + dropped for all", site.ledgers_add_up)


def test_a_collector_killed_and_restarted_loses_nothing(site: Site) -> None:
    site.collector.kill()
    time.sleep(4)
    site.collector.start()
    sent = {unit: agent.account().acked for unit, agent in site.agents.items()}
    for unit, agent in site.agents.items():
        delivers = partial(delivered_more_than, agent, sent[unit])
        site.eventually(f"{unit} delivers again", delivers)
    site.eventually("the ledgers add up", site.ledgers_add_up)


def test_a_copied_disk_is_refused_and_says_so(site: Site) -> None:
    original = site.agents["bureau"]
    copy = Agent(site.lab["terminal"], "bureau", home=site.lab["terminal"].directory / "copy")
    shutil.copytree(original.home, copy.home, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock", "lock"))
    copy.start()
    site.eventually("the copy says that it is one", lambda: "clone" in copy.log().lower(), 30)
    copy.kill()
    assert len(site.agent_views()) == 3
    site.eventually("the original goes on", partial(delivered_more_than, original, original.account().acked))


def test_enrolling_again_replaces_and_does_not_double(site: Site) -> None:
    agent = site.agents["bureau"]
    agent.stop()
    agent.enrol(site.collector)
    agent.start()
    site.eventually("the bureau is up", lambda: site.agent_views()[0]["presence"] == "up")
    assert [view["unit"] for view in site.agent_views()] == ["bureau", "city", "county"]


def test_counted_one_by_one_nothing_is_lost_or_doubled(site: Site) -> None:
    """Last in this file: it ends the agents and the collector."""
    time.sleep(12)  # a status event of each, so that the collector has heard of every epoch
    for agent in site.agents.values():
        assert agent.stop() == 0
    accepted = [accepted_by(agent.home) for agent in site.agents.values()]
    assert site.collector.stop() == 0
    with site.collector.store.open(site.collector.own) as store:
        assert count_up(store, accepted) == []
