"""[search] [histogram] [top]: questions to 10 M stored events over 10 days, SQLite beside Elasticsearch.

Both hold the same events, written through the stores themselves (``EVENTS=500000`` makes it shorter). Every question
is put several times with other values, alternating between the engines, so that neither answers from a cache of
answers; the figure is the median of wall-clock seconds. The answers must be equal. Elasticsearch is one node with a
2 GB heap, default settings and one shard a day.

- search: the newest 100 by CIDR and term over all days: ten prefixes from very frequent to absent
- histogram: one day by hour and unit
- top: the ten source addresses of a day with the most bytes
- write: CPU of one event on its way into SQLite, beside a bare ``executemany`` of a row of id, time and JSON
"""

from __future__ import annotations

import gc
import itertools
import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec

from collector.partition import DAY_MS
from collector.query import Aggregate, ByTerm, ByTime, Cidr, Equals, Kind, Measure, Search
from collector.store import Record, Store, StoreContext, Written
from collector.stores import elastic, sqlite
from telemetry.clock import ManualClock
from telemetry.event import Event, canonical_ip, event_id
from telemetry.report import Report
from tests.bench.result import Result
from tests.parts import elasticsearch as part

EVENTS = int(os.environ.get("EVENTS", "10000000"))
DAYS = 10
BATCH = 2000
UNITS = 60
AGENTS = 24
HOSTS = 10_000
EPOCH = 1_790_000_000
END = 20_720 * DAY_MS
"""Midnight after the last day."""


class Traffic:
    """Events as a county makes them: 70 % flows with a few heavy talkers, counters of interfaces, ND, checks."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        self._sequence = itertools.count(1)
        half = HOSTS // 2
        self.hosts = [f"10.{self._draw.randrange(40)}.{n >> 8}.{n & 255}" for n in range(half)]
        self.hosts += [canonical_ip(f"2001:db8:{self._draw.randrange(40):x}::{n:x}") for n in range(1, half + 1)]
        self._draw.shuffle(self.hosts)
        self._weights = list(itertools.accumulate(1 / (n + 5) for n in range(HOSTS)))
        self._unit = {host: self._draw.randrange(UNITS) for host in self.hosts}

    def events(self, first_ms: int, count: int) -> Iterator[Event]:
        """``count`` events spread over one day."""
        pick = self._draw
        for number in range(count):
            ts = first_ms + DAY_MS * number // count
            sort = pick.random()
            if sort < 0.7:
                source, destination = pick.choices(self.hosts, cum_weights=self._weights, k=2)
                yield self._flow(ts, source, destination)
            elif sort < 0.95:
                yield self._interface(ts, number)
            else:
                yield self._finding(ts, number)

    def _event(self, ts: int, unit: int, dataset: str, action: str) -> Event:
        agent, sequence = f"agent-{unit % AGENTS:04d}", next(self._sequence)
        return {
            "@timestamp": ts,
            "event.dataset": dataset,
            "event.action": action,
            "event.kind": "event",
            "agent.id": agent,
            "agent.name": agent,
            "tengwang.agent.epoch": EPOCH,
            "tengwang.agent.sequence": sequence,
            "event.id": event_id(agent, EPOCH, sequence),
            "event.ingested": ts + 1500,
            "tengwang.unit.id": f"unit-{unit:03d}",
            "tengwang.unit.name": f"第{unit}局",
            "tengwang.unit.level": "county",
            "tengwang.unit.path": ["city", f"county-{unit % 9}", f"unit-{unit:03d}"],
            "tengwang.zone": "office",
        }

    def _flow(self, ts: int, source: str, destination: str) -> Event:
        packets = self._draw.randrange(1, 200)
        octets = packets * self._draw.randrange(60, 1400)
        unit = self._unit[source]
        return self._event(ts, unit, "tengwang.flow", "flow") | {
            "source.ip": source,
            "source.port": self._draw.randrange(1024, 65_536),
            "destination.ip": destination,
            "destination.port": self._draw.choice((443, 80, 53, 22, 25, 8080)),
            "network.type": "ipv6" if ":" in source else "ipv4",
            "network.transport": "tcp",
            "network.iana_number": "6",
            "network.bytes": octets,
            "network.packets": packets,
            "tengwang.flow.raw_bytes": octets,
            "tengwang.flow.raw_packets": packets,
            "tengwang.flow.sampling_rate": 1,
            "tengwang.flow.tcp_flags": 27,
            "event.start": ts - 9000,
            "event.end": ts,
            "event.duration": 9_000_000_000,
            "tengwang.source.unit": f"unit-{unit:03d}",
            "tengwang.destination.unit": f"unit-{self._unit[destination]:03d}",
            "tengwang.interface.name": "eth0",
        }

    def _interface(self, ts: int, number: int) -> Event:
        unit = number % UNITS
        return self._event(ts, unit, "tengwang.host" if number % 2 else "tengwang.snmp", "interface") | {
            "host.name": f"gw{unit % AGENTS}",
            "tengwang.device.id": f"device-{unit}",
            "tengwang.interface.index": number % 8 + 1,
            "tengwang.interface.name": f"eth{number % 8}",
            "tengwang.interface.in_octets": number * 1000,
            "tengwang.interface.out_octets": number * 900,
            "tengwang.interface.oper_status": "up",
        }

    def _finding(self, ts: int, number: int) -> Event:
        if number % 5:
            host = self.hosts[number % 300]
            return self._event(ts, self._unit[host], "tengwang.ndp", "neighbor_advertisement") | {
                "tengwang.ndp.type": "neighbor_advertisement",
                "tengwang.ndp.hop_limit": 255,
                "source.ip": host,
                "source.mac": "02:00:00:00:00:01",
            }
        return self._event(ts, number % UNITS, "tengwang.readiness", "check") | {
            "tengwang.check.id": f"check-{number % 9}",
            "tengwang.check.subject": f"site{number % 50}.example",
            "tengwang.check.status": "pass",
        }


def run() -> list[Result]:
    clock = ManualClock(END + 1000)
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder, part.start(heap="2g") as cluster:
        context = StoreContext(Path(folder), clock, Report(clock))
        ours: Store = sqlite.build(sqlite.Config(), context)
        peer = elastic.build(elastic.Config(urls=tuple(cluster.urls), prefix="bench", replicas=0), context)
        traffic = Traffic(1)
        cost = _fill(ours, peer, traffic)
        peer.refresh()
        size = ours.health().bytes
        print(f"{EVENTS} events: SQLite {size / EVENTS:.0f} bytes and {cost[0]:.1f} us of CPU an event; Elasticsearch"
              f" {peer.health().bytes / EVENTS:.0f} bytes")  # fmt: skip
        results = [_compare(what, ours, peer, asked) for what, asked in _questions(traffic).items()]
        ours.close()
        peer.close()
    return [*results, Result("write", round(cost[0], 2), round(cost[1], 2), "bare executemany", "CPU us/event")]


def _fill(ours: Store, peer: Store, traffic: Traffic) -> tuple[float, float]:
    """Writes the events, to both engines side by side; CPU us an event of SQLite and of a bare ``executemany``."""
    spent, bare, bare_events = 0.0, 0.0, 0
    per_day = EVENTS // DAYS
    with ThreadPoolExecutor(1) as beside:
        for day in range(DAYS):
            began = time.monotonic()
            made = traffic.events(END - (DAYS - day) * DAY_MS, per_day)
            theirs: Future[Written] | None = None
            while batch := [Record(Kind.EVENT, str(doc["event.id"]), doc) for doc in itertools.islice(made, BATCH)]:
                if theirs is not None:
                    _stored(theirs.result(), BATCH)
                theirs = beside.submit(peer.write, batch)
                at = time.thread_time()
                written = ours.write(batch)
                spent += time.thread_time() - at
                _stored(written, len(batch))
                if bare_events < 100_000:
                    bare += _bare(batch)
                    bare_events += len(batch)
            if theirs is not None:
                _stored(theirs.result(), (per_day - 1) % BATCH + 1)
            print(f"day {day + 1} of {DAYS}: {per_day} events in {time.monotonic() - began:.0f} s", flush=True)
    return spent / EVENTS * 1e6, bare / bare_events * 1e6


def _stored(written: Written, count: int) -> None:
    if written.stored != count:
        raise RuntimeError(f"not all stored: {written}")


def _bare(batch: Sequence[Record]) -> float:
    """CPU seconds of the least that would do: one table, one transaction, durable."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        connection = sqlite3.connect(f"{folder}/bare.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE event (id TEXT PRIMARY KEY, ts INTEGER, doc TEXT) WITHOUT ROWID")
        encode = msgspec.json.encode
        at = time.thread_time()
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO event VALUES (?, ?, ?)", [(r.id, r.doc["@timestamp"], encode(r.doc)) for r in batch]
        )
        connection.execute("COMMIT")
        spent = time.thread_time() - at
        connection.close()
    return spent


