"""Where in a rule file a problem is. pySigma knows no lines, so a place is found by the key that a problem is about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from sigma.exceptions import SigmaError
from sigma.rule.detection import SigmaDetection, SigmaDetectionItem

from telemetry import config
from telemetry.config import Document, KeyPath
from telemetry.errors import Problem

ODD = (TypeError, AttributeError, LookupError, ValueError, ArithmeticError, RecursionError)
"""What pySigma raises, besides its own errors, for documents that it did not expect."""


class Refused(Exception):
    """One document that is not loaded."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


def problem(document: Document, key: KeyPath, message: str, hint: str = "") -> Problem:
    return Problem(document.path, document.line(key), config.dotted(key)[:200], message[:500], hint)


def refused(document: Document, key: KeyPath, message: str, hint: str = "") -> Refused:
    return Refused([problem(document, key, message, hint)])


def inside(document: Document, key: KeyPath, data: Mapping[str, Any]) -> Document:
    """A document of its own that is made of a part of this one; lines are those of the file."""
    depth = len(key)
    lines = {path[depth:]: line for path, line in document.lines.items() if path[:depth] == key}
    return Document(document.path, data, lines)


def under(key: KeyPath, problems: Iterable[Problem]) -> list[Problem]:
    """The problems of such a part, with keys as the whole file has them."""
    made = []
    for one in problems:
        made.append(Problem(one.path, one.line, ".".join(filter(None, (config.dotted(key), one.key))), *_rest(one)))
    return made


def _rest(one: Problem) -> tuple[str, str]:
    return one.message, one.hint


def said(error: SigmaError) -> str:
    return str(error.args[0]) if error.args else type(error).__name__


def located(document: Document, error: SigmaError, within: str = "detection") -> Problem:
    """``SigmaLevelError`` is about ``level``; one about a value is found by parsing the detection item by item."""
    name = re.sub(r"^Sigma|Error$", "", type(error).__name__).lower()
    name = {"identifier": "id", "tag": "tags"}.get(name, name)
    if name in document.data and name != within:
        return problem(document, (name,), said(error))
    if "condition" in name:
        return problem(document, (within, "condition"), said(error))
    return problem(document, _place_of_value(document.data.get(within), within), said(error))


def _place_of_value(detection: object, within: str) -> KeyPath:
    if not isinstance(detection, dict):
        return (within,) if detection is not None else ()
    for name, definition in detection.items():
        if name in ("condition", "rules"):
            continue
        for inner, value in definition.items() if isinstance(definition, dict) else ():
            try:
                SigmaDetectionItem.from_mapping(inner, value)
            except (SigmaError, *ODD):
                return (within, str(name), str(inner))
        try:
            SigmaDetection.from_definition(definition)
        except (SigmaError, *ODD):
            return (within, str(name))
    return (within,)


def of_field(document: Document, field: str, within: str = "detection") -> KeyPath:
    """Where a field is asked for first."""
    asked: Mapping[KeyPath, Any] = document.lines
    for key in asked:
        if key[:1] == (within,) and isinstance(key[-1], str) and key[-1].split("|")[0] == field and len(key) > 2:
            return key
    return (within,)
