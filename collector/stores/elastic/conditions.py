"""Conditions in normal form to Elasticsearch's query language. All of it is filter: nothing is scored."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from collector.query import AnyOf, Cidr, Condition, Contains, Equals, Exists, Not, Range
from collector.query_normal import MAPPED, network

Query = dict[str, object]
NOTHING: Query = {"match_none": {}}


def filtered(since_ms: int, until_ms: int, where: Sequence[Condition], exist: Sequence[str] = ()) -> Query:
    """The query of a period, its conditions, and fields that must be there."""
    period: Query = {"range": {"@timestamp": {"gte": since_ms, "lt": until_ms, "format": "epoch_millis"}}}
    return {"bool": {"filter": [period, *map(one, where), *({"exists": {"field": name}} for name in exist)]}}


def one(condition: Condition) -> Query:
    match condition:
        case AnyOf(of=of):
            return {"bool": {"should": [one(c) for c in of], "minimum_should_match": 1}} if of else NOTHING
        case Not(of=of):
            return {"bool": {"must_not": [one(of)]}}
        case Equals(field=name, values=values):
            return {"terms": {name: list(values)}} if values else NOTHING
        case Cidr(field=name, prefix=prefix):
            return inside(name, prefix)
        case Range(field=name, low=low, high=high):
            ends = {key: bound for key, bound in (("gte", low), ("lt", high)) if bound is not None}
            return {"range": {name: ends}} if ends else {"exists": {"field": name}}
        case Contains(field=name, text=text):
            pattern = re.sub(r"([*?\\])", r"\\\1", text)
            wildcard: Query = {"wildcard": {name: {"value": f"*{pattern}*", "case_insensitive": True}}}
            return wildcard if text else {"exists": {"field": name}}
        case Exists(field=name):
            return {"exists": {"field": name}}


def inside(name: str, prefix: str) -> Query:
    """An address in a prefix. Elasticsearch keeps IPv4 as IPv4-mapped, which a wide IPv6 prefix must step around."""
    net = network(prefix)
    if not (isinstance(net, ipaddress.IPv6Network) and MAPPED.subnet_of(net)):
        return {"term": {name: str(net)}}
    below = {"gte": str(net.network_address), "lte": str(MAPPED.network_address - 1)}
    above = {"gte": str(MAPPED.broadcast_address + 1), "lte": str(net.broadcast_address)}
    return {
        "bool": {"should": [{"range": {name: below}}, {"range": {name: above}}], "minimum_should_match": 1},
    }
