"""One good portal for all tests of this folder; a test with a fault of its own starts its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.parts.portal import Portal, portal


@pytest.fixture(scope="session")
def good_portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with portal(tmp_path_factory.mktemp("portal")) as running:
        yield running
