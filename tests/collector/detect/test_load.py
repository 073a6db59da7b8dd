from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.detect.load import load_file, load_text
from tests.collector.detect.sigma_text import HEAD, ID, refused, rule

BODY = "  a:\n    host.name: x\n  condition: a"


def test_a_rule_has_what_its_author_wrote() -> None:
    text = (
        f"title: T\nid: {ID}\nstatus: stable\nlevel: high\ndescription: D\nreferences: [https://x.example]\n"
        "logsource: {product: tengwang, category: network}\n"
        "tengwang: {title_zh: 标题, description_zh: 说明, class: violation, action_zh: 做, action_en: do}\n"
        f"detection:\n{BODY}\n"
    )
    (made,), problems, *_ = load_text("r.yml", text)
    assert problems == []
    info = made.info
    assert (info.id, info.level, info.status, info.path, info.line) == (ID, "high", "stable", "r.yml", 1)
    assert (info.title.zh, info.title.en, info.description.zh, info.action.en) == ("标题", "T", "说明", "do")
    assert (info.category, info.category_title.zh) == ("violation", "违规操作")
    assert {"tengwang.flow", "tengwang.ndp"} <= set(info.datasets)
    assert info.references == ("https://x.example",)


def test_a_rule_of_someone_else_is_idle_not_wrong() -> None:
    head = HEAD.replace("  product: tengwang\n  service: flow\n", "  product: windows\n  category: process_creation\n")
    info = rule("  a:\n    CommandLine|contains: x\n  condition: a", head).info
    assert (info.datasets, info.idle) == ((), "no agent sends this log source")
    assert (info.title.zh, info.level) == ("T", "medium")


def test_a_deprecated_rule_is_idle() -> None:
    assert rule(BODY, HEAD + "status: deprecated\n").info.idle == "its status is deprecated"


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (HEAD.replace(f"id: {ID}\n", ""), "r.yml:1: has no id, so its alerts could not be recognised (id: "),
        (HEAD.replace(ID, "x"), "r.yml:2: id: Sigma rule identifier must be an UUID"),
        (HEAD.replace("title: T\n", ""), "Sigma rule must have a title"),
        (HEAD + "level: huge\n", "r.yml:6: level: 'huge' is not a valid Sigma rule level"),
        (HEAD + "tags: x\n", "r.yml:6: tags: Sigma tags fields must be a list"),
        (HEAD + "tengwang: {titel_zh: x}\n", "r.yml:6: tengwang.titel_zh: unknown key (did you mean 'title_zh'?)"),
        (HEAD + "tengwang: {class: crime}\n", "r.yml:6: tengwang: class 'crime' is not one of: malicious-program"),
        (HEAD + "correlation: {}\n", "r.yml:6: correlation.type: is missing"),
        (HEAD + "title: U\n", "r.yml:6: title: stands twice (first on line 1)"),
        ("title: T\n", "Sigma rule must have a log source"),
        ("- a\n", "r.yml:"),
    ],
)
def test_each_mistake_is_named_with_its_place(head: str, why: str) -> None:
    found = refused(BODY, head)
    assert any(why in problem for problem in found), found


def test_one_wrong_rule_does_not_keep_the_others_away() -> None:
    good = f"{HEAD}detection:\n{BODY}\n"
    rules, problems, *_ = load_text("r.yml", f"{good}---\ntitle: bad\n---\n{good.replace('title: T', 'title: U')}")
    assert [r.info.title.en for r in rules] == ["T", "U"]
    assert problems
    assert {problem.line for problem in problems} <= set(range(10, 14))


def test_a_file_that_is_not_there_or_no_text_is_a_problem(tmp_path: Path) -> None:
    assert "can not be read" in str(load_file(tmp_path / "x.yml")[1][0])
    (tmp_path / "b.yml").write_bytes(b"\xff\xfe")
    assert "is not UTF-8 text" in str(load_file(tmp_path / "b.yml")[1][0])


LINES = st.sampled_from([f"{line}\n" for line in f"{HEAD}detection:\n{BODY}".splitlines()])
NOISE = st.sampled_from(
    """detection: 1|  condition: [1, {}]|    host.name\\re: '('|    '\\all': {}|logsource: []|id: []|  condition: not
tags: [1]|date: 2026-99-99|related: [{}]|    x\\gt: a|    x\\exists: 3|filter: {}|action: repeat|    - [[1]]
tengwang: []|  b: null|fields: x|title: [a]""".replace("\n", "|").split("|")
).map(lambda line: line.replace("\\", "|") + "\n")


@settings(max_examples=400)
@given(st.one_of(st.text(), st.lists(st.one_of(LINES, NOISE), max_size=25).map("".join)))
def test_any_text_gives_rules_or_problems(text: str) -> None:
    load_text("r.yml", text)


SCALAR = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10))
VALUE = st.recursive(
    SCALAR, lambda v: st.one_of(st.lists(v, max_size=3), st.dictionaries(st.text(max_size=8), v, max_size=3))
)
MODIFIERS = [
    "all",
    "base64",
    "base64offset",
    "cased",
    "cidr",
    "contains",
    "endswith",
    "exists",
    "expand",
    "fieldref",
    "gt",
]
MODIFIER = st.lists(
    st.sampled_from([*MODIFIERS, "hour", "i", "lte", "neq", "re", "s", "utf16", "wide", "windash"]), max_size=3
)
NAME = st.tuples(st.sampled_from(["host.name", ""]), MODIFIER).map(lambda t: "|".join([t[0], *t[1]]))
ITEMS = st.dictionaries(NAME, VALUE, max_size=3)


@settings(max_examples=400)
@given(st.one_of(ITEMS, VALUE, st.lists(ITEMS, max_size=2)), VALUE)
def test_any_detection_gives_a_rule_or_problems(detection: object, value: object) -> None:
    import yaml

    made = {
        "title": "T",
        "id": ID,
        "logsource": {"product": "tengwang"},
        "detection": {"a": detection, "condition": "a"},
    }
    rules, problems, *_ = load_text("r.yml", yaml.safe_dump(made))
    assert bool(rules) != bool(problems)
    for one in rules:
        one.match({"host.name": value})
