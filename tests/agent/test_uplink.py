"""The uplink against a real TLS server on [::1] that answers as a collector does, well or badly."""

from __future__ import annotations

import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec
import pytest

from agent.bounded_file import BoundedFile
from agent.spool import Spool
from agent.uplink import Held, State, Uplink
from telemetry import wire, work
from telemetry.clock import ManualClock
from telemetry.errors import Transient
from telemetry.event import Priority
from telemetry.order import SignedOrders
from telemetry.report import Report
from telemetry.work import Work
from tests.agent.tls_site import Authority, Listener, Reply, Request

AGENT = "a1b2c3"


class Collector:
    """Stores what it is sent, once an event; ``judge`` may answer otherwise."""

    def __init__(self, authority: Authority, folder: Path) -> None:
        self.stored: dict[tuple[int, int], bytes] = {}
        self.batches: list[wire.Batch] = []
        self.judge: Callable[[wire.Batch], Reply | None] = lambda batch: None
        self.work: Reply = Reply(304)
        self.ack_work = ""
        self.orders: Reply = Reply(404)
        self.ack_orders = ""
        self.asked_for_orders = 0
        self.listener = Listener(authority, folder, self.answer)
        self.url = self.listener.url

    def answer(self, request: Request) -> Reply:
        assert request.peer == AGENT, "mutual TLS"
        if request.path == "/agent/v1/work":
            return self.work
        if request.path == "/agent/v1/orders":
            self.asked_for_orders += 1
            return self.orders
        assert request.path == "/agent/v1/events"
        batch = wire.decode(request.body)
        self.batches.append(batch)
        if (said := self.judge(batch)) is not None:
            return said
        for sequence, raw in batch.records:
            self.stored[(batch.header.epoch, sequence)] = bytes(raw)
        return Reply(200, {"stored": len(batch.records), "work": self.ack_work, "orders": self.ack_orders})


class Site:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.report = Report(self.clock)
        self.authority = Authority()
        self.chain = self.authority.chain(AGENT, folder / "agent.pem")
        self.spool = Spool(folder / "spool", self.clock, self.report)
        self.collectors: list[Collector] = []
        self.uplinks: list[Uplink] = []
        self.given: list[Work] = []
        self.quarantine = folder / "quarantine.jsonl"

    def collector(self) -> Collector:
        made = Collector(self.authority, self.folder)
        self.collectors.append(made)
        return made

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.authority.pem)
        context.load_cert_chain(self.chain)
        return context

    def uplink(self, *urls: str, **options: object) -> Uplink:
        made = Uplink(
            self.spool, urls or [c.url for c in self.collectors], self.context, AGENT, "run-1", self.clock, self.report,
            BoundedFile(self.quarantine, 100_000), take_work=self.given.append, rng=random.Random(1),
            **{"timeout": 5.0, **options},  # type: ignore[arg-type]
        )  # fmt: skip
        self.uplinks.append(made)
        return made

    def fill(self, count: int, priority: Priority = Priority.METRIC) -> int:
        return self.spool.append(priority, [b'{"n":%d}' % n for n in range(count)])[0]

    def close(self) -> None:
        for uplink in self.uplinks:
            uplink.stop(0.1)
        for collector in self.collectors:
            collector.listener.close()
        self.spool.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def refusal(status: int, reason: str, detail: str = "", headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status, {"reason": reason, "detail": detail}, dict(headers or {}))


def test_everything_is_sent_over_ipv6_and_freed_only_by_the_ack(site: Site) -> None:
    collector = site.collector()
    epoch = site.fill(25)
    uplink = site.uplink(batch_records=10)
    assert uplink.send_one()
    assert site.spool.account().acked == 10
    uplink.drain()
    assert sorted(collector.stored) == [(epoch, n) for n in range(1, 26)]
    assert site.spool.account().spooled == 0
    assert [b.header.repeat for b in collector.batches] == [False, False, False]
    assert {(b.header.agent, b.header.instance) for b in collector.batches} == {(AGENT, "run-1")}
    assert uplink.state.state is State.CONNECTED
    assert collector.listener.connections == 1, "one connection is kept"


def test_no_answer_sends_again_with_repeat_set_and_nothing_is_lost(site: Site) -> None:
    collector = site.collector()
    epoch = site.fill(3)
    cut = iter([True, False])
    collector.judge = lambda batch: Reply(cut=True) if next(cut) else None
    uplink = site.uplink()
    with pytest.raises(Held):
        uplink.drain()
    assert site.spool.account().spooled == 3
    assert uplink.state.state is State.RETRYING
    site.clock.advance(60)
    uplink.drain()
    assert [b.header.repeat for b in collector.batches] == [False, True]
    assert sorted(collector.stored) == [(epoch, 1), (epoch, 2), (epoch, 3)]


def test_a_kept_connection_that_the_collector_closed_is_made_anew_without_a_wait(site: Site) -> None:
    collector = site.collector()
    site.fill(1)
    uplink = site.uplink()
    uplink.drain()
    cut = iter([True, False])
    collector.judge = lambda batch: Reply(cut=True) if next(cut) else None
    site.fill(1)
    uplink.drain()
    assert [b.header.repeat for b in collector.batches] == [False, False, True]
    assert site.spool.account().spooled == 0


