"""Over means measured: quiet while somebody could see, and the proof where the rule has one; never mere silence."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from collector.incidents.model import Incident, State
from collector.incidents.sight import SETTLE_MS, Sight
from collector.incidents.verify import Verify
from collector.operation import News
from collector.query import Kind
from collector.registry import AgentRecord
from collector.store import Record
from telemetry.clock import ManualClock
from telemetry.enrol import Host
from telemetry.event import Event, event
from tests.collector.incidents.desk_of_test import MINUTE, RULE, WITH_PROOF, Bench, alert, proof, sqlite_at

NOW = 1_790_000_000_000


class World:
    """Agents that report or not, an incident's rule, and the part under test."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(NOW)
        self.bench = Bench(sqlite_at(folder, self.clock), self.clock)
        self.agents: dict[str, AgentRecord] = {}
        self.skew: dict[str, int] = {}
        self.started: dict[str, int] = {}
        self.silent: set[str] = set()
        self.state: dict[tuple[str, str], str] = {}
        self.number = 0
        self.join("agent-1")
        self.part = self.leader()

    def leader(self) -> Verify:
        sight = Sight(self.bench.store, lambda: list(self.agents.values()))
        made = Verify(self.bench.desk, self.bench.store, sight, self.clock, self.bench.report)
        made.begin(self.clock.now_ms())
        return made

    def join(self, name: str, skew_ms: int = 0) -> None:
        host = Host("m" * 16, name)
        self.agents[name] = AgentRecord(name, name, "city", host, "1", NOW, last_seen_ms=NOW)
        self.started[name] = NOW - 86_400_000
        self.skew[name] = skew_ms
        self.input(name, "ndp", "on")

    def input(self, name: str, kind: str, state: str) -> None:
        self.state[name, kind] = state
        self._tell(name, kind)

    def _tell(self, name: str, kind: str) -> None:
        made = event(self.clock.now_ms() + self.skew[name], "tengwang.agent", "input-state", kind="state")
        made |= {"tengwang.input.type": kind, "tengwang.input.state": self.state[name, kind]}
        self._store(name, made)

    def _store(self, name: str, doc: Event) -> None:
        self.number += 1
        now = self.clock.now_ms()
        doc |= {"event.id": f"{name}-{self.number}", "event.ingested": now, "agent.id": name}
        self.bench.store.write([Record(Kind.EVENT, str(doc["event.id"]), doc)])

    def run(self, minutes: float, *news: Record) -> Incident:
        """Time goes on: agents report each half minute, the leader looks each 15 s."""
        for step in range(round(minutes * 4)):
            self.clock.advance(15)
            now = self.clock.now_ms()
            for name, record in self.agents.items():
                if name in self.silent:
                    continue
                self.agents[name] = msgspec.structs.replace(record, last_seen_ms=now)
                if step % 2 == 0:
                    made = event(now + self.skew[name], "tengwang.agent", "status", kind="state")
                    made["process.uptime"] = (now - self.started[name]) // 1000
                    self._store(name, made)
                if (now - NOW) // 15_000 % 40 == 0:
                    for agent, kind in self.state:
                        if agent == name:
                            self._tell(name, kind)
            given = list(news) if step == 0 else []
            self.part.step(News(now, hits=given))
        return self.only()

    def only(self) -> Incident:
        return self.bench.only()

    def find(self, rule: str = RULE.id) -> Incident:
        self.bench.give(alert("a", self.clock.now_ms(), rule=rule))
        return self.only()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_quiet_while_the_agent_sees_is_verified_and_then_closed(world: World) -> None:
    world.find()
    assert world.run(29).state is State.FOUND
    assert world.run(1.5).state is State.VERIFYING
    one = world.run(1.5)
    assert (one.state, one.contained_ms, one.blind) == (State.CLOSED, one.verifying_ms, "")
    last = one.entries[-1]
    assert (last.by, last.data["measured"]) == ("system", True)
    assert isinstance(last.data["quiet_ms"], int)
    assert last.data["quiet_ms"] >= 30 * MINUTE
    assert world.bench.report.value("tengwang_incidents_closed_total", by="measurement") == 1


@pytest.mark.parametrize("skew_ms", [-26 * 3_600_000, 3_600_000])
def test_an_agents_wrong_clock_does_not_matter(world: World, skew_ms: int) -> None:
    world.join("agent-1", skew_ms)
    world.bench.give(alert("a", NOW + skew_ms, fields={"event.ingested": NOW}))
    assert world.run(29).state is State.FOUND
    assert world.run(4).state is State.CLOSED


