"""Both kinds of store: a score must be the same from each of them.

Of Elasticsearch one version: that its versions agree is what the stores' own contract suite shows.
"""

from __future__ import annotations

import pytest

from tests.collector.stores.conftest import clock, make, report, store
from tests.parts import elasticsearch as part

__all__ = ["clock", "make", "report", "store"]
VERSION = "8.19.3"


@pytest.fixture(params=["sqlite", f"elastic-{VERSION}"])
def engine(request: pytest.FixtureRequest) -> str:
    if request.param != "sqlite" and VERSION not in part.versions():
        pytest.skip(f"no Java here for {request.param}")
    return str(request.param)
