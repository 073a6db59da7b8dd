"""The whole thing in the lab, and sentences about it: what a story in this folder is told with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlencode

from tests.lab import stores
from tests.lab.lab import Lab
from tests.lab.programs import Agent, Collector, agents, inputs
from tests.parts.elasticsearch import Cluster

Fields = dict[str, Any]
FAST = inputs(host="interval = 2", packets="active = 2\ninactive = 1", readiness="interval = 10")
"""Shorter intervals than anyone would configure, so that a story is told in seconds."""


class Site:
    """A lab with a collector and an agent at city, county and bureau, all enrolled and running."""

    def __init__(self, lab: Lab, collector: Collector, units: dict[str, Agent]) -> None:
        self.lab, self.collector, self.agents = lab, collector, units

    def events(self, query: str, kind: str = "events", limit: int = 1000) -> list[Fields]:
        """What the API finds in the last hour, newest first; fields by name."""
        found = self.collector.get(f"{kind}?{urlencode({'q': query, 'limit': limit})}")
        return [row["fields"] for row in found["events"]]

    def eventually(self, what: str, test: Callable[[], Any], seconds: float = 45.0) -> Any:
        """Wait until ``test`` gives something true, and give that. Fails with what the programs said."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if found := test():
                    return found
                seen: object = "nothing"
            except OSError as error:
                seen = error
            if time.monotonic() > deadline:
                logs = [f"collector: {self.collector.log()[-1500:]}"]
                logs += [f"{unit}: {agent.log()[-1500:]}" for unit, agent in self.agents.items()]
                raise AssertionError(f"not within {seconds:.0f} s: {what} ({seen})\n" + "\n".join(logs))
            time.sleep(0.3)

    def sees(self, query: str, seconds: float = 45.0, kind: str = "events") -> Fields:
        """The newest record that the query finds, as soon as there is one."""
        found: list[Fields] = self.eventually(query, lambda: self.events(query, kind, 1), seconds)
        return found[0]

    def agent_views(self) -> list[Fields]:
        """All agents as the API shows them, by unit."""
        return sorted(self.collector.get("agents")["agents"], key=lambda view: str(view["unit"]))

    def ledgers_add_up(self) -> bool:
        return all(view["ledger"]["adds_up"] and view["ledger"]["stored"] for view in self.agent_views())

    def verdicts(self, asset: str) -> dict[int, str]:
        """Check number -> status, newest."""
        for found in self.collector.get("readiness")["assets"]:
            if found["id"] == asset:
                return {verdict["number"]: verdict["status"] for verdict in found["verdicts"]}
        return {}


@contextmanager
def up(cluster: Cluster | None = None, v4: bool = True) -> Iterator[Site]:
    with ExitStack() as stack:
        lab = stack.enter_context(Lab.up(v4=v4))
        collector = Collector(lab, stores.choose(lab, cluster))
        collector.start()
        units = agents(lab, lambda unit: FAST)
        for agent in units.values():
            agent.enrol(collector)
            agent.start()
        yield Site(lab, collector, units)
