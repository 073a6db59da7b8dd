from __future__ import annotations

from agent.decoders.rtnetlink import Counters, Link
from agent.vantage import Vantage, repeating, segments
from telemetry.clock import ManualClock
from telemetry.report import Report


def link(index: int, kind: str = "", master: int = 0, lower: int = 0) -> Link:
    return Link(index=index, name=f"if{index}", hardware=1, kind=kind, mac="", mtu=1500, up=True, operational=6,
                master=master, lower=lower, alias="", counters=Counters())  # fmt: skip


def test_what_stands_on_another_interface_repeats_it() -> None:
    links = [
        link(1),
        link(2, master=5),
        link(3, "veth", master=5),
        link(5, "bridge"),
        link(6, "vlan", lower=1),
        link(7, "macvlan", lower=0),  # its lower interface is in another namespace
        link(8, "bridge"),  # a bridge without ports repeats nothing
        link(9, "wireguard"),
    ]
    assert repeating(links) == {5, 6}


def test_ports_of_a_bridge_are_one_segment_and_members_of_a_vrf_are_not() -> None:
    links = [link(2, master=5), link(3, master=5), link(4, master=6), link(5, "bridge"), link(6, "vrf"), link(7)]
    assert segments(links) == {2: 5, 3: 5}
    assert Vantage(ManualClock(), Report()).segment(7) == 7


def test_this_hosts_own_addresses_are_known_and_others_are_not() -> None:
    clock = ManualClock()
    seen = Vantage(clock, Report())
    assert seen.refresh(0.0)
    loopback = bytes(15) + b"\1"
    assert seen.is_own(loopback)
    assert seen.sent_here(loopback)
    assert seen.sent_here(bytes(16))
    assert not seen.sent_here(b"\x20\x01\x0d\xb8" + bytes(11) + b"\x63")
    assert seen.names[seen.loopback] == "lo"
    assert seen.indexes(["lo", "there is none"]) == [seen.loopback]
    assert not seen.refresh(60.0)
