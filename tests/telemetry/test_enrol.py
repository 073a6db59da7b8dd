from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.enrol import Host, Token, parse_token
from telemetry.errors import Permanent

TOKEN = Token("0123456789abcdef", "s" * 32, "f" * 64)


def test_a_token_reads_back_and_its_repr_hides_the_secret() -> None:
    assert parse_token(f"  {TOKEN}\n") == TOKEN
    assert TOKEN.secret not in repr(TOKEN)


@given(st.text(max_size=200))
def test_any_text_is_a_token_or_permanent(text: str) -> None:
    try:
        parse_token(text)
    except Permanent as error:
        assert error.reason == "bad_token"


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (Host("m1", "a", ("02:00:00:00:00:01", "02:00:00:00:00:02")), True),
        (Host("m1", "renamed", ("02:00:00:00:00:01",)), True),
        (Host("m1", "a", ("02:00:00:00:00:09",)), False),
        (Host("m2", "a", ("02:00:00:00:00:01",)), False),
        (Host("m1", "a"), True),
        (Host("m1", "b"), False),
    ],
)
def test_which_hosts_are_the_same(other: Host, same: bool) -> None:
    assert Host("m1", "a", ("02:00:00:00:00:01",)).same_as(other) is same
