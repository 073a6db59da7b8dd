"""Which addresses a published system may stand at."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import address_class


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("240e::1", "global"),
        ("2001:db8::1", "documentation"),
        ("3fff::1", "documentation"),
        ("::ffff:192.0.2.1", "mapped"),
        ("fd00::1", "unique-local"),
        ("fe80::1%eth0", "link-local"),
        ("2002:c000:201::1", "6to4"),
        ("2001::1", "teredo"),
        ("ff02::1", "multicast"),
        ("::1", "loopback"),
        ("::", "reserved"),
        ("4000::1", "reserved"),
        ("192.0.2.1", "malformed"),
        ("", "malformed"),
    ],
)
def test_kind(address: str, kind: str) -> None:
    assert address_class.kind(address) == kind


def test_unique_local_is_for_systems_that_are_not_published() -> None:
    assert address_class.usable("fd00::1", private=True)
    assert not address_class.usable("fd00::1", private=False)
    assert not address_class.usable("2001:db8::1", private=True)


@given(st.integers(0, 2**128 - 1))
def test_what_counts_as_global_is_global_to_the_standard_library_too(number: int) -> None:
    address = ipaddress.IPv6Address(number)
    if address_class.kind(str(address)) == "global":
        assert address in ipaddress.IPv6Network("2000::/3")
        assert not address.is_multicast
        assert not address.is_private or address in ipaddress.IPv6Network("2001::/16")


@pytest.mark.parametrize("address", ["::1", "::", "fe80::1", "ff02::1", "::ffff:192.0.2.1", "127.0.0.1", "0.0.0.0", ""])
def test_what_is_never_connected_to(address: str) -> None:
    assert not address_class.approachable(address)


@pytest.mark.parametrize("address", ["240e::1", "fd00::1", "192.0.2.1", "10.0.0.1"])
def test_what_may_be_connected_to(address: str) -> None:
    assert address_class.approachable(address)
