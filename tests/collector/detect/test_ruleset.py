"""Documents that name each other: correlations, filters, pipelines, and the actions of Sigma's collections."""

from __future__ import annotations

import pytest

from collector.detect.correlation import Bound, Correlation
from collector.detect.load import load_text
from collector.detect.ruleset import Ruleset, join
from tests.collector.detect.sigma_text import HEAD, ID

OTHER = ID.replace("6666", "6667")
BASE = HEAD + "name: base\ndetection:\n  a:\n    destination.port: 22\n  condition: a\n"
SECOND = BASE.replace(ID, OTHER).replace("name: base", "name: second")
COUNT = "type: event_count, rules: [base], group-by: [source.ip], timespan: 5m, condition: {gte: 10}"


def correlation(block: str, number: int = 1, more: str = "") -> str:
    return f"title: C{number}\nid: {ID[:-4]}{number:04d}\n{more}correlation: {{{block}}}\n"


def made(*documents: str) -> Ruleset:
    return join([load_text(f"{number}.yml", text) for number, text in enumerate(documents)])


def one(block: str, *others: str) -> Correlation:
    found = made(BASE, SECOND, *others, correlation(block))
    assert [str(p) for p in found.problems] == []
    return found.correlations[-1]


def test_a_correlation_knows_its_rules_by_name_or_id_and_they_no_longer_raise() -> None:
    found = made(correlation(COUNT), BASE, SECOND)
    (made_,) = found.correlations
    assert (made_.rules, made_.group_by, made_.timespan_ms) == ((ID,), ("source.ip",), 300_000)
    assert made_.tests == (Bound("gte", 10),)
    assert made_.info.datasets == ("tengwang.flow",)
    assert (made_.info.kind, made_.info.by, made_.info.uses) == ("event_count", ("source.ip",), (ID,))
    assert [rule.info.raises for rule in found.rules] == [False, True]
    assert found.used_by == {ID: (made_,)}
    assert made(correlation(COUNT.replace("base", ID)), BASE).correlations[0].rules == (ID,)


def test_generate_lets_the_rules_raise_as_well() -> None:
    found = made(BASE, correlation(COUNT + ", generate: true"))
    assert found.rules[0].info.raises


def test_a_correlation_of_correlations_stands_after_its_parts() -> None:
    outer = correlation("type: temporal, rules: [inner, second], group-by: [source.ip], timespan: 1h", 2)
    found = made(outer, correlation(COUNT, 1, "name: inner\n"), BASE, SECOND)
    assert [one.info.title.en for one in found.correlations] == ["C1", "C2"]
    assert [one.info.raises for one in found.correlations] == [False, True]


KINDS = [
    ("type: value_count, rules: [base], timespan: 1h, condition: {gt: 3, field: destination.ip}", ("destination.ip",)),
    ("type: value_count, rules: base, timespan: 1h, condition: {gt: 3, field: [source.ip, destination.ip]}", None),
    ("type: value_sum, rules: [base], timespan: 1h, condition: {gte: 1.5, field: network.bytes}", ("network.bytes",)),
    ("type: value_avg, rules: [base], timespan: 1h, condition: {lt: 3, field: network.bytes}", ("network.bytes",)),
    ("type: value_median, rules: [base], timespan: 1h, condition: {neq: 3, field: network.bytes}", None),
    (
        "type: value_percentile, rules: [base], timespan: 1h, condition: {eq: 3, field: network.bytes, percentile: 9}",
        None,
    ),
    ("type: temporal, rules: [base, second], timespan: 1h", ()),
    ("type: temporal_ordered, rules: [base, second], timespan: 1w", ()),
    ("type: temporal, timespan: 1h, condition: base and not second", ()),
    ("type: temporal_ordered, timespan: 1h, condition: base and second", ()),
    ("type: event_count, rules: [base], timespan: 1h, condition: {gte: 3, lte: 5}", ()),
    ("type: absence, rules: [base], group-by: [agent.id], timespan: 2m", ()),
    ("type: first_seen, rules: [base], group-by: [agent.id], field: source.mac, timespan: 30d, learning: 7d", None),
    (
        "type: event_count, rules: [base, second], group-by: [who], timespan: 1h, condition: {gte: 3}, "
        "aliases: {who: {base: source.ip, second: destination.ip}}",
        (),
    ),
]


