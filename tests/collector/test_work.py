from __future__ import annotations

from pathlib import Path

import pytest

from collector.work import derive, measuring_unit
from telemetry import work
from telemetry.work import Router, SnmpTarget
from tests.collector.inventory_text import RIGHT, indexed


def test_the_units_own_agent_measures_what_stands_there(tmp_path: Path) -> None:
    made = derive(indexed(tmp_path), "a1", "county", frozenset({"city", "county"}))
    (target,) = made.snmp
    assert isinstance(target, SnmpTarget)
    assert (target.device, target.address, target.credential.community) == ("r1", "2001:db8:1::1", "hush-hush")
    (system,) = made.systems
    assert (system.asset, system.domains) == ("portal", ("www.nc.example", "xn--zoup46i.example"))
    assert made.resolvers == ("2001:db8::53",)
    assert made.home_prefixes == ("2001:db8:1:80::/64", "2001:db8:1::/48")
    assert derive(indexed(tmp_path), "a2", "city", frozenset({"city", "county"})).snmp == ()


def test_else_the_nearest_unit_above_that_has_an_agent(tmp_path: Path) -> None:
    index = indexed(tmp_path, RIGHT.replace("unit: county\n    address", "unit: village\n    address"))
    assert [t.device for t in derive(index, "a", "county", frozenset({"city"})).snmp] == ["r1"]
    assert [t.device for t in derive(index, "a", "city", frozenset({"county"})).snmp] == []
    assert [t.device for t in derive(index, "a", "city", frozenset()).snmp] == ["r1"]


def test_else_it_is_said_where_from(tmp_path: Path) -> None:
    index = indexed(tmp_path, RIGHT.replace("router: true", "router: true\n    measured_from: street"))
    assert derive(index, "a", "county", frozenset({"county", "street"})).snmp == ()
    assert [t.device for t in derive(index, "b", "street", frozenset({"county"})).snmp] == ["r1"]
    device = index.device("r1")
    assert device is not None
    assert measuring_unit(index, device, frozenset({"county"})) is None


@pytest.mark.parametrize(("unit", "there"), [("county", True), ("street", True), ("village", False), ("city", False)])
def test_a_router_is_expected_on_the_segments_it_names(tmp_path: Path, unit: str, there: bool) -> None:
    wanted = Router("r1", ("2001:db8:1::1", "fe80::1"), ("00:00:5e:00:53:01",), ("2001:db8:1:5::/64",))
    assert derive(indexed(tmp_path), "a", unit, frozenset()).routers == ((wanted,) if there else ())


def test_a_device_without_a_credential_is_not_polled(tmp_path: Path) -> None:
    index = indexed(tmp_path, RIGHT.replace("    credential: v2\n", ""))
    assert derive(index, "a", "county", frozenset()).snmp == ()


def test_the_version_follows_the_content(tmp_path: Path) -> None:
    one = derive(indexed(tmp_path), "a", "county", frozenset())
    assert one == derive(indexed(tmp_path), "a", "county", frozenset())
    for text in (RIGHT.replace("hush-hush", "changed"), RIGHT.replace("00-00-5E-00-53-01", "00-00-5E-00-53-02")):
        assert derive(indexed(tmp_path, text), "a", "county", frozenset()).version != one.version


def test_an_agent_of_an_unknown_unit_gets_no_targets(tmp_path: Path) -> None:
    made = derive(indexed(tmp_path), "a", "gone", frozenset({"gone"}))
    assert (made.snmp, made.systems, made.routers, made.home_prefixes) == ((), (), (), ())
    assert made.version


def test_it_survives_the_way_to_the_agent_and_shows_no_secret(tmp_path: Path) -> None:
    made = derive(indexed(tmp_path), "a", "county", frozenset())
    assert work.decode(work.encode(made)) == made
    assert "hush-hush" not in repr(made)


DHCP = RIGHT.replace("router: true", "router: true\n    dhcp: true")
TERMINALS = (
    RIGHT.replace("level: 2}", 'level: 2, macs: ["00:00:5e:00:53:80"]}')
    + """\
terminals:
  - {id: pc1, name: 窗口一, unit: county, macs: ["00-00-5E-00-53-11"]}
  - {id: pc2, name: 窗口二, unit: county, addresses: ["2001:0db8:1::12", "10.0.0.12"]}
  - {id: pc3, name: 窗口三, unit: street, macs: ["00-00-5E-00-53-13"]}
"""
)


@pytest.mark.parametrize(("unit", "there"), [("county", True), ("street", True), ("village", False)])
def test_a_dhcp_server_is_expected_on_the_segments_it_names(tmp_path: Path, unit: str, there: bool) -> None:
    wanted = work.DhcpServer("r1", ("2001:db8:1::1", "fe80::1"), ("00:00:5e:00:53:01",))
    assert derive(indexed(tmp_path, DHCP), "a", unit, frozenset()).dhcp == ((wanted,) if there else ())
    assert derive(indexed(tmp_path), "a", unit, frozenset()).dhcp == ()


def test_registered_terminals_come_with_the_devices_and_systems_of_their_segment(tmp_path: Path) -> None:
    made = derive(indexed(tmp_path, TERMINALS), "a", "county", frozenset())
    assert {t.id: (t.macs, t.addresses) for t in made.terminals} == {
        "pc1": (("00:00:5e:00:53:11",), ()),
        "pc2": ((), ("2001:db8:1::12", "10.0.0.12")),
        "r1": (("00:00:5e:00:53:01",), ("2001:db8:1::1", "fe80::1")),
        "portal": (("00:00:5e:00:53:80",), ("2001:db8:1:80::80",)),
    }
    assert [t.id for t in derive(indexed(tmp_path, TERMINALS), "a", "street", frozenset()).terminals] == ["pc3", "r1"]


def test_a_unit_without_registered_terminals_lets_in_everything(tmp_path: Path) -> None:
    assert derive(indexed(tmp_path, TERMINALS), "a", "city", frozenset()).terminals == ()