def _questions(traffic: Traffic) -> dict[str, list[Search | Aggregate]]:
    start = END - DAYS * DAY_MS
    flow, unit = Equals("event.dataset", ("tengwang.flow",)), Equals("tengwang.unit.id", ("unit-007",))
    some = traffic.hosts
    prefixes = ["10.0.0.0/8", "10.3.0.0/16", "10.7.2.0/24", "10.250.0.0/16", "2001:db8::/32", "2001:db8:5::/48"]
    prefixes += ["2001:db8:ffff::/48", f"{some[1]}", f"{some[3000]}", f"{some[-1]}"]
    searches = [Search(start, END, (Cidr("source.ip", p), term)) for p in prefixes for term in (flow, unit)]
    days = [(END - (n + 1) * DAY_MS, END - n * DAY_MS) for n in range(DAYS)]
    by_hour = (ByTime(3_600_000), ByTerm("tengwang.unit.id"))
    octets = (Measure("sum", "network.bytes"),)
    return {
        "search": list(searches),
        "histogram": [Aggregate(*day, by=by_hour, limit=5000) for day in days],
        "top": [Aggregate(*day, by=(ByTerm("source.ip"),), measures=octets, limit=10) for day in days],
    }


def _compare(what: str, ours: Store, peer: Store, asked: Sequence[Search | Aggregate]) -> Result:
    times: list[list[float]] = [[], []]
    gc.collect()
    for question in asked:
        answers = []
        for at, store in enumerate((ours, peer)):
            began = time.perf_counter()
            answers.append(
                store.search(question).rows if isinstance(question, Search) else tuple(store.aggregate(question))
            )
            times[at].append(time.perf_counter() - began)
        if answers[0] != answers[1] or (not isinstance(question, Search) and not answers[0]):
            raise RuntimeError(f"{what}: the engines do not agree on {question}")
    mine, its = (statistics.median(t) for t in times)
    print(
        f"[{what}] {len(asked)} questions; slowest: SQLite {max(times[0]):.3f} s, Elasticsearch {max(times[1]):.3f} s"
    )
    return Result(what, round(mine, 5), round(its, 5), "Elasticsearch", "s")
