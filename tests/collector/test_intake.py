from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.intake import Intake, Taken
from collector.query import Kind
from collector.registry import AgentRecord
from telemetry import wire
from telemetry.clock import ManualClock
from telemetry.enrol import Host
from telemetry.errors import Permanent
from telemetry.fields import BY_NAME
from telemetry.report import Report
from telemetry.validate import validate

NOW = ManualClock().now_ms()
AGENT = AgentRecord("a1", "agent one", "u1", Host("0" * 32, "h"), "1", 0)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
near_events = st.dictionaries(
    st.sampled_from([*list(BY_NAME)[:60], "tengwang.ledger.detail", "tengwang.drop.first", "made.up"]),
    json_values | st.sampled_from(["tengwang.agent", "status", "dropped", "::1", "fe80::1%eth0", "2001:DB8::1"]),
    max_size=12,
).map(lambda event: {"@timestamp": NOW, "event.dataset": "tengwang.agent", "event.action": "status", **event})
lines = st.binary(max_size=80).filter(lambda raw: b"\n" not in raw) | st.one_of(json_values, near_events).map(
    msgspec.json.encode
)


def taken(records: list[bytes], schema: int = 1) -> Taken:
    header = wire.Header(v=1, agent="a1", epoch=3, count=len(records), schema=schema)
    batch = wire.decode(wire.encode(header, list(enumerate(records, 1))))
    return Intake(Report(), 600_000, 86_400_000).take(batch, AGENT, NOW)


@settings(max_examples=400, deadline=None)
@given(st.lists(lines, max_size=6), st.sampled_from([1, 99]))
def test_whatever_comes_every_record_is_stored_or_set_aside(records: list[bytes], schema: int) -> None:
    try:
        found = taken(records, schema)
    except Permanent:
        return
    sequences = [r.doc["tengwang.agent.sequence"] for r in (*found.records, *found.asides)]
    assert sorted(sequences) == list(range(1, len(records) + 1))
    for record in (*found.records, *found.asides):
        validate(record.doc)  # and so is fit for any store
        assert msgspec.json.decode(msgspec.json.encode(record.doc)) == record.doc
        assert record.doc["agent.id"] == "a1"
    assert all(r.kind is Kind.ASIDE for r in found.asides)


def test_an_agent_can_not_speak_for_another_or_set_what_the_collector_sets() -> None:
    event = {
        "@timestamp": NOW,
        "event.dataset": "tengwang.host",
        "event.action": "host",
        "agent.id": "someone-else",
        "event.id": "x",
        "event.ingested": 1,
        "tengwang.agent.sequence": 99,
    }
    (record,) = taken([msgspec.json.encode(event)]).records
    assert record.id == record.doc["event.id"] == "a1-3-1"
    assert record.doc["agent.id"] == "a1"
    assert record.doc["event.ingested"] == NOW
    assert record.doc["tengwang.agent.sequence"] == 1


def test_what_was_set_aside_shows_the_raw_record_cut_to_a_bound() -> None:
    long = msgspec.json.encode({"@timestamp": 5, "unknown": "x" * 100_000})
    short = b'{"@timestamp":5,"unknown":1}'
    first, second = taken([long, short]).asides
    assert len(str(first.doc["tengwang.aside.raw"])) < 10_000
    assert msgspec.json.decode(str(first.doc["tengwang.aside.raw"]))["bytes"] == len(long)
    assert second.doc["tengwang.aside.raw"] == short.decode()
    assert second.doc["@timestamp"] == 5


def test_a_difference_of_clocks_is_written_into_every_event() -> None:
    event = msgspec.json.encode({"@timestamp": NOW, "event.dataset": "tengwang.flow", "event.action": "flow"})
    header = wire.Header(v=1, agent="a1", epoch=3, count=1, sent_ms=NOW + 90_000)
    batch = wire.decode(wire.encode(header, [(1, event)]))
    (record,) = Intake(Report(), 600_000, 86_400_000).take(batch, AGENT, NOW).records
    assert record.doc["tengwang.time.skew"] == 90_000
