"""[sqlite] CPU of one event from the received batch to the disk; [elasticsearch] the same to a real cluster.

The mix is what three agents of the lab sent (tests/captures/mix.ndjson.zst, made by tests/bench/_record.py), in
batches of 500 as an agent sends them. Measured is what the collector's worker thread does with a queue of batches:
decompress, decode, validate, stamp, enrich, detect, store, ledger; CPU time of the process, user and system. On
SQLite it is durable, and the peer is a bare ``executemany`` of the same rows into one table of the same columns with
the same pragmas. On Elasticsearch (the node's own CPU is not counted) the peer is the bulk helper of the Python client
with the same documents, made before; ours may cost at most 50 us more.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from collector.config import load
from collector.home import Home
from collector.pipeline import Answer, Delivery, Pipeline
from collector.query import Kind, Search
from collector.registry import AgentRecord
from collector.services import Services
from collector.wiring import make_pipeline, make_services
from telemetry import wire
from telemetry.clock import SystemClock
from telemetry.enrol import Host
from telemetry.event import Event
from telemetry.fields import BY_NAME
from telemetry.report import Report
from tests.bench._record import FILE
from tests.bench.result import Result

EVENTS = 60_000
BATCH = 500
ROUNDS = 3
BOUND = 50.0
INVENTORY = Path(__file__).parents[2] / "deploy" / "inventory"


def mix(count: int) -> list[Event]:
    """The recorded events, repeated, with times of the last minutes so that they fall on one day."""
    text = zstandard.ZstdDecompressor().decompress(FILE.read_bytes(), max_output_size=2**28)
    recorded = [msgspec.json.decode(line) for line in text.splitlines()]
    start = SystemClock().now_ms() - count
    return [{**recorded[n % len(recorded)], "@timestamp": start + n} for n in range(count)]


def deliveries(agent: AgentRecord, events: Sequence[Event]) -> Iterator[Delivery]:
    for first in range(0, len(events), BATCH):
        part = events[first : first + BATCH]
        encoded = [(first + n + 1, msgspec.json.encode(event)) for n, event in enumerate(part)]
        header = wire.Header(v=1, agent=agent.id, epoch=1, count=len(part), sent_ms=SystemClock().now_ms())
        yield Delivery(agent, wire.encode(header, encoded), len(part), SystemClock().now_ms(), Answer())


def made(directory: Path, store: dict[str, Any]) -> tuple[Services, Pipeline]:
    (directory / "collector").mkdir()
    config = msgspec.structs.replace(
        load(None), store=store, inventory=msgspec.structs.replace(load(None).inventory, path=str(INVENTORY))
    )
    clock = SystemClock()
    services = make_services(Home(directory), config, clock, Report(clock))
    return services, make_pipeline(services)


async def ours(events: Sequence[Event], store: dict[str, Any]) -> tuple[float, list[Event]]:
    """Microseconds of CPU an event, and the documents that were stored."""
    agent = AgentRecord("bench", "bench", "city", Host("0" * 32, "bench"), "1", 0)
    with tempfile.TemporaryDirectory(prefix="tw-bench-") as folder:
        services, pipeline = made(Path(folder), store)
        group = 10
        queue = list(deliveries(agent, events))
        pipeline.process(queue[:1])  # the first one opens files and makes tables or indices
        began = time.process_time()
        for first in range(1, len(queue), group):
            pipeline.process(queue[first : first + group])
        spent = time.process_time() - began
        acks = [await one.answer.wait() for one in queue]
        assert sum(ack.stored for ack in acks) == len(events), acks[0]
        docs: list[Event] = []
        after = ""
        while len(docs) < len(events):
            page = services.store.search(Search(0, 2**52, (), Kind.EVENT, 1000, after=after))
            docs.extend(found.doc for found in page.rows)
            after = page.after
            if not after:
                break
        services.store.close()
    return spent / (len(events) - BATCH) * 1e6, docs


def bare_sqlite(docs: Sequence[Event]) -> float:
    """One table with a column for each field, a transaction for every ten batches, as durable as ours."""
    columns = list(BY_NAME)
    rows = [tuple(_plain(doc.get(name)) for name in columns) for doc in docs]
    with tempfile.TemporaryDirectory(prefix="tw-bench-") as folder:
        connection = sqlite3.connect(Path(folder) / "bare.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        names = ", ".join(f'"{name}"' for name in columns)
        connection.execute(f'CREATE TABLE record ({names}, PRIMARY KEY ("event.id")) WITHOUT ROWID')
        insert = f"INSERT OR IGNORE INTO record VALUES ({', '.join('?' * len(columns))})"
        began = time.process_time()
        for first in range(0, len(rows), 10 * BATCH):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(insert, rows[first : first + 10 * BATCH])
            connection.execute("COMMIT")
        spent = time.process_time() - began
        connection.close()
    return spent / len(rows) * 1e6


def _plain(value: object) -> object:
    return msgspec.json.encode(value).decode() if isinstance(value, list) else value


def bare_elastic(docs: Sequence[Event], urls: list[str], index: str) -> float:
    from elasticsearch import Elasticsearch, helpers

    client = Elasticsearch(urls, request_timeout=60)
    actions = [{"_op_type": "create", "_index": index, "_id": doc["event.id"], "_source": doc} for doc in docs]
    began = time.process_time()
    helpers.bulk(client, actions, chunk_size=BATCH * 10)
    spent = time.process_time() - began
    client.options(ignore_status=404).indices.delete(index=index)
    client.close()
    return spent / len(docs) * 1e6


def median(measure: Callable[[], float]) -> float:
    return sorted(measure() for _ in range(ROUNDS))[ROUNDS // 2]


def run() -> list[Result]:
    events = mix(EVENTS)
    sqlite: list[float] = []
    docs: list[Event] = []
    for _ in range(ROUNDS):
        cost, docs = asyncio.run(ours(events, {"type": "sqlite", "reserve_mb": 0}))
        sqlite.append(cost)
        print(f"sqlite: {cost:.1f} us an event", flush=True)
    bare = median(lambda: bare_sqlite(docs))
    print(f"bare executemany: {bare:.1f} us a row; promised: at most {BOUND:g} us an event")
    results = [Result("sqlite", round(sorted(sqlite)[1], 2), round(bare, 2), "bare executemany", "us CPU/event")]
    return [*results, *on_elastic(events[: EVENTS // 3], docs[: EVENTS // 3])]


def on_elastic(events: Sequence[Event], docs: Sequence[Event]) -> list[Result]:
    from tests.parts import elasticsearch

    with elasticsearch.start() as cluster:
        urls = list(cluster.urls)
        costs, bares = [], []
        for number in range(ROUNDS):
            store = {"type": "elastic", "urls": urls, "prefix": f"bench{number}"}
            cost, _ = asyncio.run(ours(events, store))
            bare = bare_elastic(docs, urls, f"bare{number}")
            print(f"elasticsearch: {cost:.1f} us an event, bulk helper {bare:.1f} us", flush=True)
            costs.append(cost)
            bares.append(bare)
    cost, bare = sorted(costs)[ROUNDS // 2], sorted(bares)[ROUNDS // 2]
    print(f"above the bulk helper: {cost - bare:.1f} us; promised: at most {BOUND:g} us")
    return [Result("elasticsearch", round(cost, 2), round(bare, 2), "bare bulk helper", "us CPU/event")]
