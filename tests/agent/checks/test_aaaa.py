"""The judgement of check 1."""

from __future__ import annotations

import pytest

from agent.checks.aaaa import Measured, judge
from telemetry.verdict import Status

GOOD, OTHER, DOC, ULA, MAPPED = "240e::1", "2408::1", "2001:db8::1", "fd00::1", "::ffff:192.0.2.1"


@pytest.mark.parametrize(
    ("measured", "wanted"),
    [
        (Measured(False, "ok", (GOOD,)), Status.PASS),
        (Measured(False, "ok", (GOOD,), "", "ok", (GOOD,)), Status.PASS),
        (Measured(False, "ok", (GOOD,), "", "timeout"), Status.PASS),
        (Measured(False, "timeout", (), "", "ok", (GOOD,)), Status.PASS),
        (Measured(False, "nodata", (), "", "ok", (GOOD,)), Status.WARN),
        (Measured(False, "ok", (GOOD,), "", "ok", (GOOD, OTHER)), Status.WARN),
        (Measured(False, "ok", (GOOD, DOC)), Status.WARN),
        (Measured(False, "ok", (ULA,)), Status.FAIL),
        (Measured(True, "ok", (ULA,)), Status.PASS),
        (Measured(True, "ok", (DOC,)), Status.FAIL),
        (Measured(False, "ok", (MAPPED,)), Status.FAIL),
        (Measured(False, "nodata"), Status.FAIL),
        (Measured(False, "nxdomain"), Status.FAIL),
        (Measured(False, "timeout"), Status.NOT_TESTED),
        (Measured(False, "servfail", (), "", "refused"), Status.NOT_TESTED),
        (Measured(False, "no_server"), Status.NOT_TESTED),
    ],
)
def test_judgement(measured: Measured, wanted: Status) -> None:
    assert judge(measured).status == wanted
