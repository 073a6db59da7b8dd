from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from collector import shipped
from collector.detect import Detector, build
from collector.detect.alert import MAX_EVIDENCE, alert_id
from collector.detect.index import Index
from collector.detect.key import key
from collector.detect.rule import Rule
from collector.query import Kind
from telemetry.clock import ManualClock
from telemetry.event import Event
from telemetry.report import Report
from telemetry.validate import validate
from tests.collector.detect.sigma_text import HEAD, rule

ROGUE = "6bb63fa7-5651-4c95-8bde-d3170bd03e36"
EVENT: Event = {
    "@timestamp": 1_790_000_000_000,
    "event.id": "agent-1-7-42",
    "event.ingested": 1_790_000_000_500,
    "event.kind": "event",
    "event.dataset": "tengwang.ndp",
    "event.action": "router_advertisement",
    "agent.id": "agent-1",
    "tengwang.agent.epoch": 7,
    "tengwang.agent.sequence": 42,
    "source.ip": "fe80::bad",
    "source.mac": "02:42:ba:d0:00:01",
    "tengwang.unit.id": "county",
    "tengwang.zone": "office",
    "tengwang.ndp.registered": False,
    "tengwang.ndp.hop_limit": 255,
}


class Alerts:
    """A detector, of which only the alerts matter here."""

    def __init__(self, detector: Detector) -> None:
        self.all = detector

    def detect(self, event: Event) -> list[Event]:
        return [record.doc for record in self.all.detect(event) if record.kind is Kind.ALERT]


def detector(*paths: Path) -> Alerts:
    clock = ManualClock()
    return Alerts(build(paths or (shipped.rules(),), Report(clock), clock, "collector-1"))


def test_a_hit_is_one_whole_alert() -> None:
    (alert,) = detector().detect(dict(EVENT))
    evidence = alert.pop("tengwang.alert.evidence")
    assert msgspec.json.decode(str(evidence)) == EVENT
    (info,) = (info for info in detector().all.rules() if info.id == ROGUE)
    alert_key = key(info.family, info.by, EVENT)
    assert alert == {
        "@timestamp": EVENT["@timestamp"],
        "event.id": alert_id(ROGUE, "agent-1-7-42"),
        "event.ingested": EVENT["event.ingested"],
        "event.kind": "alert",
        "event.dataset": "tengwang.alert",
        "event.action": ROGUE,
        "event.severity": 4,
        "agent.id": "agent-1",
        "source.ip": "fe80::bad",
        "source.mac": "02:42:ba:d0:00:01",
        "tengwang.unit.id": "county",
        "tengwang.zone": "office",
        "rule.id": ROGUE,
        "rule.name": "Router advertisement from a router that is not registered",
        "tengwang.rule.name.zh": "未登记路由器发送路由通告（RA）",
        "rule.level": "high",
        "rule.category": "network-attack",
        "tengwang.alert.key": alert_key,
        "tengwang.collector.id": "collector-1",
        "tengwang.alert.event_ids": ["agent-1-7-42"],
    }


def test_an_alert_is_a_valid_event() -> None:
    (alert,) = detector().detect(dict(EVENT))
    validate(alert)


def test_a_repeated_event_raises_the_same_alert_and_another_event_another() -> None:
    made = detector()
    first, second = made.detect(dict(EVENT))[0], detector().detect(dict(EVENT))[0]
    other = made.detect({**EVENT, "event.id": "agent-1-7-43"})[0]
    assert first == second
    assert first["event.id"] != other["event.id"]


def test_two_rules_on_one_event_are_two_alerts() -> None:
    alerts = detector().detect({**EVENT, "tengwang.ndp.hop_limit": 64})
    assert len({alert["event.id"] for alert in alerts}) == 2


def test_the_evidence_of_a_huge_event_is_bounded_and_still_json() -> None:
    huge = {**EVENT, "message": "x" * 65_000, "tengwang.ndp.prefixes": ["2001:db8::/64"] * 1000}
    (alert,) = detector().detect(huge)
    validate(alert)
    evidence = str(alert["tengwang.alert.evidence"])
    assert len(evidence) <= MAX_EVIDENCE
    assert msgspec.json.decode(evidence)["tengwang.ndp.registered"] == "False"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return Path(shutil.copytree(shipped.rules(), tmp_path / "rules"))


