"""The search language: what each kind of term means, what a mistake says, and that no text breaks it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.query import AnyOf, Cidr, Condition, Contains, Equals, Exists, Not, Range, Search
from collector.query_normal import search
from collector.search_text import FREE_ADDRESS, FREE_TEXT, parse
from telemetry.errors import Permanent


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("", ()),
        ("src:2001:db8::1", (Equals("source.ip", ("2001:db8::1",)),)),
        ("src:2001:DB8:0::/32", (Cidr("source.ip", "2001:db8::/32"),)),
        ("source.ip:10.1.2.3/8", (Cidr("source.ip", "10.0.0.0/8"),)),
        ("src:::ffff:10.0.0.1", (Equals("source.ip", ("10.0.0.1",)),)),
        ("port:443", (Equals("destination.port", (443,)),)),
        ("port:80,443", (Equals("destination.port", (80, 443)),)),
        ("port:>=1024", (Range("destination.port", low=1024),)),
        ("port:>1024", (Range("destination.port", low=1025),)),
        ("port:<=1024", (Range("destination.port", high=1025),)),
        ("port:80..90", (Range("destination.port", 80, 90),)),
        ("@timestamp:2026-11-23T08:00:00Z..", (Range("@timestamp", low=1795420800000),)),
        ("rule.id:*", (Exists("rule.id"),)),
        ("host:*portal*", (Contains("host.name", "portal"),)),
        ("message:refused", (Contains("message", "refused"),)),
        ('message:"was refused"', (Contains("message", "was refused"),)),
        (r'agent:"a \"b\" \\c"', (Equals("agent.name", (r'a "b" \c',)),)),
        ("-action:flow", (Not(Equals("event.action", ("flow",))),)),
        ("tengwang.asset.cii:true", (Equals("tengwang.asset.cii", (True,)),)),
        (
            "dataset:tengwang.flow zone:office",
            (Equals("event.dataset", ("tengwang.flow",)), Equals("tengwang.zone", ("office",))),
        ),
        ("refused", (AnyOf(tuple(Contains(name, "refused") for name in FREE_TEXT)),)),
        ('"http: refused"', (AnyOf(tuple(Contains(name, "http: refused") for name in FREE_TEXT)),)),
        ("2001:db8::7", (AnyOf(tuple(Equals(name, ("2001:db8::7",)) for name in FREE_ADDRESS)),)),
        ("10.0.0.0/8", (AnyOf(tuple(Cidr(name, "10.0.0.0/8") for name in FREE_ADDRESS)),)),
        ("-refused", tuple(Not(Contains(name, "refused")) for name in FREE_TEXT)),
        ("fe80:", None),
    ],
)
def test_a_term_means_what_it_says(text: str, means: tuple[Condition, ...] | None) -> None:
    if means is None:
        with pytest.raises(Permanent):
            parse(text)
    else:
        assert parse(text) == means


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sorce.ip:::1", "did you mean 'source.ip'"),
        ("src:nonsense", "an address or a prefix"),
        ("src:2001:db8::/129", "not a prefix"),
        ("port:http", "takes a number"),
        ("port:99999999999999999999", "takes a number"),
        ("tengwang.asset.cii:maybe", "true or false"),
        ("@timestamp:>=yesterday", "a time such as"),
        ('message:"open', "not closed"),
        ("port:", "value is missing"),
        ("a " * 33, "at most 32 terms"),
        ("x" * 501, "at most 500 characters"),
        ('""', "nothing between"),
    ],
)
def test_a_mistake_says_what_to_write(text: str, says: str) -> None:
    with pytest.raises(Permanent) as caught:
        parse(text)
    assert caught.value.reason == "bad_query"
    assert says in caught.value.detail


PIECES = st.sampled_from(
    ["src:", "-", "port:", ">=", "..", '"', "\\", "*", "::1", "/64", "10.0.0.1", "a,b", " ", "中", "\x00"]
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=12).map("".join)))
def test_any_text_is_conditions_the_store_takes_or_a_mistake(text: str) -> None:
    try:
        made = parse(text)
        search(Search(0, 1, made))
    except Permanent as error:
        assert error.reason == "bad_query"