@pytest.mark.parametrize(("block", "fields"), KINDS, ids=[block.split(",")[0] for block, _ in KINDS])
def test_every_kind_is_read(block: str, fields: tuple[str, ...] | None) -> None:
    found = one(block)
    assert fields is None or found.fields == fields


def test_what_is_known_at_once_and_what_only_when_its_window_is_over() -> None:
    assert one(COUNT).grows
    assert one("type: temporal, timespan: 1h, condition: base and second").grows
    assert not one("type: temporal, timespan: 1h, condition: base and not second").grows
    assert not one(COUNT.replace("gte", "lte")).grows
    assert not one(COUNT.replace("gte: 10", "gte: 10, lt: 20")).grows
    assert not one("type: value_avg, rules: [base], timespan: 1h, condition: {gte: 3, field: network.bytes}").grows


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ("type: count", "1.yml:3: correlation.type: Invalid enum value 'count' (one of: event_count"),
        ("type: event_count, rules: [base], condition: {gte: 1}", "correlation.timespan: is missing"),
        (COUNT.replace("5m", "5 minutes"), "correlation.timespan: '5 minutes' is no length of time"),
        (COUNT.replace("5m", "1y"), "correlation.timespan: is longer than 31 days"),
        (COUNT.replace("rules: [base], ", ""), "correlation.rules: says whose hits count"),
        (COUNT.replace("[base]", "[none]"), "correlation.rules: there is no rule 'none' in use"),
        (COUNT.replace("source.ip", "source.ipp"), "correlation.group-by: no event of ours has the field 'source.ipp'"),
        (COUNT.replace("{gte: 10}", "{}"), "correlation.condition: says nothing"),
        (COUNT.replace("gte: 10", "min: 10"), "correlation.condition: unknown 'min'"),
        (COUNT.replace("gte: 10", "gte: ten"), "correlation.condition: gte: 'ten' is no number"),
        (COUNT.replace("gte: 10", "gte: 99999"), "correlation.condition: counts no further than"),
        (COUNT.replace("gte: 10", "gte: 3, field: source.ip"), "correlation.condition: event_count takes no field"),
        (COUNT.replace("{gte: 10}", "base and second"), "correlation.condition: a text is for temporal"),
        (COUNT.replace("event_count", "value_count"), "correlation.condition: value_count wants a field"),
        (COUNT + ", field: source.ip", "correlation.field: is for first_seen"),
        (COUNT + ", learning: 1d", "correlation.learning: is for first_seen"),
        (COUNT + ", colour: red", "correlation.colour: unknown key"),
        (
            COUNT + ", aliases: {who: {second: source.ip}}",
            "aliases: who says a field for each of the rules",
        ),
        ("type: absence, rules: [base], timespan: 1m, condition: {gte: 1}", "condition: absence takes none"),
        ("type: first_seen, rules: [base], timespan: 1d, field: source.ip", "group-by: first_seen is about a group"),
        ("type: first_seen, rules: [base], group-by: [agent.id], timespan: 1d", "field: first_seen wants a field"),
        (
            "type: first_seen, rules: [base], group-by: [agent.id], field: source.ip, timespan: 1d, learning: 2d",
            "learning: is longer than timespan",
        ),
        ("type: temporal_ordered, timespan: 1h, condition: base or second", "an order is over 'a and b and c' only"),
        ("type: temporal, rules: [base], timespan: 1h, condition: base and second", "names other rules than 'rules'"),
        ("type: temporal, timespan: 1h, condition: base and", "correlation.condition: Failed to parse"),
        (
            "type: value_percentile, rules: [base], timespan: 1h, condition: {gte: 3, field: network.bytes}",
            "percentile",
        ),
    ],
)
def test_a_mistake_in_a_correlation_is_named_and_leaves_the_rules_alone(block: str, why: str) -> None:
    found = made(BASE, correlation(block), SECOND)
    assert any(why in str(problem) for problem in found.problems), found.problems
    assert found.correlations == ()
    assert [rule.info.raises for rule in found.rules] == [True, True]


