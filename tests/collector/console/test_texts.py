"""Both languages are complete, and nothing stands in the catalogue that no page uses."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from collector.access.roles import Role
from collector.console import render
from collector.console.texts import ZH
from collector.console.view import THEMES
from collector.incidents.model import Grade, State
from collector.inventory import Level
from collector.page import PageState, Why
from collector.response import model as order
from collector.views.agents import Presence
from collector.views.units import Sight
from telemetry.verdict import Status

TEMPLATES = sorted(Path(render.__file__).with_name("templates").glob("*.html"))
SOURCES = sorted(Path(render.__file__).parent.rglob("*.py"))
CJK = re.compile(r"[\u4e00-\u9fff]")
SAME_IN_BOTH = {"CPU"}
NAMED_BY_DATA = {
    "no notifier is configured",
    *(role.value for role in Role),
    *(presence.value for presence in Presence),
    *(sight.value for sight in Sight),
    *(status.value.replace("_", " ") for status in Status),
    *(level.value for level in Level),
    *THEMES,
    *(word.value.replace("_", " ") for kind in (Why, PageState) for word in kind),
    *("on", "off", "blind", "failing", "ok", "stale", "never", "degraded", "down"),
    *("critical", "high", "medium", "low", "informational", "inventory", "rules", "paging"),
    *(state.value.replace("_", " ") for state in State),
    *(grade.value.replace("_", " ") for grade in Grade),
    *(state.value.replace("_", " ") for state in order.State),
    *("alert", "note", "evidence", "handed over", "graded", "state", "merged", "split", "order", "verified"),
    *("contained", "reopened", "clock", "report", "page", "page needed", "escalated", "changed", "proof"),
    *(state.value.replace("_", " ") for state in PageState),
}


def used() -> set[str]:
    """Every text that a template asks for by name, and every literal of the code that is a key."""
    found: set[str] = set()
    for path in TEMPLATES:
        source = path.read_text(encoding="utf-8")
        found |= {m[1] for m in re.finditer(r'\bt\("((?:[^"\\]|\\.)*)"', source)}
        found |= {m[1] for m in re.finditer(r"\bt\('((?:[^'\\]|\\.)*)'", source)}
        found |= {m[1] for m in re.finditer(r'": "([^"]+)"', source)} & set(ZH)
    for path in SOURCES:
        if not path.name.startswith("texts"):
            source = path.read_text(encoding="utf-8")
            found |= set(re.findall(r'"([^"\n]+)"', source) + re.findall(r"\bt\('([^']+)'\)", source)) & set(ZH)
    return found


def test_every_text_asked_for_is_there() -> None:
    assert (used() | NAMED_BY_DATA) - set(ZH) == set()


def test_every_text_there_is_asked_for() -> None:
    assert set(ZH) - used() - NAMED_BY_DATA == set()


@pytest.mark.parametrize("english", ZH)
def test_a_text_says_the_same_in_both(english: str) -> None:
    chinese = ZH[english]
    assert CJK.search(chinese) or english in SAME_IN_BOTH or not english
    assert not CJK.search(english)

    def names(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    assert names(english) == names(chinese)


def test_no_template_has_text_of_its_own() -> None:
    """Chinese in a template would be shown in English too; the verse and language names are meant."""
    for path in TEMPLATES:
        source = re.sub(r'<p class="verse".*?</p>|中文', "", path.read_text(encoding="utf-8"))
        assert not CJK.search(source), path.name


def test_no_template_has_inline_script_or_style() -> None:
    for path in TEMPLATES:
        source = path.read_text(encoding="utf-8")
        assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:|<script(?![^>]*src=)", source), path.name
        assert not re.search(r"""(?:src|href|action)=["']?(?:https?:)?//""", source), path.name
