from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decoders import addresses
from telemetry.errors import Permanent
from telemetry.event import canonical_ip


@given(st.ip_addresses())
def test_packed_addresses_become_the_text_that_events_use(address: ipaddress.IPv4Address) -> None:
    assert addresses.text(address.packed) == canonical_ip(str(address))


def test_an_ipv4_mapped_address_is_told_as_ipv4() -> None:
    assert addresses.text(ipaddress.ip_address("::ffff:192.0.2.1").packed) == "192.0.2.1"


@given(st.binary(max_size=40))
def test_any_other_length_is_permanent(packed: bytes) -> None:
    if len(packed) in (4, 16):
        assert ipaddress.ip_address(addresses.text(packed))
    else:
        with pytest.raises(Permanent, match="bad_address"):
            addresses.text(packed)


@pytest.mark.parametrize(
    ("octets", "expected"),
    [(b"\x02\x00\x00\xab\xcd\xef", "02:00:00:ab:cd:ef"), (bytes(8), "00:00:00:00:00:00:00:00"), (b"", "")],
)
def test_link_layer_addresses_are_lower_case_with_colons(octets: bytes, expected: str) -> None:
    assert addresses.mac(octets) == expected
