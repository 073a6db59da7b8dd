from __future__ import annotations

from agent.registered import Registered
from telemetry.work import DhcpServer, Terminal, Work

WORK = Work(
    "1",
    dhcp=(DhcpServer("r", ("192.0.2.1", "fe80::1"), ("02:00:00:00:00:01",)), DhcpServer("k", ("192.0.2.9",))),
    terminals=(
        Terminal("pc", ("02:00:00:00:00:11",), ("192.0.2.11",)),
        Terminal("printer", (), ("192.0.2.12", "2001:db8::12")),
    ),
)


def test_without_anything_registered_nothing_is_said() -> None:
    nothing = Registered(Work("1"))
    assert nothing.terminal("02:00:00:00:00:99", ()) is None
    assert nothing.dhcp_server("02:00:00:00:00:99", "192.0.2.1", "192.0.2.1") is None
    assert nothing.dhcp_named("192.0.2.1", "") is None


def test_a_terminal_is_known_by_its_mac_or_where_it_has_none_by_its_address() -> None:
    known = Registered(WORK)
    assert known.terminal("02:00:00:00:00:11", ["192.0.2.77"]) is True
    assert known.terminal("02:00:00:00:00:99", ["192.0.2.11"]) is False  # took the address of one with a MAC
    assert known.terminal("02:00:00:00:00:99", ["fe80::9", "2001:db8::12"]) is True
    assert known.terminal("02:00:00:00:00:99", []) is False


def test_a_dhcp_server_is_known_by_its_mac_or_where_it_has_none_by_its_address() -> None:
    known = Registered(WORK)
    assert known.dhcp_server("02:00:00:00:00:01", "192.0.2.200", "192.0.2.200") is True
    assert known.dhcp_server("02:00:00:00:00:66", "192.0.2.1", "192.0.2.1") is False
    assert known.dhcp_server("02:00:00:00:00:66", "192.0.2.9", "192.0.2.9") is True
    assert known.dhcp_named("192.0.2.1", "") is True
    assert known.dhcp_named("192.0.2.66", "") is False
    assert known.dhcp_named("", "02:00:00:00:00:01") is True
    assert known.dhcp_named("", "02:00:00:00:00:66") is False
    assert known.dhcp_named("", "") is None


def test_it_is_made_anew_only_where_the_work_changed() -> None:
    known = Registered(WORK)
    assert known.renewed(WORK) is known
    assert known.renewed(Work("2")) is not known