def test_a_batch_whose_ack_was_lost_is_not_dropped_for_its_age(site: Site) -> None:
    collector = site.collector()
    epoch = site.fill(5)
    stored = iter([True, False])

    def lose_the_ack(batch: wire.Batch) -> Reply | None:
        if not next(stored):
            return None
        collector.stored |= {(batch.header.epoch, sequence): bytes(raw) for sequence, raw in batch.records}
        return Reply(cut=True)

    collector.judge = lose_the_ack
    uplink = site.uplink(batch_records=2)
    with pytest.raises(Held):
        uplink.drain()
    site.clock.advance(30 * 86_400)
    site.spool.maintain()
    assert site.spool.account().dropped == {"age": 3}
    uplink.drain()
    assert sorted(collector.stored) == [(epoch, 1), (epoch, 2)]
    assert site.spool.account().acked == 2
    assert site.spool.account().spooled == 0


def test_a_batch_that_never_left_is_dropped_for_its_age(site: Site) -> None:
    site.fill(5)
    uplink = site.uplink("https://[::1]:1", batch_records=2)
    with pytest.raises(Held):
        uplink.drain()
    site.clock.advance(30 * 86_400)
    site.spool.maintain()
    assert site.spool.account().dropped == {"age": 5}


def test_batches_of_a_former_run_are_repeats(site: Site) -> None:
    collector = site.collector()
    site.fill(2)
    site.spool.close()
    site.spool = Spool(site.folder / "spool", site.clock, site.report)
    site.fill(1)
    site.uplink().drain()
    assert [(len(b.records), b.header.repeat) for b in collector.batches] == [(2, True), (1, False)]


def test_the_next_collector_takes_over_at_once_and_is_kept(site: Site) -> None:
    away, second = site.collector(), site.collector()
    away.listener.close()
    site.fill(1)
    uplink = site.uplink()
    uplink.drain()
    assert len(second.stored) == 1
    site.fill(1)
    site.clock.advance(3600)
    uplink.drain()
    assert len(second.stored) == 2
    assert uplink.state.collector == second.url
    site.collectors.remove(away)


def test_one_without_an_answer_after_it_was_sent_is_a_repeat_to_the_next(site: Site) -> None:
    first, second = site.collector(), site.collector()
    first.judge = lambda batch: Reply(cut=True)
    site.fill(1)
    site.uplink().drain()
    assert [b.header.repeat for b in second.batches] == [True]


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_kept_to(site: Site, status: int) -> None:
    collector = site.collector()
    collector.judge = lambda batch: refusal(status, "busy", "the store is full", {"Retry-After": "17"})
    site.fill(1)
    uplink = site.uplink()
    with pytest.raises(Transient):
        uplink.drain()
    assert uplink.state.state is State.WAITING
    collector.judge = lambda batch: None
    site.clock.advance(16)
    with pytest.raises(Held) as held:
        uplink.drain()
    assert held.value.seconds == pytest.approx(1)
    site.clock.advance(1.1)
    uplink.drain()
    assert site.spool.account().acked == 1


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_one_bad_record_is_found_by_halving_and_the_others_are_stored(site: Site, status: int) -> None:
    collector = site.collector()
    bad = b'{"n":13}'
    collector.judge = lambda batch: (
        refusal(status, "bad_record", "thirteen") if bad in [bytes(raw) for _, raw in batch.records] else None
    )
    epoch = site.fill(40)
    site.uplink().drain()
    assert sorted(collector.stored) == [(epoch, n) for n in range(1, 41) if n != 14]
    assert site.spool.account().dropped == {"refused": 1}
    assert [(d.first, d.last, d.reason) for d in site.spool.unreported()] == [(14, 14, "refused")]
    (line,) = site.quarantine.read_bytes().splitlines()
    kept = msgspec.json.decode(line)
    assert (kept["sequence"], kept["reason"], kept["detail"], kept["event"]) == (
        14,
        "bad_record",
        "thirteen",
        {"n": 13},
    )


def test_a_collector_that_refuses_every_record_does_not_get_to_empty_the_spool(site: Site) -> None:
    collector = site.collector()
    collector.judge = lambda batch: refusal(400, "who_knows")
    site.fill(500)
    uplink = site.uplink()
    with pytest.raises(Transient):
        uplink.drain()
    assert site.spool.account().dropped == {"refused": 50}
    assert uplink.state.state is State.REFUSED
    with pytest.raises(Held):
        uplink.drain()
    collector.judge = lambda batch: None
    site.clock.advance(600)
    uplink.drain()
    assert site.spool.account().acked == 450


