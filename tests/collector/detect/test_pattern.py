from __future__ import annotations

import contextlib
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.detect.pattern import Unsupported, search

ATOMS = [
    "a",
    "b",
    ".",
    "[ab]",
    "[^a]",
    r"\w",
    r"\d",
    r"\s",
    r"\b",
    r"\B",
    "^",
    "$",
    r"\A",
    r"\Z",
    "1",
    " ",
    "\n",
    "é",
    "()",
]
PATTERNS = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "*?", "{0,2}", "{2}", "{1,}"])).map(
            lambda t: f"(?:{t[0]}){t[1]}"
        ),
        inner.map(lambda i: f"(?i:{i})"),
    ),
    max_leaves=8,
)
TEXTS = st.text(alphabet="abAB1_ \né.", max_size=12)
FLAGS = st.sampled_from([0, re.IGNORECASE, re.MULTILINE, re.DOTALL, re.IGNORECASE | re.MULTILINE | re.DOTALL])


@settings(max_examples=1500)
@given(PATTERNS, FLAGS, st.lists(TEXTS, min_size=1, max_size=4))
def test_it_answers_as_re_does(pattern: str, flags: int, texts: list[str]) -> None:
    mine, theirs = search(pattern, flags), re.compile(pattern, flags)
    for text in texts:
        if not text and r"\B" in pattern:
            continue  # Python before 3.14 says that nothing is not "no boundary"
        assert mine(text) == bool(theirs.search(text)), text


@settings(max_examples=300)
@given(st.text(alphabet="ab.*+?()[]{}|^$\\,1-<>=!:iP", max_size=25), st.text(max_size=10))
def test_any_pattern_is_run_or_refused(pattern: str, text: str) -> None:
    with contextlib.suppress(Unsupported):
        search(pattern)(text)


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|a)*b", r"(.*)*x", r"a*a*a*a*a*a*b", r"(a|aa|aaa)+c"])
def test_hostile_text_takes_linear_time(pattern: str) -> None:
    test = search(pattern)
    started = time.process_time()
    assert not test("a" * 60_000 + "!")
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"(a)\1", "groupref"),
        ("(?=a)b", "assert"),
        ("(?<!a)b", "assert"),
        ("(?>a)", "atomic"),
        ("((a{99}){99}){9}", "states"),
    ],
)
def test_what_it_does_not_run_is_refused_with_the_reason(pattern: str, why: str) -> None:
    with pytest.raises(Unsupported, match=why):
        search(pattern)


def test_what_it_remembers_is_bounded() -> None:
    test = search("[^x]{3}x")
    assert not test("".join(map(chr, range(32, 0xD7FF))).replace("x", "")[:50_000])
    assert test("abcx")
