"""A short run of the real thing: six faults each, on the embedded store and on three nodes of Elasticsearch."""

from __future__ import annotations

import pytest

from tests.chaos.run import run

pytestmark = [
    pytest.mark.needs("root", "snmpd", "radvd", "nginx", "bind9", "iproute2", "elasticsearch"),
    pytest.mark.timeout(600),
]


@pytest.mark.parametrize(("kind", "seed"), [("sqlite", 1), ("elastic", 2)])
def test_nothing_is_lost_or_doubled(kind: str, seed: int) -> None:
    lines: list[str] = []
    outcome = run(kind, 6, seed, lines.append)
    assert outcome.problems == (), "\n".join(lines)
    assert outcome.faults == 6
    assert outcome.events > 200
