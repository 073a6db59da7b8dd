from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decoders.flow_templates import MOST_TEMPLATES, VARIABLE, Field, Template, Templates
from telemetry.errors import Permanent

FIELDS = st.lists(
    st.builds(
        Field,
        st.integers(0, 0x7FFF) | st.sampled_from([1, 4, 8, 27, 34, 82, 311]),
        st.integers(0, 20) | st.sampled_from([VARIABLE, 65_534]),
        st.sampled_from([0, 29305, 9]),
    ),
    max_size=300,
)


@given(FIELDS, st.integers(0, 3), st.binary(max_size=500))
def test_any_template_and_any_bytes_give_records_or_permanent(fields: list[Field], scope: int, data: bytes) -> None:
    with contextlib.suppress(Permanent):
        made = list(Template(tuple(fields), scope).records(data))
        assert len(made) <= len(data)
        for record in made:
            assert all(isinstance(value, int | bytes) for value in record.values())


def test_numbers_of_odd_lengths_are_numbers_and_what_is_not_used_is_stepped_over() -> None:
    made = Template((Field(1, 3), Field(9999, 2), Field(7, 2), Field(56, 6), Field(1, 4, enterprise=77)))
    data = b"\0\1\2" + b"xx" + b"\0\x50" + b"\2\0\0\0\0\1" + b"yyyy"
    wanted = {"bytes": 258, "source_port": 80, "source_mac": b"\2\0\0\0\0\1"}
    assert list(made.records(data + data + b"\0\0")) == [wanted, wanted]


def test_variable_lengths_short_and_long_stand_between_numbers() -> None:
    made = Template((Field(82, VARIABLE), Field(1, 4), Field(460, VARIABLE), Field(2, VARIABLE)))
    data = b"\x03eth" + b"\0\0\0\x07" + b"\xff\x01\0" + bytes(256) + b"\x02\1\0"
    assert list(made.records(data)) == [{"bytes": 7, "packets": 256}]
    with pytest.raises(Permanent, match="short_record"):
        list(made.records(data[:-1]))


def test_records_of_no_bytes_are_refused() -> None:
    with pytest.raises(Permanent, match="empty_record"):
        Template((Field(1, 0), Field(2, 0)))
    with pytest.raises(Permanent, match="empty_record"):
        Template(())


def test_a_flood_of_templates_pushes_out_the_oldest_and_no_more_are_held() -> None:
    held = Templates()
    for number in range(100_000):
        held.define(256 + number, (Field(number % 400 + 1, 4),))
    assert len(held) == MOST_TEMPLATES
    assert held.left_out == 100_000 - MOST_TEMPLATES
    assert held.get(256) is None


def test_what_was_kept_is_there_again() -> None:
    held, again = Templates(), Templates()
    held.define(256, (Field(8, 4), Field(1, 4, 29305)))
    held.define(257, (Field(302, 4), Field(305, 4)), 1)
    again.load(held.dump())
    assert again.dump() == held.dump()
    before = again.changed
    again.withdraw_all(options=True)
    assert (before, again.changed) == (False, True)
    assert again.get(257) is None
    assert again.get(256) is not None
