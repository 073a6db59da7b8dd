from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.decoders import ndp
from agent.decoders.reassembly import MAX_PACKETS, Reassembly
from telemetry.errors import Permanent
from telemetry.validate import validate
from tests.agent.decoders.frames import advertisement, fragments, frame, prefix


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 8), st.booleans(), st.binary(max_size=64), st.integers(0, 1)), max_size=20))
def test_any_fragments_give_a_message_or_permanent_and_stay_bounded(
    parts: list[tuple[int, bool, bytes, int]],
) -> None:
    held = Reassembly()
    for offset, more, body, identification in parts:
        head = bytes([60, 0]) + (offset * 8 | more).to_bytes(2, "big") + bytes([0, 0, 0, identification])
        with contextlib.suppress(Permanent):
            message = ndp.locate(frame(head + body, 44))
            whole = held.add(message, 0.0) if message.part else message
            if whole and whole.type:
                validate(ndp.describe(whole, 0))
    assert len(held) <= 2
    for message in held.overdue(1.0):
        with contextlib.suppress(Permanent):
            validate(ndp.describe(message, 0))
    assert not len(held)


def test_a_message_is_put_together_in_any_order() -> None:
    whole = b"\x3a\x02" + bytes(22) + advertisement(prefix("2001:db8:bad::", 64, 1))
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        held = Reassembly()
        parts = [ndp.locate(one) for one in fragments(whole, 60, [16, 32])]
        found = [held.add(parts[number], 0.0) for number in order]
        assert found[:2] == [None, None]
        assert found[2]
        made = ndp.describe(found[2], 0)
        assert made["tengwang.ndp.prefixes"] == ["2001:db8:bad::/64"]
        assert made["tengwang.ndp.extension_headers"] == ["fragment", "destination"]
        assert not len(held)


@pytest.mark.parametrize("advertises_first", [True, False])
def test_of_overlapping_fragments_the_reading_that_advertises_is_given(advertises_first: bool) -> None:
    real, decoy = advertisement(), bytes([128]) + bytes(15)
    first, second = (real, decoy) if advertises_first else (decoy, real)
    held = Reassembly()
    head = b"\x3a\0\0\1\0\0\0\1"
    assert held.add(ndp.locate(frame(head + first, 44)), 0.0) is None
    assert held.add(ndp.locate(frame(head + second, 44)), 0.0) is None
    whole = held.add(ndp.locate(frame(b"\x3a\0\0\x10\0\0\0\1", 44)), 0.0)
    assert whole
    assert whole.type == ndp.ADVERTISE_ROUTER


def test_of_a_message_whose_rest_never_came_the_first_fragment_is_told() -> None:
    held = Reassembly()
    whole = advertisement(prefix("2001:db8:bad::", 64, 1), prefix("2001:db8::", 64, 1))
    assert held.add(ndp.locate(fragments(whole, 58, [56])[0]), 0.0) is None
    assert not list(held.overdue(0.0))
    (told,) = held.overdue(1.0)
    made = ndp.describe(told, 0)
    assert made["tengwang.ndp.prefixes"] == ["2001:db8:bad::/64"]
    assert "tengwang.ndp.malformed" not in made


def test_a_flood_of_first_fragments_is_bounded() -> None:
    held = Reassembly()
    for number in range(MAX_PACKETS):
        held.add(ndp.locate(fragments(bytes(32), 58, [16], number.to_bytes(4, "big"))[0]), 0.0)
    with pytest.raises(Permanent, match="many_fragments"):
        held.add(ndp.locate(fragments(bytes(32), 58, [16], b"more")[0]), 0.0)
    assert len(held) == MAX_PACKETS
