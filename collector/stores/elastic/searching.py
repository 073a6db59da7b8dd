"""Pages of records, the newest of each key, and one record by its id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from elasticsearch import Elasticsearch

from collector.query import Latest, Search
from collector.query_normal import bad, cursor, uncursor
from collector.store import Found, Page
from collector.stores.elastic.conditions import filtered
from collector.stores.elastic.connection import errors_told

COMPOSITE_PAGE = 1000
MAX_KEYS = 50_000


def page(client: Elasticsearch, indices: Sequence[str], query: Search) -> Page:
    """``event.id`` breaks ties of time: ``_id`` can not be sorted by."""
    order = "asc" if query.oldest_first else "desc"
    with errors_told():
        answer = client.search(
            index=",".join(indices),
            query=filtered(query.since_ms, query.until_ms, query.where),
            sort=in_order(order),
            size=query.limit + 1 if query.limit < 10_000 else query.limit,
            search_after=list(uncursor(query.after)) if query.after else None,
            track_total_hits=False,
            ignore_unavailable=True,
            allow_partial_search_results=False,
        )
    hits = answer["hits"]["hits"]
    rows = tuple(found(hit) for hit in hits[: query.limit])
    more = len(hits) > query.limit or len(hits) == 10_000
    return Page(rows, cursor(*hits[query.limit - 1]["sort"]) if more else "")


def newest(client: Elasticsearch, indices: Sequence[str], query: Latest) -> list[Found]:
    """Every key by a composite aggregation, with its newest record; then the newest of them."""
    top = {"top_hits": {"size": 1, "sort": in_order("desc")}}
    composite: dict[str, Any] = {
        "size": COMPOSITE_PAGE,
        "sources": [{f"k{at}": {"terms": {"field": name}}} for at, name in enumerate(query.per)],
    }
    hits: list[Mapping[str, Any]] = []
    keys = 0
    while True:
        with errors_told():
            answer = client.search(
                index=",".join(indices),
                query=filtered(query.since_ms, query.until_ms, query.where, query.per),
                size=0,
                aggregations={"keys": {"composite": composite, "aggregations": {"newest": top}}},
                ignore_unavailable=True,
                allow_partial_search_results=False,
            )
        buckets = answer["aggregations"]["keys"]["buckets"]
        keys += len(buckets)
        if keys > MAX_KEYS:
            raise bad(f"more than {MAX_KEYS} different values: narrow the question")
        hits += [hit for bucket in buckets for hit in bucket["newest"]["hits"]["hits"]]
        hits.sort(key=lambda hit: tuple(hit["sort"]), reverse=True)
        del hits[query.limit :]
        if len(buckets) < COMPOSITE_PAGE:
            return [found(hit) for hit in hits]
        composite["after"] = answer["aggregations"]["keys"]["after_key"]


def by_id(client: Elasticsearch, indices: Sequence[str], id: str) -> Found | None:
    with errors_told():
        answer = client.search(
            index=",".join(indices),
            query={"ids": {"values": [id]}},
            size=1,
            ignore_unavailable=True,
            allow_partial_search_results=False,
        )
    hits = answer["hits"]["hits"]
    return found(hits[0]) if hits else None


def holds(client: Elasticsearch, index: str, ids: Sequence[str]) -> set[str]:
    """Those of the ids that this index has; also what no search can see yet."""
    with errors_told():
        answer = client.mget(index=index, ids=list(ids), source=False)
    return {doc["_id"] for doc in answer["docs"] if doc.get("found")}


def found(hit: Mapping[str, Any]) -> Found:
    return Found(hit["_id"], hit["_source"])


def in_order(order: str) -> list[dict[str, Any]]:
    return [{"@timestamp": {"order": order}}, {"event.id": {"order": order}}]
