"""Pipelines: data that says what the fields and log sources of other people's rules are called here.

They are pySigma's processing pipelines, as far as those change rules (``transformations:``): renaming fields, log
sources and values, filling in ``|expand`` placeholders. What changes queries has no meaning here and is refused. Ours
lie beside this module (``pipelines/``); a rule folder may hold more. They apply in the order of their priority.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from sigma.exceptions import SigmaError
from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaRule

from collector.detect import place
from collector.detect.place import ODD, problem, refused
from telemetry import config
from telemetry.config import Document
from telemetry.errors import Problem

FOLDER = Path(__file__).parent / "pipelines"
KNOWN = frozenset({"name", "priority", "vars", "transformations", "title", "id", "description", "author"})


class FieldMap(msgspec.Struct, frozen=True):
    path: str
    priority: int
    data: Mapping[str, Any]
    pipeline: ProcessingPipeline


def is_map(data: Mapping[str, Any]) -> bool:
    return "transformations" in data and "detection" not in data


def read(document: Document) -> FieldMap:
    """Raises Refused."""
    data = document.data
    if unknown := sorted(str(name) for name in set(data) - KNOWN):
        raise refused(document, (unknown[0],), "a pipeline of rules has no such part", "known: " + ", ".join(KNOWN))
    priority = data.get("priority", 50)
    if type(priority) is not int:
        raise refused(document, ("priority",), "is a whole number; the lowest is applied first")
    steps = data["transformations"]
    for number, step in enumerate(steps if isinstance(steps, list) else [steps]):
        try:
            made = ProcessingPipeline.from_dict({"transformations": [step], "vars": data.get("vars") or {}})
        except SigmaError as error:
            raise refused(document, ("transformations", number), place.said(error)) from error
        except ODD as error:
            raise refused(document, ("transformations", number), f"can not be read: {error}") from error
    parts = {name: data[name] for name in ("name", "vars", "transformations") if data.get(name)}
    try:
        made = ProcessingPipeline.from_dict(parts)
    except (SigmaError, *ODD) as error:
        raise refused(document, ("transformations",), f"can not be read: {error}") from error
    return FieldMap(document.path, priority, data, made)


def apply(document: Document, rule: SigmaRule, maps: Sequence[FieldMap]) -> list[Problem]:
    """Changes the rule in place; what a pipeline says against it."""
    for one in sorted(maps, key=lambda m: (m.priority, m.path)):
        try:
            one.pipeline.apply(rule)
        except (SigmaError, *ODD) as error:
            why = place.said(error) if isinstance(error, SigmaError) else str(error)
            return [problem(document, ("detection",), f"{one.path} does not fit: {why}")]
    return []


@functools.cache
def ours() -> tuple[FieldMap, ...]:
    """Those that come with the program."""
    return tuple(read(config.read(path)) for path in sorted(FOLDER.glob("*.yml")))
