"""The Grafana dashboards without a Grafana: valid by its schema, and every panel's query answers with rows.

Each query is turned into the request that Grafana's back end would send (pkg/tsdb/elasticsearch, pkg/promlib) and run
against a real Elasticsearch or Prometheus, filled by the real collector.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.dashboards import BOARDS, FOLDER, Json, made, text
from tests.demo import INVENTORY, fill
from tests.leading import handle_some, lead
from tests.parts.elasticsearch import Cluster, free_ports
from tests.running_site import RunningSite

SOURCES = yaml.safe_load((FOLDER / "provisioning/datasources/tengwang.yml").read_text(encoding="utf-8"))["datasources"]
BY_UID = {source["uid"]: source for source in SOURCES}
HOUR_MS = 3_600_000


def panels(kind: str) -> Iterator[tuple[str, Json, Json]]:
    """(where, panel, target) of every query of one kind of data source."""
    for name, board in made().items():
        for panel in board["panels"]:
            for target in panel["targets"]:
                if target["datasource"]["type"] == kind:
                    yield f"{name}: {panel['title']}", panel, target


def test_the_files_are_what_their_description_makes() -> None:
    files = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    assert files == {name: text(board) for name, board in made().items()}, "run python -m tests.dashboards"


@pytest.mark.parametrize("name", made())
def test_grafana_knows_every_key(name: str) -> None:
    """The schema's own classes read the file and write it back: a key that they do not know would be lost."""
    register_default_plugins()
    board = made()[name]
    again = json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder))
    assert lost(board, again) == []


def lost(before: Any, after: Any, where: str = "") -> list[str]:
    """What is in ``before`` and not, or otherwise, in ``after``."""
    if isinstance(before, dict):
        if not isinstance(after, dict):
            return [where]
        return [p for key, value in before.items() for p in lost(value, after.get(key), f"{where}.{key}")]
    if isinstance(before, list):
        if not isinstance(after, list) or len(before) != len(after):
            return [where]
        return [p for at, value in enumerate(before) for p in lost(value, after[at], f"{where}[{at}]")]
    return [] if before == after else [f"{where}: {before!r} became {after!r}"]


def test_both_languages_say_the_same() -> None:
    boards = made()
    for name in BOARDS:
        zh, en = boards[f"{name}.zh.json"], boards[f"{name}.en.json"]
        assert [p["type"] for p in zh["panels"]] == [p["type"] for p in en["panels"]]
        for one, other in zip(zh["panels"], en["panels"], strict=True):
            assert one["title"] != other["title"]
            assert other["title"].isascii()


def test_panels_do_not_overlap_and_name_known_sources() -> None:
    for board in made().values():
        taken: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken
            assert max(x for x, _ in cells) < 24
            taken |= cells
            assert {t["datasource"]["uid"] for t in panel["targets"]} <= set(BY_UID)


def msearch(target: Json, index: str, since_ms: int, until_ms: int) -> bytes:
    """The two lines that Grafana would POST to ``_msearch`` for a query."""
    body: Json = {
        "size": 0,
        "query": {
            "bool": {
                "filter": [
                    {"range": {target["timeField"]: {"gte": since_ms, "lte": until_ms, "format": "epoch_millis"}}},
                    {"query_string": {"analyze_wildcard": True, "query": target["query"]}},
                ]
            }
        },
    }
    measure = target["metrics"][0]
    if measure["type"] == "raw_data":
        body["size"] = int(measure["settings"]["size"])
        body["sort"] = [
            {target["timeField"]: {"order": "desc", "unmapped_type": "boolean"}},
            {"_doc": {"order": "desc"}},
        ]
    level = body
    for bucket in target["bucketAggs"]:
        settings = bucket["settings"]
        if bucket["type"] == "date_histogram":
            made_of: Json = {
                "field": bucket["field"],
                "min_doc_count": int(settings["min_doc_count"]),
                "extended_bounds": {"min": since_ms, "max": until_ms},
                "format": "epoch_millis",
                "fixed_interval": "60s",
            }
        else:
            made_of = {
                "field": bucket["field"],
                "size": int(settings["size"]),
                "order": {settings["orderBy"]: settings["order"]},
                "min_doc_count": int(settings["min_doc_count"]),
            }
        level["aggs"] = {bucket["id"]: {bucket["type"]: made_of}}
        level = level["aggs"][bucket["id"]]
    if measure["type"] not in ("count", "raw_data"):
        level.setdefault("aggs", {})[measure["id"]] = {measure["type"]: {"field": measure["field"]}}
        for bucket in target["bucketAggs"]:  # a terms order by the measure wants it on its own level too
            if bucket["settings"].get("orderBy") == measure["id"]:
                body["aggs"][bucket["id"]].setdefault("aggs", {})[measure["id"]] = {
                    measure["type"]: {"field": measure["field"]}
                }
    header = {"ignore_unavailable": True, "index": index}
    return f"{json.dumps(header)}\n{json.dumps(body)}\n".encode()