@pytest.mark.parametrize(
    ("status", "reason"), [(401, "no_certificate"), (403, "revoked"), (409, "cloned"), (400, "unsupported_version")]
)
def test_a_refusal_of_the_agent_itself_keeps_everything_and_is_shown(site: Site, status: int, reason: str) -> None:
    collector = site.collector()
    collector.judge = lambda batch: refusal(status, reason, "what to do")
    site.fill(3)
    uplink = site.uplink()
    with pytest.raises(Transient, match=reason):
        uplink.drain()
    assert (uplink.state.state, uplink.state.reason, uplink.state.detail) == (State.REFUSED, reason, "what to do")
    assert site.spool.account().spooled == 3
    assert len(collector.batches) == 1
    collector.judge = lambda batch: None
    site.clock.advance(600)
    uplink.drain()
    assert uplink.state.state is State.CONNECTED
    assert site.spool.account().acked == 3


@pytest.mark.parametrize("reply", [Reply(200, b"not json"), Reply(500, b"<html>"), Reply(302, b"")])
def test_an_answer_that_is_no_ack_frees_nothing(site: Site, reply: Reply) -> None:
    collector = site.collector()
    collector.judge = lambda batch: reply
    site.fill(3)
    with pytest.raises(Transient):
        site.uplink().drain()
    assert site.spool.account().spooled == 3


def test_a_server_of_another_authority_is_not_spoken_to(site: Site) -> None:
    stranger = Collector(Authority("another"), site.folder)
    site.fill(1)
    uplink = site.uplink(stranger.url)
    with pytest.raises(Held):
        uplink.drain()
    assert stranger.listener.requests == []
    assert "certificate is not good" in uplink.state.detail
    stranger.listener.close()


def test_new_work_is_taken_when_an_ack_names_it_and_the_etag_saves_the_rest(site: Site) -> None:
    collector = site.collector()
    given = Work(version="v2", unit="u")
    collector.work = Reply(200, work.encode(given), {"ETag": '"v2"'})
    collector.ack_work = "v2"
    uplink = site.uplink(linger=0.05, work_seconds=1000.0)
    uplink.start()
    wait_for(lambda: site.given == [given])
    site.clock.advance(1001)
    collector.work = Reply(304)
    wait_for(lambda: len(collector.listener.requests) >= 2)
    uplink.stop(1)
    assert collector.listener.requests[-1].headers["If-None-Match"] == '"v2"'
    assert site.given == [given]


def test_the_thread_sends_by_itself_and_a_finding_does_not_wait(site: Site) -> None:
    collector = site.collector()
    uplink = site.uplink(linger=30.0)
    uplink.start()
    wait_for(lambda: len(collector.listener.requests) == 1)
    site.fill(1, Priority.FINDING)
    uplink.wake()
    wait_for(lambda: len(collector.stored) == 1)
    site.fill(1, Priority.LEDGER)
    uplink.stop(5)
    assert len(collector.stored) == 2, "what is there goes out before the end"


def wait_for(what: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def orders_of(version: str) -> Reply:
    return Reply(200, {"orders": [{"payload": "{}", "signature": ""}], "version": version}, {"ETag": f'"{version}"'})


def test_orders_are_fetched_at_once_when_an_ack_names_others(site: Site) -> None:
    collector = site.collector()
    taken: list[SignedOrders] = []
    collector.orders = orders_of("v1")
    uplink = site.uplink(take_orders=taken.append, orders_seconds=1000.0)
    site.fill(1)
    uplink.drain()
    assert [given.version for given in taken] == ["v1"]
    site.fill(1)
    uplink.drain()
    assert collector.asked_for_orders == 1, "nothing new, and not yet time"
    collector.ack_orders, collector.orders = "v2", orders_of("v2")
    site.fill(1)
    uplink.drain()
    assert [given.version for given in taken] == ["v1", "v2"]
    site.fill(1)
    uplink.drain()
    assert collector.asked_for_orders == 2


def test_orders_that_did_not_change_are_not_given_again(site: Site) -> None:
    collector = site.collector()
    taken: list[SignedOrders] = []
    collector.orders = Reply(304)
    uplink = site.uplink(take_orders=taken.append, orders_seconds=5.0)
    for _ in range(2):
        site.fill(1)
        uplink.drain()
        site.clock.advance(6)
    assert (collector.asked_for_orders, taken) == (2, [])


def test_a_collector_that_knows_no_orders_is_left_alone_for_a_while(site: Site) -> None:
    collector = site.collector()
    taken: list[SignedOrders] = []
    uplink = site.uplink(take_orders=taken.append, orders_seconds=5.0)
    for _ in range(5):
        site.fill(1)
        uplink.drain()
        site.clock.advance(30)
    assert (collector.asked_for_orders, taken) == (1, [])
    assert site.spool.account().acked == 5


@pytest.mark.parametrize("answer", [Reply(200, {"orders": 3}), Reply(503, {"reason": "unavailable"})])
def test_orders_that_are_not_understood_or_not_there_do_not_stop_the_events(site: Site, answer: Reply) -> None:
    collector = site.collector()
    taken: list[SignedOrders] = []
    collector.orders = answer
    uplink = site.uplink(take_orders=taken.append, orders_seconds=1.0)
    for _ in range(3):
        site.fill(2)
        uplink.drain()
        site.clock.advance(2)
    assert (site.spool.account().acked, taken) == (6, [])
