"""The stores under test: SQLite, and every Elasticsearch version that this machine's Java runs."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.store import Store, StoreContext
from collector.stores import elastic, sqlite
from telemetry.clock import ManualClock
from telemetry.report import Report
from tests.parts import elasticsearch as part

NUMBERS = itertools.count()
ENGINES = ["sqlite", *(f"elastic-{version}" for version in part.JAVA_OF)]
Make = Callable[[], Store]


@pytest.fixture(scope="session")
def elasticsearch_9() -> Iterator[part.Cluster]:
    with part.start(version="9.1.3") as cluster:
        yield cluster


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if name.startswith("elastic-") and name.removeprefix("elastic-") not in part.versions():
        pytest.skip(f"no Java here for {name}")
    return name


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def report(clock: ManualClock) -> Report:
    return Report(clock)


@pytest.fixture
def make(
    request: pytest.FixtureRequest, engine: str, tmp_path: Path, clock: ManualClock, report: Report
) -> Iterator[Make]:
    """Opens the same store again and again, as restarts and further processes do."""
    context = StoreContext(tmp_path, clock, report)
    opened: list[Store] = []
    if engine == "sqlite":

        def made() -> Store:
            return sqlite.build(sqlite.Config(reserve_mb=0), context)
    else:
        cluster = request.getfixturevalue("elasticsearch" if engine == "elastic-8.19.3" else "elasticsearch_9")
        prefix = f"t{os.getpid()}-{next(NUMBERS)}"

        def made() -> Store:
            config = elastic.Config(urls=tuple(cluster.urls), prefix=prefix, replicas=0, refresh="-1")
            return elastic.build(config, context)

    def make() -> Store:
        opened.append(made())
        return opened[-1]

    yield make
    for store in opened:
        store.close()
    if engine != "sqlite":
        found = json.loads(cluster.get(f"/_resolve/index/{prefix}-*"))
        for entry in found["indices"]:
            cluster.request("DELETE", f"/{entry['name']}", None)


@pytest.fixture
def store(make: Make) -> Store:
    return make()
