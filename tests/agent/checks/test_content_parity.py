"""The judgement of check 13, with difflib as oracle for the measure of difference."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.checks.content_parity import Config, Measured, judge, quick_ratio, stripped
from agent.probe import Visit
from agent.web import Page
from telemetry.verdict import Status

TEXT = ("政务公开 " * 100).encode()


def visit(body: bytes, status: int = 200, error: str = "") -> Visit:
    return Visit("https://www.example.gov:443/", Page("240e::1", error, status, body=body))


@pytest.mark.parametrize(
    ("six", "four", "wanted"),
    [
        (visit(TEXT), visit(TEXT), Status.PASS),
        (visit(TEXT), visit(TEXT + b"x" * 50), Status.PASS),
        (visit(TEXT), visit(TEXT + b"x" * 500), Status.FAIL),
        (visit(TEXT), visit(TEXT, 302), Status.FAIL),
        (visit(b""), visit(b""), Status.PASS),
        (visit(TEXT, 404), visit(TEXT, 404), Status.PASS),
        (visit(b"", 0, "refused"), visit(TEXT), Status.NOT_TESTED),
        (visit(TEXT), None, Status.NOT_TESTED),
    ],
)
def test_judgement(six: Visit | None, four: Visit | None, wanted: Status) -> None:
    assert judge(Measured(six, four, True, True), Config()).status == wanted


def test_what_changes_from_visit_to_visit_is_no_difference() -> None:
    page = b"""<script nonce="%s">go()</script><meta content="script-src 'nonce-%s'">
    <input type="hidden" name="__VIEWSTATE" id="__VIEWSTATE" value="%s" /><input name='csrf-token' value='%s'>"""
    one, other = (page % ((value,) * 4) for value in (b"aaaa", b"zzzzzzzzzzzzzzzz"))
    assert stripped(one) == stripped(other)
    assert "go()" in stripped(one)


@given(st.text(max_size=60), st.text(max_size=60))
def test_the_difference_is_that_of_difflib(one: str, other: str) -> None:
    assert quick_ratio(one, other) == pytest.approx(difflib.SequenceMatcher(None, one, other).quick_ratio())


@given(st.binary(max_size=400))
def test_any_body(body: bytes) -> None:
    assert judge(Measured(visit(body), visit(body), True, True), Config()).status == Status.PASS
