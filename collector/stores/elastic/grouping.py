"""Groups and measures by aggregations, exact where Elasticsearch by itself would be only nearly so.

Nested ``terms`` and ``date_histogram`` are fast, and right where every shard named all its terms; the answer says
whether it did. Where it did not, a ``composite`` aggregation names every group, page by page.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from elasticsearch import Elasticsearch

from collector.query import Aggregate, ByTerm, ByTime, Measure, Row, Scalar
from collector.query_normal import bad
from collector.query_order import first_groups, packed
from collector.stores.elastic.conditions import filtered
from collector.stores.elastic.connection import TOO_MUCH, Rejected, errors_told
from telemetry.event import canonical_ip
from telemetry.fields import BY_NAME, Type

PER_LEVEL = 10_000
PER_SHARD = 20_000
COMPOSITE_PAGE = 10_000
MAX_GROUPS = 500_000
PRECISION = 40_000
PRECISION_GROUPED = 4_000
Json = Mapping[str, Any]
Key = tuple[Scalar, ...]
Groups = list[tuple[Key, tuple[float, ...]]]


def rows(client: Elasticsearch, indices: Sequence[str], query: Aggregate) -> list[Row]:
    if not indices:
        return [] if query.by else [Row((), tuple(_nothing(m) for m in query.measures))]
    if not query.by:
        answer = _ask(client, indices, query, _measures(query))
        held = answer.get("aggregations", {})
        return [Row((), _values(query, held, answer["hits"]["total"]["value"]))]
    groups = _nested(client, indices, query)
    if groups is None:
        groups = _every(client, indices, query)
    kinds = [_kind(by) for by in query.by]
    keyed = [(tuple(map(_sortable, kinds, key)), values, key) for key, values in groups]
    originals = {sortable: key for sortable, _, key in keyed}
    return [Row(originals[k], v) for k, v in first_groups(query, ((k, v) for k, v, _ in keyed))]


def _nested(client: Elasticsearch, indices: Sequence[str], query: Aggregate) -> Groups | None:
    """None where the answer would not be exact."""
    aggregations: dict[str, Any] = _measures(query)
    first = query.by[0]
    only = len(query.by) == 1 and isinstance(first, ByTerm)
    for at in reversed(range(len(query.by))):
        by = query.by[at]
        if isinstance(by, ByTime):
            level: dict[str, Any] = {"date_histogram": _histogram(by, min_doc_count=1)}
        elif only:
            level = {"terms": {"field": by.field, "size": query.limit, "shard_size": max(PER_SHARD, query.limit)}}
            level["terms"]["order"] = [{_order(query): "desc"}, {"_key": "asc"}]
        else:
            level = {"terms": {"field": by.field, "size": PER_LEVEL, "order": {"_key": "asc"}}}
        if aggregations:
            level["aggregations"] = aggregations
        aggregations = {f"k{at}": level}
    try:
        answer = _ask(client, indices, query, aggregations, total=False)
    except Rejected as error:
        if error.kind == TOO_MUCH:
            return None
        raise
    held = answer.get("aggregations")
    if held is None:  # the index was dropped just now
        return []
    if only:
        exact = held["k0"]["doc_count_error_upper_bound"] == 0 or answer["_shards"]["total"] == 1
        # a first measure without a value sorts last in a way of its own, so such groups must all be there
        if not exact or (held["k0"]["sum_other_doc_count"] and query.measures[0].op in ("min", "max", "percentile")):
            return None
    elif not _complete(held, query, 0):
        return None
    return list(_walk(held, query, 0, ()))


def _complete(held: Json, query: Aggregate, at: int) -> bool:
    if at == len(query.by):
        return True
    level = held[f"k{at}"]
    return not level.get("sum_other_doc_count") and all(_complete(b, query, at + 1) for b in level["buckets"])


def _walk(held: Json, query: Aggregate, at: int, key: Key) -> Iterator[tuple[Key, tuple[float, ...]]]:
    for bucket in held[f"k{at}"]["buckets"]:
        mine = (*key, _read(_kind(query.by[at]), bucket["key"]))
        if at + 1 == len(query.by):
            yield mine, _values(query, bucket, bucket["doc_count"])
        else:
            yield from _walk(bucket, query, at + 1, mine)


def _every(client: Elasticsearch, indices: Sequence[str], query: Aggregate) -> Groups:
    """All groups, a page at a time."""
    composite: dict[str, Any] = {
        "size": COMPOSITE_PAGE,
        "sources": [
            {f"k{at}": {"terms": {"field": by.field}} if isinstance(by, ByTerm) else {"date_histogram": _histogram(by)}}
            for at, by in enumerate(query.by)
        ],
    }
    kinds = [_kind(by) for by in query.by]
    groups: Groups = []
    while True:
        body: dict[str, Any] = {"composite": composite}
        if measures := _measures(query):
            body["aggregations"] = measures
        answer = _ask(client, indices, query, {"all": body}, total=False)
        held = answer["aggregations"]["all"]
        for bucket in held["buckets"]:
            key = tuple(_read(kind, bucket["key"][f"k{at}"]) for at, kind in enumerate(kinds))
            groups.append((key, _values(query, bucket, bucket["doc_count"])))
        if len(groups) > MAX_GROUPS:
            raise bad(f"more than {MAX_GROUPS} groups: narrow the question")
        if len(held["buckets"]) < COMPOSITE_PAGE:
            return groups
        composite["after"] = held["after_key"]


def _ask(
    client: Elasticsearch, indices: Sequence[str], query: Aggregate, aggregations: Json, total: bool = True
) -> Json:
    with errors_told():
        answer = client.search(
            index=",".join(indices),
            query=filtered(query.since_ms, query.until_ms, query.where),
            size=0,
            track_total_hits=total,
            aggregations=dict(aggregations) or None,
            ignore_unavailable=True,
            allow_partial_search_results=False,
        )
    body: Json = answer.body
    return body


def _histogram(by: ByTime, **more: object) -> dict[str, Any]:
    return {"field": "@timestamp", "fixed_interval": f"{by.step_ms}ms", **more}


def _measures(query: Aggregate) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for at, measure in enumerate(query.measures):
        match measure.op:
            case "count":
                continue
            case "distinct":
                precision = PRECISION_GROUPED if query.by else PRECISION
                made[f"m{at}"] = {"cardinality": {"field": measure.field, "precision_threshold": precision}}
            case "percentile":
                made[f"m{at}"] = {"percentiles": {"field": measure.field, "percents": [measure.rank], "keyed": False}}
            case _:
                made[f"m{at}"] = {measure.op: {"field": measure.field}}
    return made


def _order(query: Aggregate) -> str:
    """The aggregation that the first measure is, as ``terms`` sorts by it."""
    measure = query.measures[0]
    if measure.op == "count":
        return "_count"
    return f"m0[{measure.rank}]" if measure.op == "percentile" else "m0"


def _values(query: Aggregate, held: Json, records: int) -> tuple[float, ...]:
    return tuple(_value(m, held.get(f"m{at}"), records) for at, m in enumerate(query.measures))


def _value(measure: Measure, held: Json | None, records: int) -> float:
    if measure.op == "count":
        return float(records)
    if held is None:
        return _nothing(measure)
    value = held["values"][0]["value"] if measure.op == "percentile" else held["value"]
    return math.nan if value is None else float(value)


def _nothing(measure: Measure) -> float:
    return 0.0 if measure.op in ("count", "sum", "distinct") else math.nan


def _kind(by: ByTerm | ByTime) -> Type:
    return BY_NAME[by.field].type if isinstance(by, ByTerm) else Type.DATE


def _read(kind: Type, key: Any) -> Scalar:
    """A bucket's key as the field's own type."""
    match kind:
        case Type.IP:
            return canonical_ip(key)
        case Type.BOOLEAN:
            return bool(key)
        case Type.DOUBLE:
            return float(key)
        case Type.LONG | Type.DATE:
            return int(key)
    return str(key)


def _sortable(kind: Type, key: Scalar) -> Scalar | bytes:
    return packed(str(key)) if kind is Type.IP else key