def test_changed_rules_are_taken_one_wrong_rule_is_left_out_and_the_others_go_on(rules: Path) -> None:
    made = detector(rules)
    assert not made.all.reload_if_changed()
    path = rules / "ndp/rogue_router_advertisement.yml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("level: high", "level: critical"), encoding="utf-8")
    assert made.all.reload_if_changed()
    assert made.detect(dict(EVENT))[0]["event.severity"] == 5
    path.write_text(text.replace("condition: advertisement", "condition: nothing"), encoding="utf-8")
    assert made.all.reload_if_changed()
    assert made.detect(dict(EVENT)) == []
    (problem,) = made.all.problems()
    assert (problem.path, problem.key) == (str(path), "detection.condition")
    assert made.detect({**EVENT, "tengwang.ndp.hop_limit": 1})
    path.unlink()
    assert made.all.reload_if_changed()
    assert made.all.problems() == []


def test_a_second_rule_with_the_same_id_is_refused_with_both_places(rules: Path) -> None:
    twin = shutil.copy(rules / "ndp/rogue_router_advertisement.yml", rules / "ndp/zz.yml")
    (problem,) = detector(rules).all.problems()
    assert problem.path == str(twin)
    assert "rogue_router_advertisement.yml:1" in problem.hint


def test_a_pipeline_of_ones_own_names_the_fields_of_other_rules(tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_text(
        "title: T\nid: 5f6d1e0a-1111-4222-8333-444455556666\nlogsource: {product: vendor, service: wall}\n"
        "detection:\n  a:\n    srcaddr: 10.0.0.1\n  condition: a\n"
    )
    made = detector(tmp_path)
    event: Event = {**EVENT, "event.dataset": "tengwang.flow", "source.ip": "10.0.0.1"}
    assert made.detect(event) == []
    (tmp_path / "map.yml").write_text(
        "name: vendor\npriority: 20\ntransformations:\n"
        "- {type: field_name_mapping, mapping: {srcaddr: source.ip},\n"
        "   rule_conditions: [{type: logsource, product: vendor}]}\n"
        "- {type: change_logsource, product: tengwang, category: network, service: flow,\n"
        "   rule_conditions: [{type: logsource, product: vendor}]}\n"
    )
    assert made.all.reload_if_changed()
    assert made.all.problems() == []
    assert len(made.detect(event)) == 1
    (tmp_path / "map.yml").write_text("name: vendor\ntransformations:\n- {type: no_such_thing}\n")
    assert made.all.reload_if_changed()
    (problem,) = made.all.problems()
    assert (problem.line, problem.key) == (3, "transformations[1]")
    assert made.detect(event) == []


def test_a_folder_that_is_not_there_is_a_problem_and_no_error(tmp_path: Path) -> None:
    made = detector(tmp_path / "none")
    assert made.detect(dict(EVENT)) == []
    assert "is not there" in str(made.all.problems()[0])


def test_alerts_and_rules_are_counted() -> None:
    clock = ManualClock()
    report = Report(clock)
    made = build([shipped.rules()], report, clock)
    made.detect(dict(EVENT))
    assert report.value("tengwang_alerts_total", level="high") == 1
    assert report.value("tengwang_rules", state="active") == len(made.rules())


def test_an_event_asks_few_of_many_rules() -> None:
    asked: list[int] = []

    def counted(number: int) -> Rule:
        made = rule(
            f"  a:\n    network.type: ipv6\n    destination.port: {number}\n  condition: a",
            HEAD.replace("444455556666", f"{number:012d}"),
        )

        def match(event: Mapping[str, object]) -> bool:
            asked.append(number)
            return made.match(event)

        return msgspec.structs.replace(made, match=match)

    index = Index([counted(number) for number in range(300)])
    event = {"event.dataset": "tengwang.flow", "network.type": "ipv6", "destination.port": 42}
    assert index.hits(event) == [42]
    assert asked == [42]
