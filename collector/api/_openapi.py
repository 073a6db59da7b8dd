"""The OpenAPI 3.1 description, made from the operations and their structs, so that it can not drift from the code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from collector.api._operation import PREFIX, Operation
from collector.problem import CONTENT_TYPE, Problem
from telemetry import __version__

REF = "#/components/schemas/{name}"
INTRODUCTION = """What the Tengwang collector knows, and what may be done with incidents. All times are RFC 3339 in UTC.

Authenticate with a bearer token made by `tengwang token create --role viewer` (`operator` for changes). Errors
are `application/problem+json` (RFC 9457); after 429 and 503 wait as long as `Retry-After` says."""


def document(operations: Sequence[Operation[Any, Any]]) -> dict[str, Any]:
    """The whole description as a JSON object."""
    takes = [operation.takes for operation in operations]
    schemas, components = msgspec.json.schema_components(
        [*takes, Problem, *(operation.answers for operation in operations)], ref_template=REF
    )
    answers = schemas[len(takes) + 1 :]
    paths: dict[str, Any] = {}
    for operation, answer in zip(operations, answers, strict=True):
        parameters = components[operation.takes.__name__]
        of = paths.setdefault(PREFIX + operation.path, {})
        of[operation.method.lower()] = _operation(operation, answer, parameters)
    for taken in takes:
        components.pop(taken.__name__, None)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tengwang", "version": __version__, "description": INTRODUCTION},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(operation: Operation[Any, Any], answer: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    in_path = set(re.findall(r"{(\w+)}", operation.path))
    errors = {
        "400": "A parameter is wrong; `detail` says what to write",
        "401": "No token, or one that is unknown, revoked or expired",
        "403": "The token's role may not",
        "429": "Too many bad tokens from this network",
        "503": "The store can not answer now",
    }
    if in_path or operation.method == "POST":
        errors["404"] = "There is no such thing"
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": f"Needs the role `{operation.role.value}`.",
    }
    in_body = operation.method == "POST"
    described["parameters"] = [
        {
            "name": name,
            "in": "path" if name in in_path else "query",
            "required": name in in_path or name in parameters.get("required", ()),
            "description": schema.get("description", ""),
            "schema": {k: v for k, v in schema.items() if k != "description"},
        }
        for name, schema in parameters.get("properties", {}).items()
        if name in in_path or not in_body
    ]
    if in_body:
        errors |= {
            "409": "What the thing is now does not allow it",
            "413": "The body is too large",
            "415": "The body is not JSON",
        }
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _body(parameters, in_path)}},
        }
    described["responses"] = {
        "200": {"description": "OK", "content": {"application/json": {"schema": answer}}},
        **{code: _error(text) for code, text in sorted(errors.items())},
    }
    return described


def _body(parameters: dict[str, Any], in_path: set[str]) -> dict[str, Any]:
    """The JSON object of a change: what does not stand in the path."""
    return {
        "type": "object",
        "properties": {n: schema for n, schema in parameters.get("properties", {}).items() if n not in in_path},
        "required": [name for name in parameters.get("required", ()) if name not in in_path],
        "additionalProperties": False,
    }


def _error(text: str) -> dict[str, Any]:
    return {"description": text, "content": {CONTENT_TYPE: {"schema": {"$ref": REF.format(name=Problem.__name__)}}}}
