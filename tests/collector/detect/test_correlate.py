"""Correlations as a person would try them: what is raised, with what, and that it is raised once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from collector.query import Kind
from collector.store import Record, Store, Written
from telemetry.errors import Transient
from telemetry.event import Event
from tests.collector.detect.correlating import IDS, NOW, World, correlation, event

COUNT = "type: event_count, rules: [a], group-by: [source.ip], timespan: 5m, condition: {gte: 3}"
MINUTE = 60_000
DAY = 86_400_000
Make = Callable[..., World]


@pytest.fixture
def world(tmp_path: Path) -> Make:
    def make(*correlations: str) -> World:
        return World(tmp_path, *correlations)

    return make


def test_three_in_five_minutes_are_one_alert_with_its_evidence(world: Make) -> None:
    made = world(correlation(COUNT, more="level: high\n"))
    events = [event(n, at=NOW + n * 1000, destination__ip=f"10.9.0.{n}") for n in range(3)]
    assert made.give(*events[:2]) == []
    (alert,) = made.give(events[2])
    assert (alert["rule.id"], alert["rule.level"], alert["tengwang.alert.count"]) == (IDS["c"], "high", 3)
    assert alert["tengwang.alert.event_ids"] == ["agent-1-0", "agent-1-1", "agent-1-2"]
    assert (alert["@timestamp"], alert["event.start"]) == (NOW + 2000, NOW)
    assert (alert["source.ip"], alert["destination.ip"], alert["agent.id"]) == ("10.0.0.1", "10.9.0.2", "agent-1")
    assert alert["tengwang.alert.key"] == f'{IDS["c"]} ["10.0.0.1"]'
    assert alert["tengwang.collector.id"] == "collector-1"
    told = msgspec.json.decode(str(alert["tengwang.alert.evidence"]))
    assert (told["kind"], told["group"], told["condition"]) == ("event_count", {"source.ip": "10.0.0.1"}, ["gte 3"])
    assert made.give(*events) == []  # delivered again


def test_the_parts_raise_nothing_of_their_own_unless_asked_to(world: Make) -> None:
    made = world(correlation(COUNT))
    (record,) = made.hits([event(1)])
    assert (record.kind, record.doc["tengwang.hit.role"], record.doc["tengwang.hit.group"]) == (
        Kind.HIT,
        "base",
        '["10.0.0.1"]',
    )
    loud = world(correlation(COUNT + ", generate: true"))
    assert [record.kind for record in loud.hits([event(1)])] == [Kind.ALERT, Kind.HIT]


def test_groups_and_windows_are_apart(world: Make) -> None:
    made = world(correlation(COUNT))
    assert made.give(*(event(n, source=f"10.0.0.{n}") for n in range(9))) == []
    assert made.give(*(event(10 + n, at=NOW + n * 6 * MINUTE) for n in range(5))) == []


def test_a_flood_is_one_alert_a_window(world: Make) -> None:
    made = world(correlation(COUNT))
    for minute in range(20):
        made.give(*(event(minute * 100 + n, at=NOW + minute * MINUTE + n) for n in range(50)), seconds=60)
    assert len(made.alerts) == 20 // 5 + (NOW % (5 * MINUTE) > 0)
    assert len({alert["event.id"] for alert in made.alerts}) == len(made.alerts)


def test_late_hits_count_in_their_own_window(world: Make) -> None:
    made = world(correlation(COUNT))
    old = NOW - DAY
    made.give(event(1, at=NOW), event(2, at=old), event(3, at=old + 1000))
    (alert,) = made.give(event(4, at=old + 500), seconds=1)
    assert alert["@timestamp"] == old + 1000


def test_a_time_that_nobody_can_believe_is_not_used(world: Make) -> None:
    made = world(correlation(COUNT))
    flagged = [event(n, at=n, event__ingested=NOW + n, tengwang__time__flag="past") for n in range(3)]
    (alert,) = made.give(*flagged)
    assert (alert["@timestamp"], "tengwang.time.flag" in alert) == (NOW + 2, False)


def test_an_event_without_the_group_has_none_but_who_owns_it_may_be_unknown(world: Make) -> None:
    by = "type: event_count, rules: [a], group-by: [tengwang.unit.id, source.mac], timespan: 5m, condition: {gte: 1}"
    made = world(correlation(by))
    assert made.give(event(1)) == []
    (alert,) = made.give(event(2, source__mac="02:00:00:00:00:01"))
    assert alert["tengwang.hit.group"] == '["","02:00:00:00:00:01"]'


def test_different_values_are_counted(world: Make) -> None:
    block = (
        "type: value_count, rules: [a], group-by: [source.ip], timespan: 5m, condition: {gte: 3, field: destination.ip}"
    )
    made = world(correlation(block))
    same = [event(n, destination__ip="10.9.0.1") for n in range(9)]
    assert made.give(*same, event(10, destination__ip="10.9.0.2"), event(11)) == []
    (alert,) = made.give(event(12, destination__ip="10.9.0.3"))
    assert alert["tengwang.hit.value"] == "3"


def test_a_sum_is_known_at_once_an_average_when_its_window_is_over(world: Make) -> None:
    shared = "rules: [a], group-by: [source.ip], timespan: 5m, condition: {gt: 100, field: network.bytes}"
    made = world(correlation("type: value_sum, " + shared), correlation("type: value_avg, " + shared, "outer"))
    start = NOW // 300_000 * 300_000
    (alert,) = made.give(event(1, at=start, network__bytes=90), event(2, at=start + 1, network__bytes=120))
    assert (alert["rule.id"], alert["tengwang.hit.value"]) == (IDS["c"], "210")
    (alert,) = made.step(seconds=600)
    assert (alert["rule.id"], alert["tengwang.hit.value"]) == (IDS["outer"], "105")


@pytest.mark.parametrize(
    ("block", "holds"),
    [
        ("value_median, condition: {eq: 3, field: network.bytes}", True),
        ("value_percentile, condition: {gte: 90, field: network.bytes, percentile: 99}", True),
        ("value_percentile, condition: {gte: 90, field: network.bytes, percentile: 50}", False),
        ("value_avg, condition: {lt: 5, field: network.bytes}", False),
        ("event_count, condition: {eq: 5}", True),
        ("event_count, condition: {neq: 5}", False),
        ("event_count, condition: {gte: 3, lt: 5}", False),
        ("event_count, condition: {gte: 3, lt: 6}", True),
        ("event_count, condition: {lte: 4}", False),
    ],
)
def test_what_only_a_whole_window_tells(world: Make, block: str, holds: bool) -> None:
    made = world(correlation(f"rules: [a], group-by: [source.ip], timespan: 5m, type: {block}"))
    start = NOW // 300_000 * 300_000
    values = [1, 2, 3, 4, 95]
    assert made.give(*(event(n, at=start + n, network__bytes=v) for n, v in enumerate(values))) == []
    assert bool(made.step(seconds=600)) is holds
    assert made.step(seconds=600) == []


def test_several_rules_together_and_in_order(world: Make) -> None:
    shared = "rules: [a, b], group-by: [source.ip], timespan: 5m"
    made = world(correlation("type: temporal, " + shared), correlation("type: temporal_ordered, " + shared, "outer"))
    assert made.give(event(1, 2), event(2, 2, NOW + 1)) == []
    (alert,) = made.give(event(3, 1, NOW + 2))
    assert alert["rule.id"] == IDS["c"]
    (alert,) = made.give(event(4, 2, NOW + 3))
    assert alert["rule.id"] == IDS["outer"]


def test_one_without_the_other(world: Make) -> None:
    made = world(correlation("type: temporal, group-by: [source.ip], timespan: 5m, condition: a and not b"))
    assert made.give(event(1, 1), event(2, 1, source="10.0.0.2"), event(3, 2, NOW + 1000)) == []
    (alert,) = made.step(seconds=400)
    assert alert["source.ip"] == "10.0.0.2"


def test_the_other_before_it_is_not_without_it(world: Make) -> None:
    made = world(correlation("type: temporal, group-by: [source.ip], timespan: 5m, condition: a and not b"))
    assert made.give(event(1, 2), event(2, 1, NOW + 1000)) == []
    assert made.step(seconds=400) == []


def test_aliases_name_the_same_thing(world: Make) -> None:
    block = (
        "type: temporal, rules: [a, b], group-by: [who], timespan: 5m, "
        "aliases: {who: {a: source.ip, b: destination.ip}}"
    )
    made = world(correlation(block))
    assert made.give(event(1, 1), event(2, 2, destination__ip="10.0.0.9")) == []
    (alert,) = made.give(event(3, 2, source="10.0.0.7", destination__ip="10.0.0.1"))
    assert alert["tengwang.hit.group"] == '["10.0.0.1"]'


def test_a_correlation_of_a_correlation(world: Make) -> None:
    outer = correlation("type: temporal, rules: [c, b], group-by: [source.ip], timespan: 1h", "outer")
    made = world(outer, correlation(COUNT))
    made.give(*(event(n) for n in range(3)))
    assert made.alerts == []
    (alert,) = made.give(event(9, 2, NOW + MINUTE))
    assert alert["rule.id"] == IDS["outer"]
    made.restart()
    assert made.step() == []


SEEN = "type: first_seen, rules: [a], group-by: [agent.id], field: source.mac, timespan: 30d, learning: 7d"


def mac(number: int, last: int, at: int) -> Event:
    return event(number, 1, at, source__mac=f"02:00:00:00:00:{last:02x}")


def test_a_value_that_was_never_seen(world: Make) -> None:
    made = world(correlation(SEEN))
    for day in range(9):
        made.clock.ms = NOW + day * DAY
        assert made.give(*(mac(day * 10 + n, n, made.clock.ms) for n in range(3))) == []
    (alert,) = made.give(mac(900, 9, made.clock.ms), mac(901, 9, made.clock.ms + 1), mac(902, 1, made.clock.ms))
    assert (alert["tengwang.hit.value"], alert["source.mac"]) == ("02:00:00:00:00:09", "02:00:00:00:00:09")
    made.restart()
    assert made.give(mac(903, 9, made.clock.ms + 5)) == []
    made.clock.ms += 40 * DAY
    assert made.give(mac(904, 1, made.clock.ms)) != []


def test_a_known_value_is_kept_once_a_day_and_the_event_of_it_again(world: Make) -> None:
    made = world(correlation(SEEN))
    first, second = mac(1, 1, NOW), mac(2, 1, NOW + 1)
    assert len(made.hits([first])) == 1
    assert made.hits([second]) == []
    assert len(made.hits([first])) == 1  # the store did not take it, and the agent sends it again
    assert len(made.hits([mac(3, 1, NOW + DAY)])) == 1


BEAT = "type: absence, rules: [a], group-by: [agent.id], timespan: 2m"


def test_a_heartbeat_that_does_not_come(world: Make) -> None:
    made = world(correlation(BEAT, more="tengwang: {over: {quiet: 10m}}\n"))
    for second in range(0, 300, 10):
        assert made.give(event(second, at=NOW + second * 1000), seconds=10) == []
    assert made.step(seconds=110) == []  # since the sign at 290
    (alert,) = made.step(seconds=20)
    assert (alert["agent.id"], alert["tengwang.hit.group"]) == ("agent-1", '["agent-1"]')
    assert made.step(seconds=200) == []
    (again,) = made.step(seconds=110)  # half of its quiet time: it is not over
    assert again["tengwang.alert.key"] == alert["tengwang.alert.key"]
    assert again["event.id"] != alert["event.id"]
    assert made.give(event(999, at=made.clock.ms)) == []
    (proof,) = made.proofs
    assert proof["tengwang.hit.group"] == alert["tengwang.alert.key"]
    assert proof["tengwang.hit.rule"] == IDS["c"]
    assert made.step(seconds=60) == []


def test_heartbeats_are_kept_four_in_their_time(world: Make) -> None:
    made = world(correlation(BEAT))
    assert len(made.hits(event(n, at=NOW + n * 1000) for n in range(120))) == 4


def test_who_was_not_listening_does_not_call_anybody_absent(world: Make) -> None:
    made = world(correlation(BEAT))
    made.give(event(1))
    made.clock.advance(3600)
    made.restart()
    assert made.step() == []
    assert made.step(seconds=140) == []
    (alert,) = made.step(seconds=20)
    assert alert["agent.id"] == "agent-1"
    made.restart()
    assert made.step(seconds=125) == []
    assert made.give(event(2, at=made.clock.ms)) == []
    assert len(made.proofs) == 1


def test_a_restart_loses_nothing_and_doubles_nothing(world: Make) -> None:
    made = world(correlation(COUNT))
    made.give(event(1), event(2, at=NOW + 1))
    made.restart()
    assert len(made.give(event(3, at=NOW + 2))) == 1
    made.restart()
    assert made.give(event(4, at=NOW + 3)) == []
    records = made.hits([event(n, at=NOW + n, source="10.0.0.5") for n in range(5, 9)])
    made.store.write(records)  # and the collector dies before it looks at them
    made.restart()
    assert [alert["source.ip"] for alert in made.step()] == ["10.0.0.5"]


def test_what_the_store_does_not_take_is_raised_later(world: Make) -> None:
    made = world(correlation(COUNT))

    class Away:
        def __init__(self, store: Store) -> None:
            self.store, self.down = store, True

        def __getattr__(self, name: str) -> object:
            return getattr(self.store, name)

        def write(self, records: list[Record], repeat: bool = False) -> Written:
            if self.down:
                raise Transient("away")
            return self.store.write(records, repeat)

    away = Away(made.store)
    made.correlator._store = away  # type: ignore[assignment]
    records = made.hits(event(n) for n in range(3))
    with pytest.raises(Transient):
        made.step(records)
    away.down = False
    assert len(made.step(records)) == 1


def test_changed_rules_count_from_what_is_stored(world: Make) -> None:
    made = world(correlation(COUNT))
    made.give(event(1), event(2))
    text = made.rules.read_text(encoding="utf-8")
    made.rules.write_text(text.replace("gte: 3", "gte: 2 "), encoding="utf-8")
    assert made.detector.reload_if_changed()
    assert len(made.step()) == 1


def test_memory_is_bounded_and_what_is_forgotten_is_counted(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.detect.windows.MAX_ALL", 50)
    monkeypatch.setattr("collector.detect.windows.MAX_HITS", 20)
    made = world(correlation(COUNT))
    for first in range(0, 500, 5):
        made.give(*(event(n, at=NOW + n, source=f"10.0.0.{n % 7}") for n in range(first, first + 5)))
    assert made.report.value("tengwang_correlation_evicted_total") >= 450
    assert len({alert["source.ip"] for alert in made.alerts}) == 7
