"""The same order, on the other store: what the leader asks of it and gets."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.response.judgement import QUIET_MS
from collector.response.model import State
from collector.store import StoreContext
from collector.stores import elastic
from telemetry.clock import ManualClock
from telemetry.order import Action, Phase
from telemetry.report import Report
from tests.collector.response.desk_of_orders import Site
from tests.collector.stores.test_contract import visible
from tests.parts.elasticsearch import Cluster

pytestmark = pytest.mark.needs("elasticsearch")


class Seeing(Site):
    """What was written is found at once, as it is in a second on a real site."""

    def step(self, seconds: float = 0) -> None:
        visible(self.store)
        super().step(seconds)


@pytest.fixture
def site(elasticsearch: Cluster, tmp_path: Path) -> Iterator[Seeing]:
    clock, prefix = ManualClock(), f"r{os.getpid()}"
    config = elastic.Config(urls=tuple(elasticsearch.urls), prefix=prefix, replicas=0, refresh="-1")
    store = elastic.build(config, StoreContext(tmp_path, clock, Report(clock)))
    made = Seeing(tmp_path, store, clock)
    made.enrol("switch", 1)
    made.enrol("probe", 2)
    made.ready("switch", "segment", *Action)
    made.ready("probe", "host", Action.RECHECK)
    visible(store)
    clock.advance(10)
    yield made
    store.close()
    for entry in json.loads(elasticsearch.get(f"/_resolve/index/{prefix}-*"))["indices"]:
        elasticsearch.request("DELETE", f"/{entry['name']}", None)


def test_from_the_proposal_to_the_verified_undo(site: Seeing) -> None:
    site.alert("probe")
    site.step()
    site.alert("switch")
    site.step(3)
    assert site.state() == (State.PROPOSED, "")
    site.responses.approve(site.only().id, "wang")
    site.responses.fetched(site.agents["switch"])
    site.clock.advance(1)
    for _ in range(int(QUIET_MS / 10_000) + 3):
        site.clock.advance(10)
        site.heard("switch")
        site.heard("probe")
        site.answer("switch", site.only(), Phase.APPLIED, **{"tengwang.order.packets": 3})
        site.step()
    assert site.state() == (State.EFFECTIVE, "")
    site.alert("probe", mac="02:00:00:00:00:67")
    site.step(6)
    assert site.state() == (State.APPLIED_NOT_EFFECTIVE, "goes_on")
    site.responses.withdraw(site.only().id, "li")
    site.clock.advance(1)
    site.answer("switch", site.only(), Phase.UNDONE, **{"event.reason": "withdrawn"})
    site.step(6)
    assert site.state() == (State.UNDONE, "withdrawn")
