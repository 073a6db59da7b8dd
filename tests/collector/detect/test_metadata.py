"""What the block ``tengwang:`` says about incidents and about their end."""

from __future__ import annotations

import pytest

from collector.detect.key import key, known
from collector.detect.load import load_text
from collector.detect.rule import Rule
from tests.collector.detect.sigma_text import HEAD, ID, refused

BODY = "  a:\n    host.name: x\n  condition: a"
PROOF = (
    "proof: {logsource: {product: tengwang, category: device, service: snmp}, "
    "detection: {up: {tengwang.interface.oper_status: up}, condition: up}"
)


def rule(block: str) -> Rule:
    rules, problems, *_ = load_text("r.yml", f"{HEAD}tengwang: {{{block}}}\ndetection:\n{BODY}\n")
    assert [str(p) for p in problems] == []
    return rules[0]


def test_a_rule_that_says_nothing_groups_by_itself_and_is_over_after_half_an_hour() -> None:
    info = rule("").info
    assert (info.family, info.by, info.quiet_ms, info.has_proof, info.raises) == (ID, (), 1_800_000, False, True)
    assert info.kind == "event"


def test_what_a_rule_says_of_incidents_and_their_end() -> None:
    made = rule(
        "incident: {by: [tengwang.unit.id, source.mac], family: rogue-router}, "
        f"over: {{quiet: 10m, {PROOF}, by: [tengwang.unit.id, tengwang.neighbor.mac]}}}}"
    )
    info, proof = made.info, made.proof
    assert (info.family, info.by) == ("rogue-router", ("tengwang.unit.id", "source.mac"))
    assert (info.quiet_ms, info.has_proof) == (600_000, True)
    assert proof is not None
    assert (proof.rule, proof.family, proof.quiet_ms) == (ID, "rogue-router", 600_000)
    assert proof.by == ("tengwang.unit.id", "tengwang.neighbor.mac")
    assert proof.datasets == ("tengwang.snmp",)
    assert proof.match({"tengwang.interface.oper_status": "up"})
    assert not proof.match({"tengwang.interface.oper_status": "down"})


def test_one_of_the_two_lists_counts_for_both() -> None:
    made = rule(f"over: {{{PROOF}, by: [tengwang.device.id]}}}}")
    assert made.info.by == ("tengwang.device.id",)
    made = rule(f"incident: {{by: [source.mac]}}, over: {{{PROOF}}}}}")
    assert made.proof is not None
    assert made.proof.by == ("source.mac",)


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ("incident: {by: [source.max]}", "r.yml:6: tengwang.incident: no event of ours has the field 'source.max'"),
        ("incident: {by: [message]}", "tengwang.incident: message is free text, which nothing can be grouped by"),
        ("incident: {family: A B}", "tengwang.incident.family: Expected `str` matching regex"),
        ("incident: {per: [x]}", "tengwang.incident.per: unknown key"),
        ("over: {quiet: soon}", "tengwang.over: 'soon': write a length of time"),
        ("over: {quiet: 0s}", "tengwang.over: quiet '0s' is not between"),
        ("over: {proof: {logsource: {product: tengwang}}}", "tengwang.over.proof.detection: is missing"),
        (
            "over: {proof: {logsource: {product: x}, detection: {a: {host.name: x}, condition: a}}}",
            "tengwang.over.proof.logsource: no agent sends this log source",
        ),
        (
            "over: {proof: {logsource: {product: tengwang}, detection: {a: {host.nam: x}, condition: a}}}",
            "tengwang.over.proof.detection.a.host.nam: no event of ours has this field (did you mean 'host.name'?)",
        ),
        (
            "over: {proof: {logsource: {product: tengwang}, detection: {a: {host.name: x}, condition: b}}}",
            "r.yml:6: tengwang.over.proof.detection.condition: Detection 'b' not defined",
        ),
        (
            f"incident: {{by: [source.mac]}}, over: {{{PROOF}, by: [tengwang.unit.id, source.mac]}}}}",
            "r.yml:6: tengwang: over.proof.by names the same things as incident.by, in the same order",
        ),
    ],
)
def test_each_mistake_is_named_with_its_place(block: str, why: str) -> None:
    found = refused(BODY, f"{HEAD}tengwang: {{{block}}}\n")
    assert any(why in problem for problem in found), found


def test_a_key_is_the_family_and_values() -> None:
    event = {"tengwang.unit.id": "county", "source.mac": "02:42:ba:d0:00:01", "source.ip": "fe80::1"}
    assert key("rogue", ("tengwang.unit.id", "source.mac"), event) == 'rogue ["county","02:42:ba:d0:00:01"]'
    assert key("rogue", ("destination.port", "source.ip"), event) == 'rogue ["","fe80::1"]'
    assert key("r", ("host.ip",), {"host.ip": ["b", "a"]}) == key("r", ("host.ip",), {"host.ip": ["a", "b"]})


def test_the_default_key_is_the_unit_and_the_most_lasting_name_of_the_subject() -> None:
    event: dict[str, object] = {"tengwang.unit.id": "u", "agent.id": "a"}
    assert key("f", (), event) == 'f ["u","a"]'
    for name in ("source.ip", "source.mac", "tengwang.check.subject", "tengwang.device.id", "tengwang.asset.id"):
        event[name] = name
        assert key("f", (), event) == f'f ["u","{name}"]'


def test_a_key_stays_short_and_differs() -> None:
    first, second = (key("f", ("host.name",), {"host.name": "x" * 5000 + end}) for end in "ab")
    assert first != second
    assert len(first) < 100


def test_an_event_about_nothing_proves_nothing() -> None:
    assert not known(("source.mac", "source.ip"), {"source.mac": ""})
    assert known(("source.mac", "source.ip"), {"source.ip": "::1"})
