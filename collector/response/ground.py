"""What proposals stand on, kept fresh: the playbooks in use, what each agent said it may do, and what is protected."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from collector.incidents.model import Incident
from collector.inventory_source import InventorySource
from collector.query import Equals, Kind, Latest
from collector.registry import AgentRecord, Registry
from collector.response import playbook
from collector.response.playbook import Playbook
from collector.response.proposing import Ability, Ground
from collector.response.protection import Protected
from collector.store import Store
from telemetry.clock import Clock
from telemetry.errors import Problem
from telemetry.order import DATASET, READY, Scope
from telemetry.report import Report

FRESH_S = 3.0
ABILITY_MS = 86_400_000
"""What an agent said that it may do is believed for a day; it says it again every few minutes."""


class Grounds:
    """Thread-safe; blocks on the store."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        report: Report,
        inventory: InventorySource,
        registry: Registry,
        paths: Sequence[Path],
        families_of: Callable[[str], frozenset[str]],
        collectors: Callable[[], Iterable[str]],
        protected: Sequence[str] = (),
        automatic: bool = False,
    ) -> None:
        """``paths``: files and folders of playbooks. ``collectors``: addresses of this and the other collectors."""
        self._store, self._clock, self._report = store, clock, report
        self._inventory, self._registry = inventory, registry
        self._paths, self._families_of, self._collectors = paths, families_of, collectors
        self._listed, self._automatic = protected, automatic
        self._lock = threading.Lock()
        self._at = float("-inf")
        self._agents: list[AgentRecord] = []
        self._abilities: list[Ability] = []
        self._signature: object = None
        self._problems: list[Problem] = []
        self._playbooks: tuple[Playbook, ...] = ()
        self._read_playbooks()

    def of(self, incident: Incident) -> Ground:
        with self._lock:
            self._look()
            index = self._inventory.current()
            return Ground(
                playbooks=self._playbooks,
                abilities=self._abilities,
                protected=self._protected(),
                path=index.path(incident.unit) or ((incident.unit,) if incident.unit else ()),
                families=frozenset().union(*map(self._families_of, (incident.rule, *incident.rules))),
                automatic=self._automatic,
            )

    def protected(self) -> Protected:
        with self._lock:
            self._look()
            return self._protected()

    def abilities(self) -> list[Ability]:
        with self._lock:
            self._look()
            return self._abilities

    def agent_name(self, agent: str) -> str:
        return next((record.name for record in self._agents if record.id == agent), agent)

    def problems(self) -> list[Problem]:
        """What is wrong with playbook files; the others are in use."""
        return self._problems

    def _protected(self) -> Protected:
        return Protected(self._inventory.current(), self._agents, self._collectors(), self._listed)

    def _look(self) -> None:
        now = self._clock.monotonic()
        if now - self._at < FRESH_S:
            return
        self._read_playbooks()
        self._agents = [record for record in self._registry.agents() if not record.revoked]
        units = {record.id: record.unit for record in self._agents}
        told = self._store.latest(
            Latest(
                self._clock.now_ms() - ABILITY_MS,
                self._clock.now_ms() + ABILITY_MS,
                ("agent.id",),
                (Equals("event.dataset", (DATASET,)), Equals("event.action", (READY,))),
                Kind.EVENT,
            )
        )
        self._abilities = [
            Ability(str(found.doc["agent.id"]), units[str(found.doc["agent.id"])], _allowed(found.doc), scope)
            for found in told
            if found.doc["agent.id"] in units and (scope := _scope(found.doc)) is not None
        ]
        self._at = now

    def _read_playbooks(self) -> None:
        signature = tuple(
            (str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in _files(self._paths) if file.is_file()
        )
        if signature == self._signature:
            return
        self._signature = signature
        self._playbooks, self._problems = playbook.load(self._paths)
        for problem in self._problems[:10]:
            self._report.warn("playbooks", str(problem))
        self._report.gauge("tengwang_playbooks", len(self._playbooks), state="active")
        self._report.gauge("tengwang_playbooks", len(self._problems), state="refused")


def _files(paths: Iterable[Path]) -> list[Path]:
    return [file for path in paths for file in (sorted(path.rglob("*.yml")) if path.is_dir() else [path])]


def _allowed(doc: object) -> frozenset[str]:
    found = doc.get("tengwang.order.allowed") if isinstance(doc, dict) else None
    return frozenset(map(str, found)) if isinstance(found, list) else frozenset(filter(None, [str(found or "")]))


def _scope(doc: object) -> Scope | None:
    try:
        return msgspec.convert(doc.get("tengwang.order.scope") if isinstance(doc, dict) else None, Scope)
    except msgspec.ValidationError:
        return None