def answered(target: Json, answer: Json) -> int:
    """How many rows of the answer would be drawn."""
    assert "error" not in answer, answer["error"]
    if target["metrics"][0]["type"] == "raw_data":
        return len(answer["hits"]["hits"])
    return leaves(answer["aggregations"], [b["id"] for b in target["bucketAggs"]])


def leaves(aggregations: Json, path: list[str]) -> int:
    total = 0
    for bucket in aggregations[path[0]]["buckets"]:
        total += leaves(bucket, path[1:]) if len(path) > 1 else int(bucket["doc_count"] > 0)
    return total


@pytest.mark.needs("elasticsearch")
async def test_every_elasticsearch_panel_answers_with_rows(tmp_path: Path, elasticsearch: Cluster) -> None:
    prefix = "dashboards"
    store = {"type": "elastic", "urls": list(elasticsearch.urls), "prefix": prefix, "replicas": 0}
    async with RunningSite(tmp_path, INVENTORY, store=store) as site:
        await fill(site, minutes=10)
        refresh = ("POST", f"/{prefix}-*/_refresh")
        await asyncio.to_thread(elasticsearch.request, *refresh)
        await lead(site)
        await handle_some(site)
        await asyncio.to_thread(elasticsearch.request, *refresh)
        until = site.clock.now_ms()
        empty = []
        for where, _, target in panels("elasticsearch"):
            index = BY_UID[target["datasource"]["uid"]]["jsonData"]["index"].replace("tengwang-", f"{prefix}-", 1)
            body = msearch(target, index, until - 6 * HOUR_MS, until)
            path = "/_msearch?max_concurrent_shard_requests=5"
            answer = json.loads(await asyncio.to_thread(elasticsearch.request, "POST", path, body))["responses"][0]
            if not answered(target, answer):
                empty.append(where)
        assert empty == []


@asynccontextmanager
async def prometheus(home: Path, scraped: str) -> AsyncIterator[str]:
    """A real Prometheus with our own configuration, its target and pace changed."""
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    config["scrape_configs"][0]["static_configs"] = [{"targets": [scraped]}]
    config["scrape_configs"][0]["scrape_interval"] = "1s"
    config["scrape_configs"][0]["scrape_timeout"] = "1s"
    (home / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    port = free_ports(1)[0]
    program = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={home / 'prometheus.yml'}",
        f"--storage.tsdb.path={home / 'tsdb'}",
        f"--web.listen-address=[::1]:{port}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield f"http://[::1]:{port}"
    finally:
        program.terminate()
        await program.wait()


@pytest.mark.needs("prometheus")
async def test_every_prometheus_panel_answers_with_rows(tmp_path: Path) -> None:
    async with RunningSite(tmp_path, INVENTORY) as site:
        await fill(site, minutes=2)
        await lead(site)
        host = site.url.removeprefix("http://")
        async with prometheus(tmp_path, host) as url, aiohttp.ClientSession() as http:
            await ready(http, url)
            empty = [where for where, _, target in panels("prometheus") if not await drawn(http, url, target)]
            assert empty == []


async def ready(http: aiohttp.ClientSession, url: str) -> None:
    """Wait until the collector was scraped twice."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            async with http.get(f"{url}/api/v1/query?query=count_over_time(tengwang_store_writable[1m])") as answer:
                found = (await answer.json())["data"]["result"]
            if found and int(found[0]["value"][1]) >= 2:
                return
        except (aiohttp.ClientError, KeyError):
            pass
        await asyncio.sleep(0.5)
    raise AssertionError("Prometheus did not scrape the collector within a minute")


async def drawn(http: aiohttp.ClientSession, url: str, target: Json) -> bool:
    """Ask as Grafana would, at an instant or over the last minutes."""
    now = time.time_ns() // 1_000_000_000
    asked = {"query": target["expr"]}
    if target["instant"]:
        asked["time"] = str(now)
    else:
        asked.update(start=str(now - 300), end=str(now), step="15")
    path = "/api/v1/query" if target["instant"] else "/api/v1/query_range"
    async with http.post(url + path, data=urllib.parse.urlencode(asked), headers=FORM) as answer:
        body = await answer.json()
    assert body["status"] == "success", body
    return bool(body["data"]["result"])


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.needs("prometheus")
def test_promtool_takes_the_configuration() -> None:
    tool = shutil.which("promtool")
    assert tool is not None
    subprocess.run([tool, "check", "config", str(FOLDER / "prometheus.yml")], check=True, capture_output=True)
