"""Elasticsearch when things go wrong, each on a real server: killed, blocked, busy, wrong password, old mapping."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from collector.partition import DAY_MS
from collector.query import Aggregate, ByTerm, Equals, Kind, Measure, Search
from collector.store import Record, StoreContext, Written
from collector.stores import elastic
from collector.stores.elastic import grouping, indices, template
from collector.stores.elastic.connection import client
from telemetry.clock import ManualClock
from telemetry.errors import ConfigError, Transient
from telemetry.fields import FIELDS
from telemetry.report import Report
from tests.collector.stores import reference
from tests.collector.stores.test_contract import NOW, WHOLE, record
from tests.parts import elasticsearch as part

pytestmark = pytest.mark.needs("elasticsearch")
NUMBERS = itertools.count()


@pytest.fixture
def context(tmp_path: Path, clock: ManualClock, report: Report) -> StoreContext:
    return StoreContext(tmp_path, clock, report)


def opened(cluster: part.Cluster, context: StoreContext, prefix: str = "", **options: object) -> elastic.ElasticStore:
    prefix = prefix or f"f{os.getpid()}-{next(NUMBERS)}"
    given = {"urls": cluster.urls, "prefix": prefix, "replicas": 0, "refresh": "-1", "timeout_s": 5, **options}
    return elastic.build(msgspec.convert(given, elastic.Config), context)


@pytest.fixture
def store(elasticsearch: part.Cluster, context: StoreContext) -> Iterator[elastic.ElasticStore]:
    made = opened(elasticsearch, context)
    yield made
    made.close()


def count(store: elastic.ElasticStore) -> int:
    store.refresh()
    return int(store.aggregate(Aggregate(*WHOLE))[0].values[0])


def put(cluster: part.Cluster, path: str, body: object) -> None:
    cluster.request("PUT", path, json.dumps(body).encode())


def test_a_killed_server_is_waited_for_and_nothing_is_lost_or_doubled(context: StoreContext) -> None:
    with part.start() as cluster:
        store = opened(cluster, context, "kill")
        assert store.write([record(n) for n in range(100)]).stored == 100
        version = store.write_state("agent/1", b"x", 0)
        cluster.kill(0)
        with pytest.raises(Transient, match="can not be reached"):
            store.write([record(n) for n in range(50, 150)])
        with pytest.raises(Transient):
            store.search(Search(*WHOLE))
        health = store.health()
        assert not health.writable
        assert "can not be reached" in health.detail
        cluster.restart(0)
        assert store.health().writable, "without a write: nobody writes to a store that is down"
        assert store.write([record(n) for n in range(50, 150)]) == Written(50, 50)
        assert count(store) == 150
        assert store.read_state("agent/1").version == version
        assert store.health().writable
        store.close()


def test_of_several_addresses_one_that_works_is_enough(elasticsearch: part.Cluster, context: StoreContext) -> None:
    dead = f"http://127.0.0.1:{part.free_ports(1, '::1')[0]}"
    store = opened(elasticsearch, context, urls=[dead, *elasticsearch.urls])
    for number in range(6):
        assert store.write([record(number)]).stored == 1
    assert count(store) == 6
    store.close()


@pytest.mark.parametrize("block", ["read_only_allow_delete", "read_only", "write"])
def test_a_blocked_index_stops_storing_until_the_block_is_gone(
    elasticsearch: part.Cluster, context: StoreContext, block: str
) -> None:
    prefix = f"block{os.getpid()}-{next(NUMBERS)}"
    store = opened(elasticsearch, context, prefix)
    store.write([record(1)])
    put(elasticsearch, f"/{prefix}-*/_settings", {f"index.blocks.{block}": True})
    with pytest.raises(Transient, match="remove the block"):
        store.write([record(1), record(2)])
    health = store.health()
    assert not health.writable
    assert "read-only" in health.detail
    assert count(store) == 1
    put(elasticsearch, f"/{prefix}-*/_settings", {f"index.blocks.{block}": None})
    assert store.health().writable, "without a write: nobody writes to a store that is down"
    assert store.write([record(1), record(2)]) == Written(1, 1)
    assert store.health().writable
    store.close()


def test_a_busy_server_is_given_time_and_then_the_caller_keeps_the_records(
    elasticsearch: part.Cluster, context: StoreContext
) -> None:
    """The breaker answers 429 for requests over its limit: half of the request, and half of that, still passes."""
    waits: list[float] = []
    config = elastic.Config(urls=tuple(elasticsearch.urls), prefix=f"busy{os.getpid()}", replicas=0, refresh="-1")
    store = elastic.ElasticStore(config, context, client(config, context.home), sleep=waits.append)
    big = [record(n, message="x" * 60_000) for n in range(60)]
    assert store.write([record(1000)]).stored == 1
    limit = "network.breaker.inflight_requests.limit"
    put(elasticsearch, "/_cluster/settings", {"persistent": {limit: "2mb"}})
    try:
        assert store.write(big) == Written(60, 0)
        assert waits
        put(elasticsearch, "/_cluster/settings", {"persistent": {limit: "20kb"}})
        with pytest.raises(Transient, match="busy"):
            store.write([record(2000, message="x" * 60_000)])
        assert len(waits) > 2
    finally:
        elasticsearch.request(
            "PUT", "/_cluster/settings", b'{"persistent": {"network.breaker.inflight_requests.limit": null}}'
        )
    assert count(store) == 61
    store.close()


def test_what_the_mapping_refuses_is_handed_back_with_the_reason(store: elastic.ElasticStore) -> None:
    wrong = Record(Kind.EVENT, "w", {**record(1).doc, "event.id": "w", "destination.port": "https"})
    written = store.write([record(1), wrong, record(2)])
    assert written.stored == 2
    (refused,) = written.refused
    assert refused.record.id == "w"
    assert "destination.port" in refused.reason
    assert count(store) == 2


def test_an_index_that_was_removed_is_made_again_with_the_right_mapping(
    elasticsearch: part.Cluster, context: StoreContext
) -> None:
    prefix = f"gone{os.getpid()}"
    store = opened(elasticsearch, context, prefix)
    store.write([record(1)])
    for entry in json.loads(elasticsearch.get(f"/_resolve/index/{prefix}-*"))["indices"]:
        elasticsearch.request("DELETE", f"/{entry['name']}", None)
    assert store.write([record(2, source__ip="2001:db8::1")]).stored == 1
    name = next(e["name"] for e in json.loads(elasticsearch.get(f"/_resolve/index/{prefix}-events-*"))["indices"])
    mappings = json.loads(elasticsearch.get(f"/{name}/_mapping"))[name]["mappings"]
    assert mappings["dynamic"] == "strict"
    assert mappings["properties"]["source"]["properties"]["ip"] == {"type": "ip"}
    store.close()


def test_an_index_of_an_older_program_learns_the_new_fields(
    elasticsearch: part.Cluster, context: StoreContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = f"old{os.getpid()}"
    with monkeypatch.context() as before:
        fewer = {name: body for name, body in template.properties().items() if name != "host.name"}
        before.setattr(template, "properties", lambda: fewer)
        before.setattr(indices, "properties", lambda: fewer)
        store = opened(elasticsearch, context, prefix)
        store.write([record(1)])
        assert store.write([record(2, host__name="h")]).stored == 0
        store.close()
    store = opened(elasticsearch, context, prefix)
    assert store.write([record(2, host__name="h")]).stored == 1
    store.refresh()
    assert [r.id for r in store.search(Search(*WHOLE, where=(Equals("host.name", ("h",)),))).rows] == ["a1-7-2"]
    store.close()


def test_groups_stay_exact_when_there_are_more_than_a_shard_names(
    store: elastic.ElasticStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [
        record(day * 1000 + n, NOW - day * DAY_MS, host__name=f"h{n}", source__port=(n * 7 + day * 13) % 50)
        for day in range(3)
        for n in range(60)
    ]
    store.write(records)
    store.refresh()
    monkeypatch.setattr(grouping, "PER_SHARD", 12)
    monkeypatch.setattr(grouping, "PER_LEVEL", 12)
    monkeypatch.setattr(grouping, "COMPOSITE_PAGE", 25)
    for measure in (Measure("count"), Measure("sum", "source.port"), Measure("min", "source.port")):
        for by in ((ByTerm("host.name"),), (ByTerm("event.dataset"), ByTerm("host.name"))):
            query = Aggregate(*WHOLE, by=by, measures=(measure,), limit=10)
            assert store.aggregate(query) == reference.aggregate([r.doc for r in records], query)


def test_tls_and_a_password(context: StoreContext, tmp_path: Path) -> None:
    with part.start(tls=True) as cluster:
        (tmp_path / "good").write_text(cluster.password + "\n")
        (tmp_path / "bad").write_text("no-such-secret")
        for name in ("good", "bad"):
            (tmp_path / name).chmod(0o600)
        options = {"user": cluster.user, "ca_file": str(cluster.ca)}
        store = opened(cluster, context, "tls", password_file="good", **options)
        assert store.write([record(1)]).stored == 1
        assert store.health().writable
        store.close()
        refused = opened(cluster, context, "tls", password_file="bad", **options)
        with pytest.raises(Transient, match="check user") as error:
            refused.write([record(2)])
        assert not refused.health().writable
        assert "no-such-secret" not in str(error.value) + refused.health().detail + repr(refused)
        refused.close()
        unknown = opened(cluster, context, "tls", user=cluster.user, password_file="good")
        with pytest.raises(Transient, match=r"(?i)certificate"):
            unknown.write([record(3)])
        unknown.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"urls": ["https://u:hidden@es:9200"]}, "holds credentials"),
        ({"urls": ["es:9200"]}, "not an address"),
        ({"urls": ["http://192.0.2.1:9200"], "user": "u", "password_file": "ok"}, "clear text"),
        ({"user": "u"}, "has no password"),
        ({"user": "u", "password_file": "missing"}, "can not be read"),
        ({"user": "u", "password_file": "open"}, "chmod 600"),
        ({"user": "u", "password_file": "ok", "api_key_file": "ok"}, "one of the two"),
        ({"ca_file": "nowhere.pem"}, "is not there"),
    ],
)
def test_wrong_connections_are_refused_at_start_without_showing_a_secret(
    context: StoreContext, tmp_path: Path, options: dict[str, object], message: str
) -> None:
    for name, mode in (("ok", 0o600), ("open", 0o644)):
        (tmp_path / name).write_text("hidden")
        (tmp_path / name).chmod(mode)
    with pytest.raises(ConfigError, match=message) as error:
        elastic.build(msgspec.convert(options, elastic.Config), context)
    assert "hidden" not in str(error.value)


def test_no_field_is_the_beginning_of_another() -> None:
    """An object can not be a value too, so ``rule.name`` beside ``rule.name.zh`` would be no mapping."""
    names = {field.name for field in FIELDS}
    assert not {name for name in names for other in names if other.startswith(name + ".")}


def test_every_field_is_in_every_template() -> None:
    made = template.templates("p", 2, 0)
    assert set(made) == {"p-state", *(f"p-{kind.value}" for kind in Kind)}
    for kind in Kind:
        body = json.loads(msgspec.json.encode(made[f"p-{kind.value}"]))
        assert set(body["template"]["mappings"]["properties"]) == {field.name for field in FIELDS}
        assert body["template"]["mappings"]["dynamic"] == "strict"
        assert body["template"]["settings"]["index.number_of_shards"] == 2
