from __future__ import annotations

import msgspec
import pytest

from agent.decoders import hosts
from agent.decoders.rtnetlink import Address, Counters, Link, Neighbor

LINK = Link(index=2, name="eth0", hardware=1, kind="", mac="02:00:00:00:00:01", mtu=1500, up=True, operational=6,
            master=0, lower=0, alias="", counters=Counters())  # fmt: skip
EUI64 = "2001:db8::ff:fe00:1"


def found(ip: str, length: int = 64, flags: int = 0, protocol: int = 0, valid: int = hosts.FOR_EVER) -> Address:
    return Address(index=2, ip=ip, prefix_length=length, flags=flags, protocol=protocol, valid=valid)


@pytest.mark.parametrize(
    ("flags", "status"),
    [(0, "preferred"), (0x20, "deprecated"), (0x40, "tentative"), (0x48, "duplicate"), (0x44, "optimistic")],
)
def test_the_status_is_that_of_ip_mib(flags: int, status: str) -> None:
    assert hosts.address(found(EUI64, flags=flags), LINK)["tengwang.address.status"] == status
    down = msgspec.structs.replace(LINK, up=False)
    expected = "duplicate" if status == "duplicate" else "inaccessible"
    assert hosts.address(found(EUI64, flags=flags), down)["tengwang.address.status"] == expected


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        (found("::1", 128, protocol=1), "other"),
        (found("127.0.0.1", 8), "other"),
        (found("fe80::ff:fe00:1", protocol=3), "linklayer"),
        (found("fe80::1:2:3:4"), "random"),
        (found(EUI64, protocol=2, valid=3600), "linklayer"),
        (found("2001:db8::1:2:3:4", protocol=2, valid=3600), "random"),
        (found("2001:db8::1:2:3:4", flags=1, valid=3600), "random"),
        (found("2001:db8::7"), "manual"),
        (found("2001:db8::7", 128, valid=3600), "dhcp"),
        (found("192.0.2.7", 24, valid=3600), "dhcp"),
        (found("192.0.2.7", 24), "manual"),
    ],
)
def test_the_origin_is_that_of_ip_mib(address: Address, origin: str) -> None:
    assert hosts.address(address, LINK)["tengwang.address.origin"] == origin


SCOPES = {
    "2001:db8::1": "global", "fd00::1": "unique-local", "fe80::1": "link", "::1": "host", "10.0.0.1": "global",
    "169.254.1.1": "link", "fec0::1": "site",
}  # fmt: skip


@pytest.mark.parametrize(("ip", "scope"), SCOPES.items())
def test_the_scope_is_that_of_the_address(ip: str, scope: str) -> None:
    assert hosts.scope(ip) == scope


def test_a_cache_entry_that_only_ages_is_no_change() -> None:
    def neighbor(state: int, mac: str = "02:00:00:00:00:09", flags: int = 0) -> Neighbor:
        return Neighbor(2, "fe80::9", mac, state, flags)

    alive = {hosts.neighbor_signature(neighbor(state)) for state in (2, 4, 8, 16)}
    assert len(alive) == 1
    others = [neighbor(32), neighbor(1), neighbor(128), neighbor(2, mac="02:00:00:00:00:0a"), neighbor(2, flags=0x80)]
    assert len(alive | set(map(hosts.neighbor_signature, others))) == 6
