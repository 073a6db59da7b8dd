from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry import yaml_lines
from telemetry.errors import ConfigError

ODD = ["!!int ''", "!!timestamp x", "!!bool x", "!!float ''", "0b", "!!int _", "9" * 5000, "190:20:30:x", "? [a]\n: b"]
ODD += ["2026-99-99", "\x00", "!!python/object:os.system x", "<<: 3", "!!set {a}", "&a {<<: *a}", "%YAML 9.0\n---\na"]
PIECES = st.sampled_from(
    ["a", ": ", "- ", "\n", "  ", "[", "]", "{", "}", "&a ", "*a", "!!int ", "'", '"', "#", "|", "---\n"]
)


def test_every_key_has_its_line_in_every_document() -> None:
    (first, lines), (second, more) = yaml_lines.documents("x", "a: 1\nb:\n  - c: 2\n---\nd: 3\n")
    assert (first, second) == ({"a": 1, "b": [{"c": 2}]}, {"d": 3})
    assert (lines["a",], lines["b", 0, "c"], more["d",]) == (1, 3, 5)


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 3_000, "- " * 5_000 + "x", "a: " + "[" * 60])
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        yaml_lines.documents("x", text)


def test_aliases_can_not_grow_without_bound() -> None:
    laughs = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    for text in (laughs, "&a [*a]"):
        with pytest.raises(ConfigError, match="aliases"):
            yaml_lines.documents("x", text)


def test_a_key_that_stands_twice_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"x:3: a: stands twice \(first on line 1\)"):
        yaml_lines.documents("x", "a: 1\nb: 2\na: 3\n")


@pytest.mark.parametrize("text", ODD)
def test_odd_text_gives_data_or_a_problem(text: str) -> None:
    with contextlib.suppress(ConfigError):
        yaml_lines.documents("x", text)


@settings(max_examples=400)
@given(st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join)))
def test_any_text_gives_data_or_a_problem(text: str) -> None:
    with contextlib.suppress(ConfigError):
        yaml_lines.documents("x", text)
