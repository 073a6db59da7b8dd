"""The index asks few rules and never leaves one out that would hit."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.detect import pattern
from collector.detect.field_index import MAX_REMEMBERED, FieldIndex
from collector.detect.index import Index
from collector.detect.rule import Rule
from collector.detect.values import Prefix
from tests.collector.detect.sigma_text import HEAD, rule


def rules(items: list[str]) -> list[Rule]:
    return [
        rule(f"  a:\n    {item}\n  condition: a", HEAD.replace("444455556666", f"{number:012d}"))
        for number, item in enumerate(items)
    ]


def asked(items: list[str], field: str, value: object) -> list[int]:
    """Numbers of the rules whose own test is run for a value."""
    made: list[int] = []

    class Counted:
        def __init__(self, number: int, one: Rule) -> None:
            self.datasets, self.keys = one.datasets, one.keys
            self.match = lambda event: made.append(number) or one.match(event)  # type: ignore[func-returns-value]

    Index([Counted(number, one) for number, one in enumerate(rules(items))]).hits(
        {"event.dataset": "tengwang.flow", field: value}
    )
    return made


@pytest.mark.parametrize(
    ("field", "items", "value", "wanted"),
    [
        ("host.name", [f"host.name: h{n}" for n in range(50)], "H7", [7]),
        ("host.name", [f"host.name|startswith: h{n}-" for n in range(50)], "h7-x", [7]),
        ("host.name", [f"host.name|endswith: .d{n}" for n in range(50)], "x.d7", [7]),
        ("host.name", [f"host.name|contains: -{n}-" for n in range(50)], "x-7-y-9-", [7, 9]),
        ("host.name", [f"host.name|re: 'x+name{n}z'" for n in range(50)], "xname7z", [7]),
        ("host.name", [f"host.name: 'a*middle{n}.*'" for n in range(3)], "b", []),
        ("host.name", ["host.name|contains: 腾", "host.name|contains: 网"], "滕网", [1]),
        ("source.ip", [f"source.ip|cidr: 10.{n}.0.0/16" for n in range(50)], "10.7.1.1", [7]),
        ("source.ip", [f"source.ip|cidr: '2001:db8:{n:x}::/48'" for n in range(50)], "2001:db8:7::1", [7]),
        ("network.bytes", [f"network.bytes|gte: {n}" for n in range(50)], 2, [0, 1, 2]),
        ("network.bytes", [f"network.bytes|gt: {n}" for n in range(50)], 2, [0, 1]),
        ("network.bytes", [f"network.bytes|lte: {n}" for n in range(50)], 48, [48, 49]),
        ("network.bytes", [f"network.bytes|lt: {n}" for n in range(50)], 48, [49]),
    ],
)
def test_only_what_may_hit_is_asked(field: str, items: list[str], value: object, wanted: list[int]) -> None:
    assert asked(items, field, value) == wanted


WORDS = st.text("abAB.*?-腾", min_size=1, max_size=6)
ITEM = st.one_of(
    st.tuples(st.sampled_from(["", "|contains", "|startswith", "|endswith", "|cased", "|contains|cased"]), WORDS),
    st.tuples(st.sampled_from(["|gt", "|gte", "|lt", "|lte"]), st.integers(-3, 3)),
    st.tuples(st.just("|cidr"), st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", "::/0", "fe80::/10", "0.0.0.0/0"])),
    st.tuples(st.just("|re"), st.sampled_from(["ab+", "(?i)aB", "a.b", "x|ab", "(ab)?b", "[ab]B", "^a", "b$"])),
)
VALUE = st.one_of(
    st.text("abAB.-腾ſıK", max_size=8),
    st.integers(-4, 4),
    st.floats(),
    st.booleans(),
    st.none(),
    st.sampled_from(["10.1.2.3", "fe80::1", "::ffff:10.0.0.1", "1", "-2.5"]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ITEM, min_size=1, max_size=6), st.lists(st.one_of(VALUE, st.lists(VALUE, max_size=3)), max_size=8))
def test_through_the_index_the_same_rules_hit(drawn: list[tuple[str, object]], values: list[object]) -> None:
    import json

    made = rules([f"host.name{modifier}: {json.dumps(value)}" for modifier, value in drawn])
    index = Index(made)
    for value in [*values, *values]:  # the second time from memory
        event = {"event.dataset": "tengwang.flow", "host.name": value}
        assert index.hits(event) == [number for number, one in enumerate(made) if one.match(event)], value


@settings(max_examples=300)
@given(
    st.text("ab[]()|?*+.iks", max_size=10), st.text("abiksIKSſıK.", max_size=12), st.sampled_from([0, re.IGNORECASE])
)
def test_the_piece_of_a_pattern_is_in_every_text_that_has_the_pattern(regex: str, text: str, flags: int) -> None:
    try:
        found = pattern.search(regex, flags)
    except pattern.Unsupported:
        return
    if found(text):
        assert pattern.literal(regex, flags) in text.lower()


def test_what_is_remembered_is_bounded() -> None:
    index = FieldIndex()
    index.add(1, "is", "x")
    index.add(2, "net", Prefix(4, 8, 10))
    index.seal()
    for number in range(MAX_REMEMBERED + 100):
        index.find(f"v{number}")
    assert len(index.memory) <= MAX_REMEMBERED
    assert index.find("x" * 1000) == ()
    assert "x" * 1000 not in index.memory
