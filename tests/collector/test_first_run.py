from __future__ import annotations

import io
import ipaddress
from pathlib import Path

import pytest

from collector import first_inventory
from collector.first_screen import TEXTS, Screen
from collector.inventory_source import InventorySource, examine
from collector.known_unit import known_unit
from telemetry.errors import ConfigError
from telemetry.event import Event
from telemetry.report import Report


def test_the_first_inventory_is_sound_and_is_never_written_over(tmp_path: Path) -> None:
    folder = tmp_path / "inventory"
    assert first_inventory.write(folder, name='a "quoted" \\ host 主机')
    examined = examine(folder)
    assert examined.problems == []
    assert [u.name for u in examined.inventory.units] == ['a "quoted" \\ host 主机']
    assert len(examined.inventory.prefixes) >= 4
    (folder / "local.yml").write_text("units: []\n")
    assert not first_inventory.write(folder)
    assert (folder / "local.yml").read_text() == "units: []\n"


def test_the_networks_of_this_host_come_from_the_kernel(tmp_path: Path) -> None:
    net = tmp_path / "proc" / "net"
    net.mkdir(parents=True)
    (net / "if_inet6").write_text(
        "20010db8000000000000000000000005 02 40 00 80 eth0\n"
        "fe800000000000000000000000000001 02 40 20 80 eth0\n"
        "00000000000000000000000000000001 01 80 10 80 lo\n"
    )
    (net / "route").write_text(
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    )
    found = [str(n) for n in first_inventory.networks(tmp_path)]
    assert found[-2:] == ["2001:db8::/64", "192.0.2.0/24"]
    assert first_inventory.networks(tmp_path / "none")[0] == ipaddress.ip_network("::1/128")


def states() -> list[Event]:
    blind: Event = {
        "tengwang.input.type": "packets",
        "tengwang.input.state": "blind",
        "message": "no CAP_NET_RAW",
        "tengwang.input.advice": "sudo setcap ...",
    }
    return [{"tengwang.input.type": "host", "tengwang.input.state": "on"}, blind]


@pytest.mark.parametrize(("language", "blind"), [("zh_CN.UTF-8", "看不见"), ("C.UTF-8", "Blind here")])
def test_the_screen_says_what_is_measured_and_what_is_not_in_both_languages(language: str, blind: str) -> None:
    out = io.StringIO()
    screen = Screen(out, {"LANG": language})
    screen.welcome("http://[::1]:1/login/link/x", "http://[::1]:1", "/home", "/home/inventory")
    screen.inputs(states())
    text = out.getvalue()
    assert "http://[::1]:1/login/link/x" in text
    assert blind in text
    assert "sudo setcap ..." in text
    assert "\033" not in text


def test_colours_are_for_terminals_only() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for environ, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        out = Terminal()
        Screen(out, environ).inputs(states())
        assert ("\033[32m" in out.getvalue()) is coloured


def test_an_agent_that_says_nothing_is_not_shown_as_well() -> None:
    out = io.StringIO()
    Screen(out, {}).inputs([])
    assert TEXTS["no_word"][1] in out.getvalue()


def test_every_text_is_there_in_both_languages() -> None:
    for key, (zh, en) in TEXTS.items():
        assert zh, key
        assert en, key
        assert zh.count("{") == en.count("{")


def test_a_unit_is_held_against_the_inventory(tmp_path: Path) -> None:
    source = InventorySource(tmp_path / "none", Report())
    assert known_unit(source, "anything") == "anything"
    first_inventory.write(tmp_path / "inventory")
    source = InventorySource(tmp_path / "inventory", Report())
    assert known_unit(source, "local") == "local"
    with pytest.raises(ConfigError, match="did you mean 'local'"):
        known_unit(source, "locl")
