from __future__ import annotations

from agent.decoders.rtnetlink import Address, Counters, Link
from agent.vantage import Vantage, prefixes, repeating, segments
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


def test_a_segment_is_known_by_the_global_addresses_of_its_interface() -> None:
    def at(index: int, ip: str, length: int) -> Address:
        return Address(index=index, ip=ip, prefix_length=length, flags=0, protocol=0, valid=0)

    given = [at(1, "::1", 128), at(2, "fe80::1", 64), at(2, "2001:db8:1::5", 64), at(2, "2001:db8:1::6", 64)]
    given += [at(2, "10.1.2.3", 24), *(at(3, f"2001:db8:{n:x}::1", 64) for n in range(20))]
    found = prefixes(given)
    assert found[2] == ["10.1.2.0/24", "2001:db8:1::/64"]
    assert len(found[3]) == 8
    assert 1 not in found