def test_the_silence_of_a_silent_agent_proves_nothing_and_is_noted_once(world: World) -> None:
    world.find()
    world.silent.add("agent-1")
    one = world.run(90)
    assert one.state is State.FOUND
    assert [(e.action, e.note) for e in one.entries][1:] == [("verified", "agent agent-1 is silent")]
    world.silent.clear()
    assert world.run(SETTLE_MS / MINUTE - 0.5).state is State.FOUND  # what it kept may still come
    assert world.run(4).state is State.CLOSED


def test_while_its_input_is_blind_nothing_is_proven(world: World) -> None:
    world.find()
    world.run(5)
    world.input("agent-1", "ndp", "blind")
    one = world.run(60)
    assert (one.state, one.blind) == (State.FOUND, "input ndp of agent agent-1 is blind")
    world.input("agent-1", "ndp", "on")
    assert world.run(29).state is State.FOUND  # quiet counts from when it sees again
    assert world.run(4).state is State.CLOSED


def test_an_agent_that_was_started_again_counts_from_its_start(world: World) -> None:
    world.find()
    world.run(20)
    world.started["agent-1"] = world.clock.now_ms()
    assert world.run(25).state is State.FOUND
    assert world.run(8).state is State.CLOSED


def test_every_agent_that_raised_it_must_see_but_not_one_that_is_gone_for_good(world: World) -> None:
    world.join("agent-2")
    world.find()
    world.bench.give(alert("a", NOW + 1, 2, fields={"agent.id": "agent-2"}))
    world.silent.add("agent-2")
    assert world.run(60).state is State.FOUND
    world.agents["agent-2"] = msgspec.structs.replace(world.agents["agent-2"], revoked=True)
    assert world.run(5).state is State.CLOSED


def test_an_incident_of_an_agent_that_is_no_more_waits_for_a_person(world: World) -> None:
    world.find()
    world.agents.clear()
    one = world.run(60)
    assert one.state is State.FOUND
    assert one.blind.startswith("no agent")


def test_seen_again_while_verifying_goes_back_and_later_closes(world: World) -> None:
    one = world.find()
    world.bench.desk.handle(one.id, "li")
    assert world.run(30.5).state is State.VERIFYING
    again = world.find()
    assert (again.id, again.state, again.verifying_ms, again.count) == (one.id, State.HANDLING, 0, 2)
    assert world.run(29).state is State.HANDLING
    assert world.run(4).state is State.CLOSED


def test_with_a_proof_it_is_verifying_at_once_and_closes_after_the_quiet_time(world: World) -> None:
    world.find(WITH_PROOF.id)
    assert world.run(60).state is State.FOUND  # quiet alone is not enough
    one = world.run(0.25, proof("a", world.clock.now_ms()))
    assert (one.state, one.proof_ms) == (State.VERIFYING, world.clock.now_ms() - 15_000)
    assert world.run(2).state is State.CLOSED


def test_a_proof_from_before_the_newest_alert_is_none(world: World) -> None:
    world.find(WITH_PROOF.id)
    assert world.run(15, proof("a", NOW - 1000), proof("b", NOW + 60_000)).state is State.FOUND


def test_a_proof_that_is_followed_by_an_alert_counts_no_more(world: World) -> None:
    world.find(WITH_PROOF.id)
    assert world.run(1, proof("a", NOW + 5000)).state is State.VERIFYING
    again = world.find(WITH_PROOF.id)
    assert (again.state, again.proof_ms) == (State.FOUND, 0)
    assert world.run(30).state is State.FOUND


def test_a_new_leader_watches_a_while_itself_before_it_believes_the_times_it_reads(world: World) -> None:
    world.find()
    world.run(28)
    world.part = world.leader()
    assert world.run(9).state is State.FOUND
    assert world.run(3).state is State.CLOSED


def test_a_leaders_clock_that_jumps_ahead_closes_nothing(world: World) -> None:
    world.find()
    world.run(5)
    world.clock.ms += 26 * 3_600_000
    assert world.run(9).state is State.FOUND
    world.find()  # and it does go on
    assert world.run(20).state is State.FOUND
    assert world.run(13).state is State.CLOSED


@pytest.mark.parametrize("skew_ms", [-26 * 3_600_000, 26 * 3_600_000])
def test_an_agent_is_heard_by_a_collector_whose_clock_is_wrong(world: World, skew_ms: int) -> None:
    agents = world.agents

    def seen() -> list[AgentRecord]:
        return [msgspec.structs.replace(r, last_seen_ms=r.last_seen_ms + skew_ms) for r in agents.values()]

    world.part = Verify(
        world.bench.desk, world.bench.store, Sight(world.bench.store, seen), world.clock, world.bench.report
    )
    world.find()
    world.silent.add("agent-1")
    assert world.run(40).state is State.FOUND
    world.silent.clear()
    assert world.run(6).state is State.CLOSED
