"""The pipeline against a real SQLite store that fails on purpose in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from collector.query import Exists, Kind, Search
from collector.store import Record, Refused, Written
from telemetry.clock import SystemClock
from telemetry.errors import Transient
from telemetry.event import Event, event
from tests.collector.running import Running, collector, flow


class Faulty:
    """The real store behind it; ``fault`` and ``refuse`` say what goes wrong now."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.fault = ""
        self.state_fault = ""
        self.refuse: set[str] = set()
        self.delay = 0.0
        self.asked_everywhere: list[str] = []
        """Ids of alerts that were written with ``repeat``, so looked for in every partition they could be in."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def write(self, records: Sequence[Record], repeat: bool = False) -> Written:
        if self.fault:
            raise Transient(self.fault)
        if self.delay:
            import time

            time.sleep(self.delay)
        self.asked_everywhere += [r.id for r in records if repeat and r.kind is Kind.ALERT]
        bad = [r for r in records if r.kind is Kind.EVENT and r.id in self.refuse]
        written: Written = self.store.write([r for r in records if r not in bad], repeat)
        return Written(written.stored, written.duplicates, tuple(Refused(r, "mapping: no such field") for r in bad))

    def write_state(self, key: str, value: bytes, version: int) -> int:
        if self.state_fault and key.startswith("ledger/"):
            raise Transient(self.state_fault)
        return int(self.store.write_state(key, value, version))

    def health(self) -> Any:
        if self.fault:
            raise Transient(self.fault)
        return self.store.health()


@pytest.fixture
async def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Running, Faulty]]:
    from collector import wiring

    made: list[Faulty] = []
    real = wiring.open_store

    def open_store(*given: Any) -> Faulty:
        made.append(Faulty(real(*given)))
        return made[0]

    monkeypatch.setattr(wiring, "open_store", open_store)
    async with collector(tmp_path) as running:
        yield running, made[0]


def now() -> int:
    return SystemClock().now_ms()


def ids(running: Running, kind: Kind = Kind.EVENT) -> list[str]:
    """Of what agents sent; the collector has records of its own."""
    where = (Exists("tengwang.agent.sequence"),) if kind is Kind.EVENT else ()
    found = running.collector.services.store.search(Search(0, 2**52, where, kind, 1000))
    return sorted(f.id for f in found.rows)


async def test_while_the_store_is_down_nothing_is_acknowledged_and_it_resumes_by_itself(
    faulty: tuple[Running, Faulty],
) -> None:
    running, store = faulty
    agent = await running.enrol()
    services = running.collector.services
    store.fault = "the disk is full: free some space"
    status, refusal, headers = await agent.send([(1, flow(now()))])
    assert status == 503
    assert "disk is full" in refusal["detail"]
    assert int(headers["Retry-After"]) >= 1
    assert services.standing.health.writable is False
    assert services.report.value("tengwang_store_writable") == 0
    assert services.standing.down_since_ms > 0
    assert services.ledgers.account(agent.identity.agent).stored == 0
    store.fault = ""
    for _ in range(100):
        if services.standing.writable:
            break
        await asyncio.sleep(0.05)
    assert (await agent.send([(1, flow(now()))], repeat=True))[0] == 200
    assert services.ledgers.account(agent.identity.agent).stored == 1
    assert ids(running) == [f"{agent.identity.agent}-1-1"]


async def test_a_store_that_is_away_at_the_start_is_waited_for_and_everything_else_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from collector import wiring

    made: list[Faulty] = []
    real = wiring.open_store

    def open_store(*given: Any) -> Faulty:
        made.append(Faulty(real(*given)))
        made[0].fault = "no route to the cluster"
        return made[0]

    monkeypatch.setattr(wiring, "open_store", open_store)
    async with collector(tmp_path) as running:
        standing = running.collector.services.standing
        assert standing.health.detail == "no route to the cluster"
        assert running.collector.console_urls
        made[0].fault = ""
        for _ in range(100):
            if standing.writable:
                break
            await asyncio.sleep(0.05)
        agent = await running.enrol()
        assert (await agent.send([(1, flow(now()))]))[0] == 200


async def test_a_ledger_that_can_not_be_saved_is_no_acknowledgement(faulty: tuple[Running, Faulty]) -> None:
    running, store = faulty
    agent = await running.enrol()
    store.state_fault = "read-only"
    assert (await agent.send([(1, flow(now()))]))[0] == 503
    store.state_fault = ""
    for _ in range(100):
        if running.collector.services.standing.writable:
            break
        await asyncio.sleep(0.05)
    assert (await agent.send([(1, flow(now()))], repeat=True))[0] == 200
    assert len(ids(running)) == 1
    saved = store.list_state(f"ledger/{agent.identity.agent}/")
    assert len(saved) == 1


async def test_what_the_store_will_never_take_is_set_aside_with_its_reason(faulty: tuple[Running, Faulty]) -> None:
    running, store = faulty
    agent = await running.enrol()
    name = agent.identity.agent
    store.refuse = {f"{name}-1-2"}
    status, ack, _ = await agent.send([(n, flow(now())) for n in (1, 2, 3)])
    assert (status, ack["stored"], ack["refused"]) == (200, 2, 1)
    aside = running.collector.services.store.get(Kind.ASIDE, f"{name}-1-2")
    assert aside is not None
    assert aside.doc["tengwang.aside.reason"] == "store"
    assert "no such field" in str(aside.doc["tengwang.aside.detail"])
    account = running.collector.services.ledgers.account(name)
    assert (account.stored, account.dropped, account.adds_up) == (2, {"set_aside": 1}, True)


async def test_a_full_queue_is_answered_with_429_and_a_time(faulty: tuple[Running, Faulty]) -> None:
    running, store = faulty
    agent = await running.enrol()
    store.delay = 0.3
    pipeline = running.collector.pipeline
    pipeline._queue_bytes = 1
    answers = await asyncio.gather(*(agent.send([(n, flow(now()))], epoch=n + 1) for n in range(1, 9)))
    statuses = sorted(answer[0] for answer in answers)
    assert statuses[0] == 200
    assert statuses[-1] == 429
    assert next(a for a in answers if a[0] == 429)[2]["Retry-After"] == "2"
    store.delay = 0
    refused = [number for number, answer in enumerate(answers, 1) if answer[0] == 429]
    for number in refused:  # kept by the agent, sent again
        assert (await agent.send([(number, flow(now()))], epoch=number + 1))[0] == 200
    assert len(ids(running)) == 8


async def test_a_repeated_event_raises_no_second_alert(faulty: tuple[Running, Faulty]) -> None:
    running, store = faulty
    agent = await running.enrol()
    advertisement = event(now(), "tengwang.ndp", "router_advertisement")
    more: Event = {
        "source.ip": "fe80::bad",
        "source.mac": "02:00:00:00:be:ef",
        "tengwang.ndp.type": "router_advertisement",
        "tengwang.ndp.registered": False,
        "tengwang.ndp.hop_limit": 255,
    }
    advertisement.update(more)
    await agent.send([(1, advertisement)])
    first = ids(running, Kind.ALERT)
    assert len(first) == 1
    await agent.send([(1, advertisement)], repeat=True)
    assert ids(running, Kind.ALERT) == first
    assert store.asked_everywhere == first


async def test_an_aside_record_is_not_written_twice_when_its_batch_is_repeated(faulty: tuple[Running, Faulty]) -> None:
    running, _ = faulty
    agent = await running.enrol()
    for repeat in (False, True):
        assert (await agent.send([(1, b'{"no":"event"}')], repeat=repeat))[0] == 200
        await asyncio.sleep(0.01)
    assert len(ids(running, Kind.ASIDE)) == 1


async def test_what_the_agent_says_of_its_drops_and_epochs_is_in_the_ledger(faulty: tuple[Running, Faulty]) -> None:
    from telemetry import ledger

    running, _ = faulty
    agent = await running.enrol()
    await agent.send([(n, flow(now())) for n in (1, 2, 6)], epoch=10)
    account = running.collector.services.ledgers.account(agent.identity.agent)
    assert (account.missing, account.adds_up) == (3, False)
    dropped = event(now(), "tengwang.agent", "dropped")
    numbers: Event = {"tengwang.drop.epoch": 10, "tengwang.drop.first": 3, "tengwang.drop.last": 5}
    dropped.update(numbers)
    dropped["event.reason"] = "full"
    status = event(now(), "tengwang.agent", "status")
    status["tengwang.ledger.detail"] = ledger.encode([ledger.EpochLedger(10, 9, 3, 3, {"full": 3})])
    await agent.send([(1, dropped), (2, status)], epoch=14)
    account = running.collector.services.ledgers.account(agent.identity.agent)
    assert (account.collected, account.stored, account.spooled, account.dropped) == (11, 5, 3, {"full": 3})
    assert account.adds_up
