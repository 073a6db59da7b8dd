"""What MIB values mean."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decoders import mib
from agent.decoders.ber import Oid, Value


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (b"eth0\0", "eth0"),
        ("南昌".encode(), "南昌"),
        ("南昌".encode("gb18030"), "南昌"),
        (b"one\r\ntwo", "one  two"),
        (b"\xff\xfe\xff", "ÿþÿ"),
        (None, ""),
        (5, ""),
    ],
)
def test_text(raw: Value, wanted: str) -> None:
    assert mib.text(raw) == wanted


@pytest.mark.parametrize(
    ("object_id", "wanted"),
    [
        ((1, 3, 6, 1, 4, 1, 2011, 2, 23), "Huawei"),
        ((1, 3, 6, 1, 4, 1, 25506, 1), "H3C"),
        ((1, 3, 6, 1, 4, 1, 999_999, 1), "enterprise 999999"),
        ((1, 3, 6, 1, 2), ""),
        (None, ""),
    ],
)
def test_vendor(object_id: Value, wanted: str) -> None:
    assert mib.vendor(object_id) == wanted


V6 = tuple(ipaddress.ip_address("2001:db8::1").packed)


@pytest.mark.parametrize(
    ("index", "wanted"),
    [
        ((1, 4, 192, 0, 2, 1), "192.0.2.1"),
        ((2, 16, *V6), "2001:db8::1"),
        ((4, 20, *V6, 0, 0, 0, 3), "2001:db8::1"),
        ((3, 8, 192, 0, 2, 1, 0, 0, 0, 1), "192.0.2.1"),
        ((2, *V6), "2001:db8::1"),
        ((1, 192, 0, 2, 1), "192.0.2.1"),
        ((2, 16, *V6[:-1], 256), ""),
        ((16, 3, 1, 2, 3), ""),
        ((), ""),
    ],
)
def test_inet_address_index(index: Oid, wanted: str) -> None:
    assert mib.inet_address_index(index) == wanted


def test_ipv6_addr_index() -> None:
    assert mib.ipv6_addr_index((3, *V6)) == (3, "2001:db8::1")
    assert mib.ipv6_addr_index((3, 16, *V6)) == (3, "2001:db8::1")
    assert mib.ipv6_addr_index((3, *V6[:-1])) == (0, "")


def test_prefix_length() -> None:
    pointer = (1, 3, 6, 1, 2, 1, 4, 32, 1, 5, 1, 2, 16, *V6, 64)
    assert mib.prefix_length(pointer) == 64
    assert mib.prefix_length((0, 0)) is None
    assert mib.prefix_length(None, bytes((255, 255, 252, 0))) == 22
    assert mib.prefix_length(None, bytes((255, 0, 255, 0))) is None
    assert mib.prefix_length(None, bytes(4)) == 0


@pytest.mark.parametrize(
    ("ip", "wanted"),
    [("fe80::1", "link"), ("fd00::1", "unique-local"), ("2001:db8::1", "global"), ("::1", "host"), ("fec0::1", "site")],
)
def test_scope(ip: str, wanted: str) -> None:
    assert mib.scope(ip) == wanted


def test_named_and_mac() -> None:
    assert mib.named(7, mib.OPER_STATUS) == "lowerLayerDown"
    assert mib.named(99, mib.OPER_STATUS) == "99"
    assert mib.mac(bytes.fromhex("001b2cffee01")) == "00:1b:2c:ff:ee:01"
    assert mib.mac(b"") == ""


@given(st.lists(st.integers(0, 2**32 - 1), max_size=40).map(tuple), st.binary(max_size=64))
def test_any_index_and_any_octets(index: Oid, raw: bytes) -> None:
    for text in (mib.inet_address_index(index), mib.ipv6_addr_index(index)[1]):
        assert not text or ipaddress.ip_address(text)
    assert isinstance(mib.text(raw), str)
    length = mib.prefix_length(index, raw)
    assert length is None or 0 <= length <= 128
