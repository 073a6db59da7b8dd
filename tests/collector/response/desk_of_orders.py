"""A collector's orders on a real store, for tests: incidents, agents and what they say by hand, time by hand."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from cryptography import x509

from collector import shipped
from collector.audit import Trail
from collector.ca import Authority
from collector.incidents.model import Entry, Incident
from collector.inventory_source import InventorySource
from collector.operation import News
from collector.query import Kind, Search
from collector.registry import Registry
from collector.response.evidence import Evidence
from collector.response.ground import Grounds
from collector.response.model import Kept, State
from collector.response.respond import Respond
from collector.response.responses import Responses
from collector.store import Record, Store
from telemetry.clock import ManualClock
from telemetry.enrol import EnrolRequest
from telemetry.event import Event, event
from telemetry.order import Action, Order, Phase, parse
from telemetry.report import Report
from tests.collector.incidents.desk_of_test import RULE, Bench, alert, sqlite_at
from tests.collector.running import csr, host

INVENTORY = """
units:
  - {id: city, name: 示例市, level: city}
  - {id: bureau, name: 示例局, level: county, parent: city}
people:
  - {id: li, name: 李}
devices:
  - {id: gateway, name: 网关, unit: bureau, address: "2001:db8:1::1", macs: ["02:00:00:00:00:fe"], router: true}
systems:
  - {id: portal, name: 门户, unit: bureau, domains: [www.bureau.test], addresses: ["2001:db8:1::80"], level: 3,
     responsible: {authority: li, operator: li, user: li}}
"""
PLAYBOOK = """
id: rogue
title: Rogue
title_zh: 某
when: {rules: [rule-1]}
actions:
  - {action: drop_rogue_ra, at: source_mac, ttl: 1h, begin_within: 10m, verify_by: rogue_ra}
"""
INTRUDER = "02:00:00:00:00:66"
KEY = 'rogue-router ["bureau"]'
_NUMBERS = itertools.count(1)


class Site:
    """``switch`` stands on the bridge of the bureau's segment and ``probe`` is a host on it."""

    def __init__(
        self, folder: Path, store: Store | None = None, clock: ManualClock | None = None, **grounds: Any
    ) -> None:
        self.clock = clock or ManualClock()
        self.folder = folder
        self.store = store or sqlite_at(folder / "store", self.clock)
        (folder / "inventory").mkdir(exist_ok=True)
        (folder / "inventory" / "all.yml").write_text(INVENTORY, encoding="utf-8")
        (folder / "playbooks").mkdir(exist_ok=True)
        if not list((folder / "playbooks").iterdir()):
            (folder / "playbooks" / "rogue.yml").write_text(PLAYBOOK, encoding="utf-8")
        self.report = Report(self.clock)
        self.trail = Trail(self.store, self.clock, self.report)
        self.authority = Authority.open(folder / "ca", self.clock)
        self.registry = Registry(self.store, self.clock, self.authority, self.trail, "c1")
        inventory = InventorySource(folder / "inventory", self.report)
        assert inventory.problems() == []
        self.bench = Bench(self.store, self.clock, inventory=inventory.current())
        self.desk = self.bench.desk
        made = Grounds(
            self.store, self.clock, self.report, inventory, self.registry, [folder / "playbooks"],
            families_of=lambda _: frozenset(), collectors=lambda: ["2001:db8:1::8"], **grounds,
        )  # fmt: skip
        self.responses = Responses(
            self.store, self.clock, self.authority, self.trail, self.report, made, lambda: self.desk
        )
        self.respond = Respond(
            self.responses, self.desk, Evidence(self.store, self.registry.agents, lambda _: RULE.datasets),
            self.responses.abilities, self.trail, self.clock, self.report,
        )  # fmt: skip
        self.agents: dict[str, str] = {}

    def enrol(self, name: str, number: int, unit: str = "bureau") -> str:
        request, _ = csr()
        assert x509.load_pem_x509_csr(request.encode())
        token = self.registry.create_enrol_token(unit, 600, 1, "test")
        identity = self.registry.enrol(EnrolRequest(str(token), request, host(number), "0.1.0", name), "::1")
        self.agents[name] = identity.agent
        self.heard(name)
        return identity.agent

    def heard(self, name: str) -> None:
        """The agent reports its status, and that its input listens."""
        self.registry.seen(self.agents[name], "run-1", "2001:db8:1::99")
        self.registry.flush()
        self.say(name, "tengwang.agent", "status", **{"process.uptime": 86_400})

    def ready(self, name: str, scope: str, *allowed: Action) -> None:
        listed = [action.value for action in allowed]
        fields: Event = {"tengwang.order.allowed": listed, "tengwang.order.scope": scope}
        self.say(name, "tengwang.response", "ready", **fields)
        self.say(name, "tengwang.agent", "input-state", **{"tengwang.input.type": "ndp", "tengwang.input.state": "on"})

    def say(self, name: str, dataset: str, action: str, **fields: Any) -> None:
        """An event of this agent, now."""
        made = event(self.clock.now_ms(), dataset, action) | {"agent.id": self.agents[name]} | fields
        self.store.write([Record(Kind.EVENT, f"e{next(_NUMBERS)}", made)])

    def answer(self, name: str, order: Kept, phase: Phase, **fields: Any) -> None:
        """What the agent tells of an order."""
        said = {"tengwang.order.id": order.id, "tengwang.order.state": phase.value, "event.outcome": "success"}
        self.say(name, "tengwang.response", phase.value, **(said | fields))

    def alert(self, name: str, key: str = KEY, mac: str = INTRUDER) -> None:
        number = next(_NUMBERS)
        fields: Event = {"agent.id": self.agents[name], "source.mac": mac, "tengwang.unit.id": "bureau"}
        made = alert(key, self.clock.now_ms(), number, fields=fields)
        self.bench.give(made)

    def step(self, seconds: float = 0) -> None:
        self.clock.advance(seconds)
        self.respond.step(News(self.clock.now_ms()))

    def only(self) -> Kept:
        """The one containing order."""
        self.responses.book.forget()
        (found,) = [k for k in self.responses.book.every() if not k.proposal.verifies]
        return found

    def state(self) -> tuple[State, str]:
        kept = self.only()
        return kept.state, kept.why

    def incident(self) -> Incident:
        return self.bench.only()

    def entries(self, action: str) -> list[Entry]:
        return [entry for entry in self.desk.history(self.incident().id) if entry.action == action]

    def orders_of(self, name: str) -> list[Order]:
        return [parse(signed.payload) for signed in self.responses.for_agent(self.agents[name]).orders]

    def audited(self, action: str) -> list[Event]:
        page = self.store.search(Search(0, 2**42, (), Kind.AUDIT, 500))
        return [row.doc for row in page.rows if row.doc["event.action"] == action]


def site_with_agents(folder: Path, **grounds: Any) -> Site:
    made = Site(folder, **grounds)
    made.enrol("switch", 1)
    made.enrol("probe", 2)
    made.ready("switch", "segment", *Action)
    made.ready("probe", "host", Action.RECHECK)
    assert shipped.playbooks().is_dir()
    made.clock.advance(10)
    return made