def test_correlations_of_each_other_are_refused() -> None:
    first = correlation("type: temporal, rules: [y, base], timespan: 1h", 1, "name: x\n")
    second = correlation("type: temporal, rules: [x, base], timespan: 1h", 2, "name: y\n")
    found = made(BASE, first, second)
    assert found.correlations == ()
    assert any("correlates this one itself" in str(problem) for problem in found.problems)


def test_a_name_that_two_rules_have_is_no_name() -> None:
    found = made(BASE, SECOND.replace("second", "base"), correlation(COUNT))
    assert "several rules have the name 'base'" in str(found.problems[0])


FILTER = (
    "title: F\nlogsource: {product: tengwang, service: flow}\n"
    "filter:\n  rules: %s\n  s:\n    source.ip: '::1'\n  condition: not s\n"
)


@pytest.mark.parametrize(("rules", "on"), [("[base]", "TF"), ("any", "TT"), (f"['{OTHER}']", "FT"), ("second", "FT")])
def test_a_filter_is_put_on_the_rules_that_it_names(rules: str, on: str) -> None:
    found = made(FILTER % rules, BASE, SECOND)
    assert found.problems == ()
    for rule, letter in zip(found.rules, on, strict=True):
        assert rule.match({"destination.port": 22, "source.ip": "::2"})
        assert rule.match({"destination.port": 22, "source.ip": "::1"}) is (letter == "F")
        assert not rule.match({"destination.port": 23, "source.ip": "::2"})


def test_a_filter_is_not_for_another_log_source() -> None:
    found = made((FILTER % "any").replace("flow", "dns"), BASE)
    assert found.rules[0].match({"destination.port": 22, "source.ip": "::1"})


def test_mistakes_in_filters_are_named() -> None:
    assert "filter.rules: there is no rule 'gone'" in str(made(FILTER % "[gone]", BASE).problems[0])
    wrong = made((FILTER % "any").replace("source.ip", "source.ipp"), BASE).problems
    assert "0.yml:6: filter.s.source.ipp: no event of ours has this field" in str(wrong[0])
    assert "filter" in str(made((FILTER % "any").replace("  rules: any\n", ""), BASE).problems[0])


def test_zeek_and_sigma_names_are_understood() -> None:
    zeek = HEAD.replace("  product: tengwang\n  service: flow", "  product: zeek\n  service: conn")
    rules, problems, *_ = load_text("z.yml", zeek + "detection:\n  a:\n    id.resp_p: 23\n  condition: a\n")
    assert problems == []
    assert rules[0].info.datasets == ("tengwang.flow",)
    assert rules[0].match({"destination.port": 23})
    dns = HEAD.replace("  product: tengwang\n  service: flow", "  category: dns")
    rules, problems, *_ = load_text("z.yml", dns + "detection:\n  a:\n    query|endswith: .evil\n  condition: a\n")
    assert problems == []
    assert rules[0].match({"dns.question.name": "x.EVIL"})


def test_actions_of_a_collection_share_parts() -> None:
    shared = "action: global\nlogsource:\n  product: tengwang\n  service: flow\nlevel: low\n"
    body = "detection:\n  a:\n    destination.port: {}\n  condition: a\n"
    text = (
        f"{shared}---\ntitle: A\nid: {ID}\n{body.format(1)}---\naction: reset\n---\n"
        f"title: B\nid: {OTHER}\nlogsource: {{product: tengwang}}\n{body.format(2)}---\n"
        f"action: repeat\nid: {ID[:-1]}0\ndetection:\n  a:\n    destination.port: 3\n"
    )
    rules, problems, *_ = load_text("a.yml", text)
    assert [str(p) for p in problems] == []
    assert [(rule.info.title.en, rule.info.level) for rule in rules] == [("A", "low"), ("B", "medium"), ("B", "medium")]
    assert [rule.match({"destination.port": number}) for number, rule in enumerate(rules, 1)] == [True, True, True]
    assert "is global, reset or repeat" in str(load_text("a.yml", "action: x\n").problems[0])
