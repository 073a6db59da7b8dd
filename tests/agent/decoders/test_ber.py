"""BER as SNMP uses it: known encodings, devices' odd ones, and any bytes at all."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decoders import ber
from telemetry.errors import Permanent

SUBIDS = st.integers(0, 2**32 - 1)
OIDS = st.tuples(st.integers(0, 2), st.integers(0, 39), *[SUBIDS] * 4)


@pytest.mark.parametrize(
    ("hexadecimal", "wanted"),
    [
        ("0201ff", -1),
        ("020100", 0),
        ("02020080", 128),
        ("410500ffffffff", 0xFFFFFFFF),
        ("4104ffffffff", 0xFFFFFFFF),  # without the leading zero: an agent's mistake, read as what it means
        ("4608ffffffffffffffff", 2**64 - 1),
        ("4301ff", 255),
        ("0403616263", b"abc"),
        ("4004c0000201", b"\xc0\x00\x02\x01"),
        ("06062b0601020101", (1, 3, 6, 1, 2, 1, 1)),
        ("0603883703", (2, 999, 3)),
        ("0500", None),
        ("8000", ber.Absent.NO_SUCH_OBJECT),
        ("8200", ber.Absent.END_OF_MIB_VIEW),
        ("0481036162 63", b"abc"),
        ("45020102", b"\x01\x02"),  # NsapAddress: kept as bytes
    ],
)
def test_values(hexadecimal: str, wanted: ber.Value) -> None:
    data = bytes.fromhex(hexadecimal)
    assert ber.value(data, 0, len(data)) == (wanted, len(data))


@pytest.mark.parametrize(
    "hexadecimal", ["", "02", "0200", "0202ff", "04850000000001", "0480", "0602ff", "060188", "4100", "0605ffffffff7f"]
)
def test_what_is_no_value_is_refused(hexadecimal: str) -> None:
    data = bytes.fromhex(hexadecimal)
    with pytest.raises(Permanent):
        ber.value(data, 0, len(data))


@given(OIDS)
def test_an_object_identifier_comes_back(parts: ber.Oid) -> None:
    encoded = ber.encode_oid(parts)
    assert ber.value(encoded, 0, len(encoded)) == (parts, len(encoded))


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_integer_comes_back(number: int) -> None:
    encoded = ber.encode_integer(number)
    assert ber.integer(encoded, 0, len(encoded)) == (number, len(encoded))


@given(st.integers(0, 70_000))
def test_lengths_of_every_size(size: int) -> None:
    encoded = ber.element(ber.OCTETS, bytes(size))
    assert ber.octets(encoded, 0, len(encoded)) == (bytes(size), len(encoded))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_permanent(data: bytes) -> None:
    with contextlib.suppress(Permanent):
        _, end = ber.value(data, 0, len(data))
        assert 2 <= end <= len(data)
