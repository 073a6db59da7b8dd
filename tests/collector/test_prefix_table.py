from __future__ import annotations

import ipaddress
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.prefix_table import Network, PrefixTable, address_bits, unmapped
from telemetry.event import canonical_ip


def networks() -> st.SearchStrategy[Network]:
    """Crowded corners of both families, so that prefixes nest and touch; mapped ones among them."""
    v4 = st.tuples(st.integers(0, 31), st.integers(0, 32)).map(
        lambda t: ipaddress.IPv4Network(((0x0A00 + t[0]) << 16 | t[0], t[1]), strict=False)
    )
    v6 = st.tuples(st.integers(0, 31), st.integers(0, 128)).map(
        lambda t: ipaddress.IPv6Network((0x2001_0DB8 << 96 | t[0] << 64 | t[0], t[1]), strict=False)
    )
    mapped = v4.map(
        lambda n: ipaddress.IPv6Network((0xFFFF << 32 | int(n.network_address), n.prefixlen + 96), strict=False)
    )
    edges = st.sampled_from(["0.0.0.0/0", "::/0", "255.255.255.255/32", f"{'ffff:' * 7}ffff/128", "::/128"])
    return st.one_of(v4, v6, mapped, edges.map(ipaddress.ip_network))


def brute(prefixes: list[Network], text: str) -> Network | None:
    address = ipaddress.ip_address(canonical_ip(text))
    holding = [n for n in map(unmapped, prefixes) if n.version == address.version and address in n]
    return max(holding, key=lambda n: n.prefixlen, default=None)


def neighbours(network: Network) -> list[str]:
    first, last = int(network.network_address), int(network.broadcast_address)
    kind = ipaddress.IPv4Address if network.version == 4 else ipaddress.IPv6Address
    top = 2**network.max_prefixlen - 1
    return [str(kind(n)) for n in {first, last, max(first - 1, 0), min(last + 1, top), (first + last) // 2}]


@settings(max_examples=300)
@given(st.lists(networks(), max_size=30))
def test_it_answers_as_ipaddress_does(prefixes: list[Network]) -> None:
    table = PrefixTable([(n, unmapped(n)) for n in prefixes])
    for network in prefixes:
        for text in neighbours(network):
            assert table.find(text) == brute(prefixes, text), text
            assert table.lookup(text) == table.find(text)


@given(st.one_of(st.text(max_size=50), st.ip_addresses().map(str), st.ip_addresses().map(lambda a: f"{a}%eth0")))
def test_an_address_is_read_as_ipaddress_reads_it(text: str) -> None:
    bare = text.partition("%")[0]
    try:
        wanted = ipaddress.ip_address(canonical_ip(bare))
    except ValueError:
        assert address_bits(bare) is None
        return
    assert address_bits(bare) == (wanted.version, int(wanted))


def test_a_mapped_address_is_the_ipv4_address() -> None:
    table = PrefixTable([(ipaddress.ip_network("10.0.0.0/8"), "ten"), (ipaddress.ip_network("::/0"), "six")])
    assert table.find("::ffff:10.1.2.3") == "ten"
    assert table.find("::ffff:11.1.2.3") is None
    assert table.find("::1") == "six"


def test_a_hundred_thousand_prefixes_answer_as_brute_force() -> None:
    chance = random.Random(1)
    prefixes: list[Network] = [
        ipaddress.IPv6Network((0x2001_0DB8 << 96 | chance.getrandbits(96), chance.randint(33, 128)), strict=False)
        for _ in range(100_000)
    ]
    table = PrefixTable([(n, n) for n in prefixes])
    by_length: dict[int, set[int]] = {}
    for n in prefixes:
        by_length.setdefault(n.prefixlen, set()).add(int(n.network_address))
    for network in chance.sample(prefixes, 2_000):
        address = int(network.network_address) | chance.getrandbits(128 - network.prefixlen or 1) & int(
            network.hostmask
        )
        wanted = next(
            length
            for length in sorted(by_length, reverse=True)
            if address >> (128 - length) << (128 - length) in by_length[length]
        )
        found = table.find(str(ipaddress.IPv6Address(address)))
        assert found is not None
        assert found.prefixlen == wanted
