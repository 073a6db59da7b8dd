"""Where a host stands, from a tree of /sys and /proc, and from a real bridge."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agent.stand import Stand, look
from telemetry.order import Scope
from tests.agent.actions.lan import HOSTS, lan


def tree(root: Path, ports: dict[str, str], bridges: tuple[str, ...] = (), forwarding: str = "0") -> Path:
    """``ports``: interface -> its bridge, or empty."""
    net = root / "sys/class/net"
    for name, master in ports.items():
        (net / name).mkdir(parents=True)
        (net / name / "type").write_text("772\n" if name == "lo" else "1\n")
        if master:
            (net / name / "brport").mkdir()
            (net / master / "brif" / name).mkdir(parents=True)
    for name in bridges:
        (net / name / "bridge").mkdir(parents=True)
        (net / name / "type").write_text("1\n")
    switch = root / "proc/sys/net/ipv6/conf/all"
    switch.mkdir(parents=True)
    (switch / "forwarding").write_text(forwarding + "\n")
    return root


def test_a_host(tmp_path: Path) -> None:
    found = look(tree(tmp_path, {"lo": "", "eth0": ""}, forwarding="1"))
    assert found == Stand(cards=("eth0",))
    assert found.scope is Scope.HOST, "with one card nothing goes through it"


def test_a_router(tmp_path: Path) -> None:
    found = look(tree(tmp_path, {"lo": "", "eth0": "", "eth1": ""}, forwarding="1"))
    assert (found.router, found.scope) == (True, Scope.ROUTED)


def test_a_bridge_is_one_with_two_ports(tmp_path: Path) -> None:
    found = look(tree(tmp_path, {"eth0": "br0", "eth1": "br0", "eth2": "br1"}, ("br0", "br1")))
    assert found.bridges == {"br0": ("eth0", "eth1")}
    assert found.scope is Scope.SEGMENT


def test_bridges_of_containers_protect_no_segment_unless_they_are_named(tmp_path: Path) -> None:
    root = tree(tmp_path, {"eth0": "", "veth1": "docker0", "veth2": "docker0"}, ("docker0",))
    assert look(root).scope is Scope.HOST
    assert look(root, ("docker0",)).scope is Scope.SEGMENT


def test_nothing_to_see_is_a_host_without_cards(tmp_path: Path) -> None:
    assert look(tmp_path) == Stand()


@pytest.mark.needs("root", "iproute2")
def test_a_real_bridge_and_a_real_router() -> None:
    ask = "from agent.stand import look; s = look(); print(s.scope.value, sorted(s.bridges), *s.cards)"
    with lan() as made:
        assert made.run("switch", sys.executable, "-c", ask).stdout.split() == ["segment", "['lan']"]
        assert made.run("router", sys.executable, "-c", ask).stdout.split()[0] == "routed"
        assert made.run("victim", sys.executable, "-c", ask).stdout.split() == ["host", "[]", "eth0"]
        assert len(HOSTS) == 3
