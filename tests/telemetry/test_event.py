from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.clock import iso, parse_iso, utc_day
from telemetry.event import canonical_ip, event_id
from telemetry.validate import DATE_MAX


@given(st.ip_addresses(v=6))
def test_addresses_become_rfc_5952_text(address: ipaddress.IPv6Address) -> None:
    text = canonical_ip(address.exploded.upper())
    assert canonical_ip(text) == text
    assert text == str(address.ipv4_mapped or address)


def test_zones_and_mapped_addresses() -> None:
    assert canonical_ip("fe80::1%eth0") == "fe80::1"
    assert canonical_ip("::ffff:192.0.2.1") == "192.0.2.1"
    with pytest.raises(ValueError):
        canonical_ip("2001:db8::g")


@given(st.integers(0, DATE_MAX))
def test_times_survive_the_way_to_text_and_back(ms: int) -> None:
    assert parse_iso(iso(ms)) == ms
    assert iso(ms).startswith(utc_day(ms))


def test_a_time_with_a_zone_and_one_without() -> None:
    assert parse_iso("2026-11-23T16:30:00+08:00") == parse_iso("2026-11-23T08:30:00")
    assert iso(parse_iso("2026-11-23T16:30:00+08:00")) == "2026-11-23T08:30:00.000Z"


def test_an_event_id_is_made_of_agent_epoch_and_sequence() -> None:
    assert event_id("a1", 5, 7) == "a1-5-7"
