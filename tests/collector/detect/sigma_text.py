"""Sigma rules as text, for the tests of the engine."""

from __future__ import annotations

from collector.detect.load import load_text
from collector.detect.rule import Rule

ID = "5f6d1e0a-1111-4222-8333-444455556666"
HEAD = f"title: T\nid: {ID}\nlogsource:\n  product: tengwang\n  service: flow\n"


def rule(detection: str, head: str = HEAD) -> Rule:
    """One rule that must load; ``detection`` is indented by two."""
    rules, problems, *_ = load_text("r.yml", f"{head}detection:\n{detection}\n")
    assert [str(p) for p in problems] == []
    return rules[0]


def refused(detection: str, head: str = HEAD) -> list[str]:
    rules, problems, *_ = load_text("r.yml", f"{head}detection:\n{detection}\n")
    assert rules == []
    assert problems
    return [str(problem) for problem in problems]
