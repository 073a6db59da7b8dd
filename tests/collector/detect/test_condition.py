"""What Sigma means, value by value and condition by condition, on flat events."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.detect.index import Index
from collector.detect.load import load_text
from telemetry.fields import BY_NAME
from tests.collector.detect.sigma_text import HEAD, refused, rule

FLOW = {"event.dataset": "tengwang.flow"}


def hits(detection: str, **fields: Any) -> bool:
    """By the closure and through the index; both must agree. Fields have ``_`` for ``.``."""
    made = rule(detection)
    event = FLOW | {name.replace("_", "."): value for name, value in fields.items()}
    answer = made.match(event)
    assert bool(Index([made]).hits(event)) is answer
    return answer


VALUES: list[tuple[str, object, bool]] = [
    ("host.name: Web01", "web01", True),
    ("host.name: web01", "WEB01", True),
    ("host.name|cased: Web01", "web01", False),
    ("host.name|cased: Web01", "Web01", True),
    ("host.name: 'web*'", "WEB01.example", True),
    ("host.name: '*01'", "web01", True),
    ("host.name: '*eb*'", "web01", True),
    ("host.name: 'w?b*1'", "web-xyz-1", True),
    ("host.name: 'w?b*1'", "wb1", False),
    (r"host.name: 'a\*b'", "a*b", True),
    (r"host.name: 'a\*b'", "axb", False),
    ("host.name: '*'", "x", True),
    ("host.name: '*'", None, False),
    ("host.name: ''", "", True),
    ("host.name: ''", "x", False),
    ("host.name: null", None, True),
    ("host.name: null", "x", False),
    ("host.name: [a, b]", "B", True),
    ("host.name: [a, b]", "c", False),
    ("host.name: [a, 'b*']", "bcd", True),
    ("host.name|contains: ['x', 'y']", "aYa", True),
    ("host.name|contains|all: ['x', 'y']", "xay", True),
    ("host.name|contains|all: ['x', 'y']", "x", False),
    ("host.name|startswith: ab", "ABc", True),
    ("host.name|endswith: bc", "aBC", True),
    (r"host.name|re: '^w\d+$'", "w12", True),
    (r"host.name|re: '^w\d+$'", "W12", False),
    (r"host.name|re|i: '^w\d+$'", "W12", True),
    (r"host.name|re: 'b.d'", "abcde", True),
    ("host.name|exists: true", "x", True),
    ("host.name|exists: true", None, False),
    ("host.name|exists: false", None, True),
    ("host.name|exists: false", "x", False),
    ("host.name|neq: x", "y", True),
    ("host.name|neq: x", "X", False),
    ("host.name|windash|contains: '-enc'", "a /enc b", True),
    ("host.name|base64: abc", base64.b64encode(b"abc").decode(), True),
    ("host.name|base64offset|contains: hello", base64.b64encode(b"xhello!").decode(), True),
    ("host.ip: '2001:db8::1'", ["fe80::1", "2001:db8::1"], True),
    ("host.ip: '2001:db8::1'", ["fe80::1"], False),
    ("host.ip: null", [], False),
    ("source.ip|cidr: 2001:db8::/32", "2001:db8:5::1", True),
    ("source.ip|cidr: 2001:db8::/32", "2001:db9::1", False),
    ("source.ip|cidr: 10.0.0.0/8", "::ffff:10.1.2.3", True),
    ("source.ip|cidr: ['10.0.0.0/8', 'fe80::/10']", "fe80::5", True),
    ("source.ip|cidr: 10.0.0.0/8", "ten", False),
    ("destination.port: 443", 443, True),
    ("destination.port: '443'", 443, True),
    ("destination.port: 443", "443", True),
    ("network.iana_number: 41", "41", True),
    ("network.bytes|gt: 100", 101, True),
    ("network.bytes|gt: 100", 100, False),
    ("network.bytes|gte: 100", 100, True),
    ("network.bytes|lt: 100.5", 100, True),
    ("network.bytes|lte: 100", "100", True),
    ("network.bytes|lt: 100", "many", False),
    ("network.bytes|lt: 100", True, False),
    ("tengwang.ndp.router: true", True, True),
    ("tengwang.ndp.router: true", False, False),
    ("tengwang.ndp.router: false", None, False),
    ("'@timestamp|hour': 3", 1_700_000_000_000 // 86_400_000 * 86_400_000 + 19 * 3_600_000, True),
    ("'@timestamp|hour': 3", 1_700_000_000_000 // 86_400_000 * 86_400_000 + 3 * 3_600_000, False),
    ("'@timestamp|year': 2023", 1_700_000_000_000, True),
    ("'@timestamp|week': 46", 1_700_000_000_000, True),
]


@pytest.mark.parametrize(("item", "value", "wanted"), VALUES, ids=[f"{item}-{value}" for item, value, _ in VALUES])
def test_a_value(item: str, value: object, wanted: bool) -> None:
    field = item.split(":")[0].strip("'").split("|")[0]
    made = rule(f"  a:\n    {item}\n  condition: a")
    event = FLOW | ({field: value} if value is not None else {})
    assert made.match(event) is wanted
    assert bool(Index([made]).hits(event)) is wanted


A, B, C = "host.name: a", "user.name: b", "rule.id: c"
NAMED = f"  sel_a:\n    {A}\n  sel_b:\n    {B}\n  other:\n    {C}\n  condition: "


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("sel_a and sel_b", lambda a, b, c: a and b),
        ("sel_a or sel_b", lambda a, b, c: a or b),
        ("not sel_a", lambda a, b, c: not a),
        ("sel_a and not sel_b", lambda a, b, c: a and not b),
        ("sel_a or sel_b and other", lambda a, b, c: a or (b and c)),
        ("(sel_a or sel_b) and other", lambda a, b, c: (a or b) and c),
        ("not (sel_a or sel_b) and other", lambda a, b, c: not (a or b) and c),
        ("1 of sel_*", lambda a, b, c: a or b),
        ("any of sel_*", lambda a, b, c: a or b),
        ("all of sel_*", lambda a, b, c: a and b),
        ("1 of them", lambda a, b, c: a or b or c),
        ("all of them", lambda a, b, c: a and b and c),
        ("not 1 of sel_* and other", lambda a, b, c: not (a or b) and c),
        ("1 of sel_* and not all of them", lambda a, b, c: (a or b) and not (a and b and c)),
    ],
)
def test_a_condition(condition: str, holds: Any) -> None:
    for number in range(8):
        a, b, c = (bool(number & bit) for bit in (1, 2, 4))
        fields = {"host_name": a * "a", "user_name": b * "b", "rule_id": c * "c"}
        assert hits(NAMED + condition, **fields) is bool(holds(a, b, c)), (a, b, c)


def test_several_conditions_are_any_of_them() -> None:
    detection = f"  sel_a:\n    {A}\n  sel_b:\n    {B}\n  condition: [sel_a, sel_b]"
    assert hits(detection, host_name="a")
    assert hits(detection, user_name="b")
    assert not hits(detection, host_name="x")


def test_a_list_of_maps_is_any_of_them_and_a_map_is_all_of_it() -> None:
    detection = f"  a:\n    - {A}\n    - {B}\n      {C}\n  condition: a"
    assert hits(detection, host_name="a")
    assert not hits(detection, user_name="b")
    assert hits(detection, user_name="b", rule_id="c")


def test_keywords_are_looked_for_in_every_text() -> None:
    detection = "  words:\n    - 'Needle'\n    - 4711\n  condition: words"
    assert hits(detection, message="a needle in it")
    assert hits(detection, host_ip=["x", "yNEEDLEy"])
    assert hits(detection, message="code 4711!")
    assert not hits(detection, message="hay")


def test_keywords_all_and_regular_expressions() -> None:
    assert hits("  w:\n    '|all': [a, b]\n  condition: w", message="b", host_name="a")
    assert not hits("  w:\n    '|all': [a, b]\n  condition: w", message="only a", host_name="a")
    assert hits("  w:\n    '|re': 'x{3}'\n  condition: w", message="axxxa")


def test_fields_are_compared_with_each_other() -> None:
    same = "  a:\n    source.ip|fieldref: destination.ip\n  condition: a"
    assert hits(same, source_ip="::1", destination_ip="::1")
    assert not hits(same, source_ip="::1", destination_ip="::2")
    assert not hits(same)
    start = "  a:\n    host.name|fieldref|startswith: user.name\n  condition: a"
    assert hits(start, host_name="Bob-PC", user_name="bob")


@pytest.mark.parametrize(
    ("detection", "why"),
    [
        ("  a:\n    host.name|expand: '%x%'\n  condition: a", "r.yml:8: detection.a.host.name|expand: placeholders"),
        (r"  a:" "\n" r"    host.name|re: '(a)\1'" "\n  condition: a", "r.yml:8: detection.a.host.name|re: groupref"),
        ("  a:\n    host.name|re: '('\n  condition: a", "r.yml:8: detection.a.host.name|re: Regular expression"),
        ("  a:\n    user.name: x\n    host.name|nope: x\n  condition: a", "r.yml:9: detection.a.host.name|nope: Unkn"),
        ("  a:\n    source.ip|cidr: 10.0.0.1/8\n  condition: a", "r.yml:8: detection.a.source.ip|cidr: Invalid CIDR"),
        ("  a:\n    host.nmae: x\n  condition: a", "r.yml:8: detection.a.host.nmae: no event of ours has"),
        ("  a:\n    host.name: x\n  condition: b", "r.yml:9: detection.condition: Detection 'b' not defined"),
        ("  a:\n    host.name: x\n  condition: a and", "r.yml:9: detection.condition: "),
        ("  a:\n    host.name: x\n  condition: a | count() > 5", "r.yml:9: detection.condition: The pipe syntax"),
        ("  a:\n    host.name: x\n  condition: 1 of nothing*", "r.yml:9: detection.condition: "),
        ("  a:\n    host.name: x", "Sigma rule must contain at least one condition"),
        ("  a: {}\n  condition: a", "r.yml:7: detection.a: Detection is empty"),
        (f"  a:\n    host.name: x\n  condition: {'(' * 30}a{')' * 30}", "is too complex"),
        ("  a:\n    host.name: x\n  condition: 1 of a*a*a*a*a*", "is too complex"),
    ],
)  # fmt: skip
def test_what_can_not_be_evaluated_is_refused_with_its_place(detection: str, why: str) -> None:
    found = refused(detection)
    assert any(why in problem for problem in found), found


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)
USED = sorted({item.split(":")[0].strip("'").split("|")[0] for item, _, _ in VALUES} | {"event.dataset"})
MIXED = "  w: [x, 1]\n  r:\n    '|re': 'a+b'\n  f:\n    host.name|fieldref: user.name\n  condition: 1 of them"
DETECTIONS = [f"  a:\n    {item}\n  condition: {'not ' * (n % 2)}a" for n, (item, _, _) in enumerate(VALUES)]
EVERYTHING = load_text(
    "all.yml",
    "\n---\n".join(
        f"{HEAD.replace('444455556666', f'{n:012d}')}detection:\n{text}" for n, text in enumerate([*DETECTIONS, MIXED])
    ),
)


@settings(max_examples=300)
@given(st.dictionaries(st.one_of(st.sampled_from(USED), st.text(max_size=5)), JSON))
def test_any_event_is_judged_without_an_error_and_as_without_the_index(event: dict[str, Any]) -> None:
    rules, problems, *_ = EVERYTHING
    assert problems == []
    index = Index(rules)
    for dataset in ({}, FLOW):
        whole = event | dataset
        wanted = (
            [n for n, r in enumerate(rules) if r.match(whole)] if whole.get("event.dataset") == "tengwang.flow" else []
        )
        assert index.hits(whole) == wanted


@pytest.mark.parametrize("odd", [10**5000, float("nan"), float("inf"), 1e308, "\ud800", [[]], {"a": None}], ids=type)
def test_odd_values_are_judged_without_an_error(odd: object) -> None:
    Index(EVERYTHING[0]).hits(FLOW | dict.fromkeys(USED[1:], odd) | {"event.dataset": "tengwang.flow"})


def test_the_fields_of_these_tests_exist() -> None:
    assert set(USED) <= BY_NAME.keys()
