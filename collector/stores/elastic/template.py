"""The index templates, made from telemetry/fields.py: strict, so that a wrong document is refused and never guessed at.

Only what every Elasticsearch has is used: no lifecycle policies, data streams, scripts or plug-ins. JSON is kept but
not indexed. TEXT is a keyword too, as it is searched for a part of it and not for words, with ``ignore_above`` at the
length that SQLite searches as well.
"""

from __future__ import annotations

from collections.abc import Mapping

from collector.query import MAX_SEARCHED, Kind
from telemetry.fields import FIELDS, SCHEMA, Field, Type

Json = Mapping[str, object]

OF_TYPE: Mapping[Type, Json] = {
    Type.KEYWORD: {"type": "keyword"},
    Type.TEXT: {"type": "keyword", "doc_values": False, "ignore_above": MAX_SEARCHED},
    Type.LONG: {"type": "long", "coerce": False},
    Type.DOUBLE: {"type": "double", "coerce": False},
    Type.BOOLEAN: {"type": "boolean"},
    Type.IP: {"type": "ip"},
    Type.DATE: {"type": "date", "format": "epoch_millis"},
    Type.JSON: {"type": "text", "index": False},
}
STATE = "state"


def properties() -> dict[str, Json]:
    """The mapping of every field, by its dotted name."""
    return {field.name: mapping(field) for field in FIELDS}


def mapping(field: Field) -> Json:
    return dict(OF_TYPE[field.type])


def templates(prefix: str = "tengwang", shards: int = 1, replicas: int = 1, refresh: str = "1s") -> dict[str, Json]:
    """Template name to its body, as ``PUT _index_template/NAME`` takes it."""
    settings = {
        "index.number_of_shards": shards,
        "index.number_of_replicas": replicas,
        "index.refresh_interval": refresh,
        "index.translog.durability": "request",
        "index.codec": "best_compression",
    }
    records = {
        f"{prefix}-{kind.value}": {
            "index_patterns": [f"{prefix}-{kind.value}-*"],
            "priority": 200,
            "version": SCHEMA,
            "_meta": {"description": f"tengwang {kind.value}, schema {SCHEMA}"},
            "template": {"settings": settings, "mappings": {"dynamic": "strict", "properties": properties()}},
        }
        for kind in Kind
    }
    state = {
        "index_patterns": [f"{prefix}-{STATE}"],
        "priority": 200,
        "version": SCHEMA,
        "_meta": {"description": "tengwang: small documents with compare-and-set"},
        "template": {
            "settings": {**settings, "index.number_of_shards": 1},
            "mappings": {
                "dynamic": "strict",
                "properties": {"key": {"type": "keyword"}, "value": {"type": "binary"}},
            },
        },
    }
    return {**records, f"{prefix}-{STATE}": state}
