"""Every modifier that pySigma knows, by what its documentation says: a value that matches and one that does not."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from sigma.modifiers import modifier_mapping

from collector.detect.index import Index
from collector.detect.load import load_text
from tests.collector.detect.sigma_text import HEAD, refused, rule

NOON = 1_790_047_320_000
"""2026-09-22 11:22 in Shanghai, a Tuesday in week 39."""
B64 = base64.b64encode

TABLE: list[tuple[str, str, Any, Any, Any]] = [
    ("all", "host.name|contains|all", ["a", "b"], "xbya", "xbyx"),
    ("neq", "host.name|neq", "a", "b", "A"),
    ("neq", "host.name|neq", ["a", "b"], "c", "b"),
    ("neq", "host.name|contains|neq", "a", "b", "xax"),
    ("base64", "host.name|base64", "foobar", "Zm9vYmFy", "foobar"),
    ("base64", "host.name|base64|contains", "foobar", "xZm9vYmFyx", "foobar"),
    ("base64offset", "host.name|base64offset|contains", "foobar", B64(b"1foobar1").decode(), B64(b"fobar").decode()),
    ("base64offset", "host.name|base64offset|contains", "foobar", B64(b"12foobar").decode(), "foobar"),
    ("cased", "host.name|cased", "aB", "aB", "ab"),
    ("cased", "host.name|startswith|cased", "aB", "aBc", "abc"),
    ("cidr", "source.ip|cidr", "192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
    ("cidr", "source.ip|cidr", "2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"),
    ("cidr", "source.ip|cidr", ["192.0.2.0/24", "2001:db8::/32"], "2001:db8::1", "198.51.100.1"),
    ("contains", "host.name|contains", "b*d", "abxxde", "abxx"),
    ("contains", "host.name|contains", "腾讯", "x腾讯y", "腾x讯"),
    ("day", "'@timestamp|day'", 22, NOON, NOON + 86_400_000),
    ("dotall", "message|re|dotall", "a.b", "a\nb", "a\nc"),
    ("endswith", "host.name|endswith", "cd", "abCD", "cdx"),
    ("endswith", "host.name|endswith", ["x", "d"], "abCD", "cda"),
    ("exists", "host.name|exists", True, "", None),
    ("exists", "host.name|exists", False, None, "x"),
    ("fieldref", "source.ip|fieldref", "destination.ip", "192.0.2.9", "192.0.2.1"),
    ("fieldref", "host.name|fieldref|startswith", "agent.name", "agentx", "xagent"),
    ("fieldref", "host.name|fieldref|endswith", "agent.name", "xagent", "agentx"),
    ("fieldref", "host.name|fieldref|contains", "agent.name", "xagentx", "age"),
    ("gt", "network.bytes|gt", 10, 11, 10),
    ("gte", "network.bytes|gte", 10, 10, 9),
    ("hour", "'@timestamp|hour'", 11, NOON, NOON + 3_600_000),
    ("i", "host.name|re|i", "^AB$", "ab", "abc"),
    ("ignorecase", "host.name|re|ignorecase", "^AB$", "ab", "abc"),
    ("lt", "network.bytes|lt", 10, 9, 10),
    ("lte", "network.bytes|lte", 10, 10, 11),
    ("m", "message|re|m", "^b$", "a\nb", "ab"),
    ("minute", "'@timestamp|minute'", 22, NOON, NOON + 60_000),
    ("month", "'@timestamp|month'", 9, NOON, NOON + 30 * 86_400_000),
    ("multiline", "message|re|multiline", "^b$", "a\nb", "ab"),
    ("re", "host.name|re", "a{2,3}b", "xaab", "AAB"),
    ("re", "host.name|re", ["^x", "y$"], "ay", "axa"),
    ("utf16", "host.name|utf16", "ab", "\ufeffa\0b\0", "ab"),
    ("utf16be", "host.name|utf16be", "ab", "\0a\0b", "ab"),
    ("s", "message|re|s", "a.b", "a\nb", "a\nc"),
    ("startswith", "host.name|startswith", "ab", "ABc", "xab"),
    ("week", "'@timestamp|week'", 39, NOON, NOON + 7 * 86_400_000),
    ("wide", "host.name|wide", "ab", "a\0b\0", "ab"),
    ("wide", "host.name|wide|base64offset|contains", "ab", B64(b"a\0b\0").decode(), B64(b"ab").decode()),
    ("windash", "host.name|windash|contains", " -x", "a /x", "a x"),
    ("windash", "host.name|windash|contains", " -x", "a \u2013x", "a +x"),
    ("year", "'@timestamp|year'", 2026, NOON, NOON - 365 * 86_400_000),
]
OTHERS = {"event.dataset": "tengwang.flow", "destination.ip": "192.0.2.9", "agent.name": "agent"}


@pytest.mark.parametrize(("name", "item", "wanted", "yes", "no"), TABLE, ids=[f"{t[1]}-{t[2]}" for t in TABLE])
def test_a_modifier_does_what_it_says(name: str, item: str, wanted: Any, yes: Any, no: Any) -> None:
    import json

    assert f"|{name}" in item
    made = rule(f"  a:\n    {item}: {json.dumps(wanted)}\n  condition: a")
    field = item.strip("'").split("|")[0]
    index = Index([made])
    for value, holds in ((yes, True), (no, False)):
        event = OTHERS | ({field: value} if value is not None else {})
        assert made.match(event) is holds, value
        assert bool(index.hits(event)) is holds, value


def test_every_modifier_of_pysigma_is_in_the_table_or_refused() -> None:
    assert set(modifier_mapping) - {row[0] for row in TABLE} == {"expand"}


def test_placeholders_are_refused_until_a_pipeline_fills_them_in() -> None:
    detection = "  a:\n    host.name|expand: '%servers%'\n  condition: a"
    (problem,) = refused(detection)
    assert problem.startswith("r.yml:8: detection.a.host.name|expand: placeholders")
    from collector.detect.fieldmap import read
    from telemetry.config import read_yaml

    pipeline = read(
        read_yaml(
            "p.yml",
            "vars: {servers: [web01, 'db*']}\ntransformations: [{type: value_placeholders, include: [servers]}]",
        )
    )
    (made,), problems, *_ = load_text("r.yml", f"{HEAD}detection:\n{detection}\n", [pipeline])
    assert problems == []
    assert [made.match({"host.name": name}) for name in ("WEB01", "db7", "x")] == [True, True, False]


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ("host.name|fuzzy: x", "Unknown modifier 'fuzzy'"),
        ("host.name|utf16le: x", "Unknown modifier 'utf16le'"),
        ("network.bytes|gt: many", "incompatible to value type"),
        ("source.ip|cidr: 10.0.0.0/99", "10.0.0.0/99"),
        (r"host.name|re: '(a+)+\1'", "needs backtracking"),
        ("host.name|re: '(a{1,999}){1,999}'", "counts too high"),
        ("host.name|re: '('", "detection.a.host.name|re"),
        ("host.name|wide: 腾", "Wide modifier only allowed for ascii"),
        ("host.name|contains|re: x", "only applicable to unmodified values"),
        ("host.nam: x", "no event of ours has this field (did you mean 'host.name'?)"),
    ],
)
def test_what_can_not_be_evaluated_is_refused_with_its_line(item: str, why: str) -> None:
    (problem, *_) = refused(f"  a:\n    {item}\n  condition: a")
    assert problem.startswith("r.yml:8: "), problem
    assert why in problem
