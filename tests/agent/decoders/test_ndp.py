from __future__ import annotations

import contextlib
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.decoders import ndp, pcap
from telemetry.errors import Permanent
from telemetry.validate import validate
from tests.agent.decoders.frames import SOURCE, advertisement, frame, prefix
from tests.agent.inputs.pair import ROOT

FRAMES = [record.frame for record in pcap.records((ROOT / "tests" / "captures" / "ndp.pcap").read_bytes())]


@settings(max_examples=300)
@given(st.binary(max_size=150), st.sampled_from([58, 0, 43, 44, 60]), st.integers(133, 137))
def test_any_bytes_give_an_event_or_permanent(data: bytes, first: int, kind: int) -> None:
    for candidate in (data, frame(data, first), frame(bytes([kind]) + data)):
        with contextlib.suppress(Permanent):
            validate(ndp.decode(candidate, 0))


@settings(max_examples=200)
@given(st.sampled_from(FRAMES), st.data())
def test_a_changed_message_gives_an_event_or_permanent(whole: bytes, data: st.DataObject) -> None:
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Permanent):
        validate(ndp.decode(bytes(changed), 0))


def test_every_option_of_an_advertisement_is_read() -> None:
    made = ndp.decode(
        frame(advertisement(prefix("2001:db8:1::", 64, 100), prefix("2001:db8:2::9", 64, 900), b"\1\1\2\0\0\0\0\1")), 5
    )
    assert made["tengwang.ndp.prefixes"] == ["2001:db8:1::/64", "2001:db8:2::/64"]
    assert made["tengwang.ndp.prefix_valid_lifetime"] == 900
    assert made["tengwang.ndp.source_lladdr"] == "02:00:00:00:00:01"
    assert (made["tengwang.ndp.managed"], made["tengwang.ndp.other"]) == (True, True)
    assert (made["tengwang.ndp.preference"], made["tengwang.ndp.router_lifetime"]) == ("high", 1800)
    assert made["@timestamp"] == 5


def test_a_redirect_says_where_to_and_what() -> None:
    body = bytes([137, 0, 0, 0]) + bytes(4) + SOURCE + socket.inet_pton(socket.AF_INET6, "2001:db8::7")
    made = ndp.decode(frame(body + b"\2\1\2\0\0\0\0\5"), 0)
    assert made["tengwang.ndp.target"] == "fe80::1"
    assert made["tengwang.ndp.redirected"] == "2001:db8::7"
    assert made["tengwang.ndp.target_lladdr"] == "02:00:00:00:00:05"


def test_a_forged_hop_limit_and_an_atomic_fragment_are_shown() -> None:
    made = ndp.decode(frame(b"\x3a\0\0\0\1\2\3\4" + advertisement(), 44, hop_limit=64), 0)
    assert made["tengwang.ndp.hop_limit"] == 64
    assert made["tengwang.ndp.fragmented"] is True
    assert made["tengwang.ndp.extension_headers"] == ["fragment"]


@pytest.mark.parametrize("option", [b"\1\0" + bytes(6), b"\1\2" + bytes(6), b"\1", prefix("2001:db8::", 129, 1)])
def test_an_advertisement_with_broken_options_is_shown_as_malformed(option: bytes) -> None:
    made = ndp.decode(frame(advertisement(prefix("2001:db8:bad::", 64, 1), option)), 0)
    assert made["tengwang.ndp.malformed"] is True
    assert made["tengwang.ndp.prefixes"] == ["2001:db8:bad::/64"]


@pytest.mark.parametrize("kind", ndp.FIXED)
def test_a_message_shorter_than_its_fixed_part_is_refused(kind: int) -> None:
    with pytest.raises(Permanent, match="short_nd"):
        ndp.decode(frame((bytes([kind]) + bytes(50))[: ndp.FIXED[kind] - 1]), 0)


def test_a_chain_without_end_is_refused() -> None:
    with pytest.raises(Permanent, match="long_chain"):
        ndp.decode(frame((b"\x3c\0" + bytes(6)) * 20, 60), 0)
