"""What ``make docs`` writes is in the tree as it would be written now."""

from __future__ import annotations

import pytest

from tests.docs import DEPLOY, pages


@pytest.mark.parametrize("name", sorted(pages()))
def test_a_generated_page_is_up_to_date(name: str) -> None:
    path = DEPLOY / name
    assert path.exists(), "run make docs"
    assert path.read_text(encoding="utf-8") == pages()[name], "run make docs"


def test_every_table_of_the_reference_is_whole() -> None:
    for name, text in pages().items():
        if name.endswith(".md"):
            rows = [line for line in text.splitlines() if line.startswith("|")]
            widths = {line.replace("\\|", "").count("|") for line in rows}
            assert len(widths) <= 3, name


def test_no_option_is_without_a_description() -> None:
    for name in ("reference/collector.md", "reference/agent.md"):
        rows = [line.replace("\\|", "/").split("|") for line in pages()[name].splitlines() if line.startswith("| `")]
        assert rows
        assert [row[1] for row in rows if not row[4].strip()] == []
