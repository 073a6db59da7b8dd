from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.errors import Permanent
from telemetry.event import Value, event
from telemetry.fields import BY_NAME, Type
from telemetry.validate import MAX_FIELDS, MAX_LIST, unknown, validate

SAMPLES: dict[Type, tuple[list[object], list[object]]] = {
    Type.KEYWORD: (["a", ""], [1, None, "x" * 5000, ["a", 1]]),
    Type.TEXT: (["满"], [b"a", "x" * 70_000]),
    Type.JSON: (["{}"], [{"a": 1}]),
    Type.LONG: ([0, -(2**63), 2**63 - 1], [2**63, 1.0, True, "1"]),
    Type.DOUBLE: ([0.5, 3], [float("nan"), float("inf"), "1", True]),
    Type.BOOLEAN: ([True, False], [0, "true"]),
    Type.IP: (["::1", "2001:db8::1", "192.0.2.1"], ["2001:DB8::1", "::0001", "fe80::1%eth0", "1.2.3", 5]),
    Type.DATE: ([0, 1_790_000_000_000], [-1, 10**16, 1.5, "2026"]),
}


def made(**more: Value) -> dict[str, object]:
    return {**event(1_790_000_000_000, "tengwang.host", "host"), **more}


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_each_field_takes_its_own_type_and_nothing_else(name: str) -> None:
    right, wrong = SAMPLES[BY_NAME[name].type]
    for value in right:
        assert validate({**made(), name: value})[name] == value
    for value in wrong:
        with pytest.raises(Permanent, match="wrong_type"):
            validate({**made(), name: value})


def test_a_list_only_where_the_field_may_have_many() -> None:
    assert validate(made(**{"host.ip": ["::1", "192.0.2.1"]}))
    with pytest.raises(Permanent, match="wrong_type"):
        validate(made(**{"source.ip": ["::1"]}))
    with pytest.raises(Permanent, match="wrong_type"):
        validate(made(**{"host.ip": ["::1"] * (MAX_LIST + 1)}))


def test_unknown_fields_are_named() -> None:
    assert unknown(made(**{"new.field": 1})) == ["new.field"]
    with pytest.raises(Permanent, match=r"unknown_field: new\.field"):
        validate(made(**{"new.field": 1}))


def test_missing_and_too_many_fields() -> None:
    with pytest.raises(Permanent, match="missing_field: @timestamp"):
        validate({"event.dataset": "tengwang.host", "event.action": "host"})
    with pytest.raises(Permanent, match="too_many_fields"):
        validate({str(n): 1 for n in range(MAX_FIELDS + 1)})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(sorted(BY_NAME)) | st.text(max_size=10), VALUES, max_size=8))
def test_anything_is_an_event_or_permanent(candidate: dict[str, object]) -> None:
    try:
        assert validate(candidate) is candidate
    except Permanent as error:
        assert error.reason in {"unknown_field", "wrong_type", "missing_field", "too_many_fields"}
