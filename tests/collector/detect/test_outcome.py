"""What is kept as a hit, how often, and that a repeated event gives the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.detect import Detector, build
from collector.detect.memory import Recent
from collector.query import Kind
from collector.store import Record
from telemetry.clock import ManualClock
from telemetry.event import Event
from telemetry.fields import BY_NAME
from telemetry.report import Report
from telemetry.validate import validate
from tests.collector.detect.correlating import BASES, IDS, NOW, correlation, event

DOWN = """title: down
id: 5f6d1e0a-1111-4222-8333-444455557777
logsource: {product: tengwang, category: device, service: snmp}
detection:
  s: {tengwang.interface.oper_status: down}
  condition: s
tengwang:
  over:
    quiet: 20m
    proof:
      logsource: {product: tengwang, category: device, service: snmp}
      detection: {up: {tengwang.interface.oper_status: up}, condition: up}
      by: [tengwang.device.id, tengwang.interface.name]
"""
MINUTE = 60_000
KEY = '5f6d1e0a-1111-4222-8333-444455557777 ["r1","eth0"]'


@pytest.fixture
def detector(tmp_path: Path) -> Detector:
    path = tmp_path / "rules.yml"
    every = [
        correlation("type: event_count, rules: [a], group-by: [source.ip], timespan: 5m, condition: {gte: 3}"),
        correlation("type: value_sum, rules: [b], timespan: 5m, condition: {gte: 3, field: network.bytes}", "outer"),
    ]
    path.write_text("---\n".join([*BASES, *every, DOWN]), encoding="utf-8")
    clock = ManualClock(NOW)
    made = build([path], Report(clock), clock, "collector-1")
    assert [str(p) for p in made.problems()] == []
    return made


def interface(number: int, status: str, at: int, **more: object) -> Event:
    made = event(number, at=at, event__dataset="tengwang.snmp", tengwang__interface__oper_status=status)
    made.update({"tengwang.device.id": "r1", "tengwang.interface.name": "eth0", **more})  # type: ignore[dict-item]
    return made


def proofs(records: list[Record]) -> list[str]:
    return [str(r.doc["tengwang.hit.group"]) for r in records if r.doc.get("tengwang.hit.role") == "proof"]


def test_a_hit_is_a_whole_record(detector: Detector) -> None:
    (hit,) = detector.detect(event(1, network__type="ipv6"))
    validate(hit.doc)
    assert hit.kind is Kind.HIT
    assert hit.doc == {
        "@timestamp": NOW,
        "agent.id": "agent-1",
        "destination.port": 1,
        "event.action": "base",
        "event.dataset": "tengwang.hit",
        "event.id": hit.id,
        "event.kind": "event",
        "network.type": "ipv6",
        "rule.id": IDS["a"],
        "source.ip": "10.0.0.1",
        "tengwang.alert.event_ids": ["agent-1-1"],
        "tengwang.collector.id": "collector-1",
        "tengwang.hit.group": '["10.0.0.1"]',
        "tengwang.hit.role": "base",
        "tengwang.hit.rule": IDS["c"],
    }
    assert detector.detect(event(1, network__type="ipv6"))[0].id == hit.id
    assert detector.detect(event(2, network__type="ipv6"))[0].id != hit.id


def test_a_number_counts_by_its_value_and_what_is_none_does_not(detector: Detector) -> None:
    (hit,) = detector.detect(event(1, 2, network__bytes=42))
    assert hit.doc["tengwang.hit.value"] == "42"
    assert detector.detect(event(2, 2)) == []


def test_the_good_state_is_the_proof_with_the_key_of_the_alert(detector: Detector) -> None:
    (alert,) = detector.detect(interface(1, "down", NOW))
    assert alert.doc["tengwang.alert.key"] == KEY
    made = detector.detect(interface(2, "up", NOW + MINUTE))
    assert proofs(made) == [KEY]
    assert made[0].doc["tengwang.hit.rule"] == alert.doc["rule.id"]
    validate(made[0].doc)


def test_proofs_are_kept_soon_where_they_are_needed_and_seldom_where_not(detector: Detector) -> None:
    kept = [m for m in range(180) if detector.detect(interface(m, "up", NOW + m * MINUTE))]
    assert kept == [0, 60, 120]
    detector.watch(frozenset([KEY]))
    kept = [m for m in range(180, 200) if detector.detect(interface(m, "up", NOW + m * MINUTE))]
    assert kept == [180, 185, 190, 195]
    detector.watch(frozenset())
    detector.detect(interface(500, "down", NOW + 201 * MINUTE))
    assert proofs(detector.detect(interface(501, "up", NOW + 202 * MINUTE))) == [KEY]


def test_a_proof_about_nothing_is_none(detector: Detector) -> None:
    nothing = interface(1, "up", NOW)
    del nothing["tengwang.device.id"], nothing["tengwang.interface.name"]
    assert detector.detect(nothing) == []


def test_what_was_passed_on_is_passed_on_again_for_the_same_event() -> None:
    recent = Recent(2)
    assert [recent.due("k", at, name, 100) for at, name in [(0, "a"), (10, "b"), (0, "a"), (99, "c"), (100, "d")]] == [
        True,
        False,
        True,
        False,
        True,
    ]
    for number in range(5):
        recent.due(number, 0, "x", 1)
    assert (len(recent), recent.evicted) == (2, 4)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(
    [
        name
        for name in BY_NAME
        if name.startswith(("source.", "destination.", "tengwang.interface.", "network.", "event."))
    ]
)


@settings(max_examples=300)
@given(st.dictionaries(NAMES, JSON, max_size=6), st.sampled_from([1, 2, 3]))
def test_any_event_is_judged_without_an_error(fields: dict[str, Any], port: int) -> None:
    made = ANY.detect({**event(1, port), **fields})
    assert all(record.kind in (Kind.ALERT, Kind.HIT) for record in made)


def _any() -> Detector:
    import tempfile

    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "rules.yml"
        blocks = [
            "type: event_count, rules: [a], group-by: [source.ip, destination.ip], timespan: 5m, condition: {gte: 3}",
            "type: value_sum, rules: b, group-by: network.type, timespan: 5m, condition: {gt: 3, field: network.bytes}",
            "type: first_seen, rules: [d], group-by: [source.mac], field: destination.ip, timespan: 5d",
            "type: absence, rules: [a], group-by: [source.ip], timespan: 5m",
        ]
        names = ["c", "outer", "x1", "x2"]
        IDS.update(x1=IDS["c"][:-2] + "91", x2=IDS["c"][:-2] + "92")
        path.write_text(
            "---\n".join([*BASES, *(correlation(b, n) for b, n in zip(blocks, names, strict=True)), DOWN]),
            encoding="utf-8",
        )
        clock = ManualClock(NOW)
        made = build([path], Report(clock), clock)
        assert [str(p) for p in made.problems()] == []
        return made


ANY = _any()
