"""One segment for all tests of a module: rules of one test are gone before the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.agent.actions.lan import Lan, lan


@pytest.fixture(scope="module")
def segment() -> Iterator[Lan]:
    with lan() as made:
        yield made
