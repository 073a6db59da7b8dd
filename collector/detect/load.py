"""Rule files to rules. What is wrong or not evaluated here is refused with path:line; the other rules go on.

Parsed by pySigma. It knows no lines, so the place of a problem is found by the key it is about.
"""

from __future__ import annotations

import re
import uuid
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule
from sigma.rule.detection import SigmaDetection, SigmaDetectionItem

from collector.detect.classes import CLASSES
from collector.detect.condition import Compiled, Unsupported, compile_tree
from collector.detect.logsource import datasets
from collector.detect.rule import Metadata, Rule, RuleInfo
from telemetry import config, yaml_lines
from telemetry.config import Document, KeyPath
from telemetry.errors import ConfigError, Problem
from telemetry.fields import BY_NAME
from telemetry.verdict import Text

MAX_BYTES = 4 * 1024 * 1024
MAX_CONDITION = 2_000
MAX_PARENTHESES = 20
ODD = (TypeError, AttributeError, LookupError, ValueError, ArithmeticError, RecursionError)
"""What pySigma raises, besides its own errors, for documents that it did not expect."""


NOT_RULES = frozenset({"posture", "playbooks"})
"""Folders beside the rules that hold other data (collector/posture, collector/response)."""


def rule_files(folder: Path) -> list[Path]:
    """Every rule file below a folder, in order."""
    return sorted(f for f in folder.rglob("*.yml") if f.relative_to(folder).parts[0] not in NOT_RULES)


class Refused(Exception):
    """One rule that is not loaded."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


def load_file(path: Path) -> tuple[list[Rule], list[Problem]]:
    """The rules of one file (one a YAML document) and what is wrong with the others. Never raises."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return [], [Problem(str(path), 0, "", f"is larger than {MAX_BYTES} bytes", "split it")]
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        return [], [Problem(str(path), 0, "", f"can not be read: {error.strerror}")]
    except UnicodeDecodeError as error:
        return [], [Problem(str(path), 0, "", f"is not UTF-8 text (byte {error.start})")]
    return load_text(str(path), text)


def load_text(path: str, text: str) -> tuple[list[Rule], list[Problem]]:
    rules: list[Rule] = []
    problems: list[Problem] = []
    try:
        documents = yaml_lines.documents(path, text)
    except ConfigError as error:
        return [], error.problems
    for data, lines in documents:
        if data is None:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of re, about patterns that are refused or run as they are
                rules.append(_rule(Document(path, data, lines)))
        except Refused as refused:
            problems.extend(refused.problems)
    return rules, problems


def _rule(document: Document) -> Rule:
    data = document.data
    if not isinstance(data, dict):
        raise Refused([_problem(document, (), "a rule is a mapping", "title:, logsource:, detection: ...")])
    for kind in ("correlation", "filter", "action"):
        if kind in data:
            raise Refused([_problem(document, (kind,), f"{kind} documents are not evaluated", "write one plain rule")])
    _bound_condition(document)
    parsed = _parse(document)
    problems: list[Problem] = []
    if parsed.id is None:
        hint = f"id: {uuid.uuid5(uuid.NAMESPACE_URL, str(parsed.title))}"
        problems.append(_problem(document, (), "has no id, so its alerts could not be recognised", hint))
    metadata, wrong = config.convert(document, data.get("tengwang") or {}, Metadata, ("tengwang",))
    problems.extend(wrong)
    compiled = _compile(document, parsed, problems)
    source = parsed.logsource
    found = datasets(source.category, source.product, source.service)
    if found and compiled is not None:
        problems.extend(_unknown_fields(document, compiled))
    if problems or compiled is None or metadata is None:
        raise Refused(problems)
    return Rule(_info(document, parsed, metadata, found), compiled.match, compiled.keys, compiled.fields)


def _parse(document: Document) -> SigmaRule:
    try:
        collection = SigmaCollection.from_dicts([document.data], collect_errors=True)
    except SigmaError as error:
        raise Refused([_located(document, error)]) from error
    except ODD as error:
        raise Refused([_problem(document, (), f"is not a Sigma rule: {error}")]) from error
    if collection.errors:
        raise Refused([_located(document, error) for error in collection.errors])
    rule = collection.rules[0] if collection.rules else None
    if not isinstance(rule, SigmaRule):
        raise Refused([_problem(document, (), "is not a Sigma rule")])
    return rule


def _bound_condition(document: Document) -> None:
    """pySigma's condition grammar backtracks, so what no person writes is refused before it."""
    detection = document.data.get("detection")
    conditions = detection.get("condition") if isinstance(detection, dict) else None
    for condition in conditions if isinstance(conditions, list) else [conditions]:
        if isinstance(condition, str) and (
            len(condition) > MAX_CONDITION
            or condition.count("(") > MAX_PARENTHESES
            or any(word.count("*") > 3 for word in condition.split())
        ):
            raise Refused([_problem(document, ("detection", "condition"), "is too complex", "split the rule")])


def _compile(document: Document, parsed: SigmaRule, problems: list[Problem]) -> Compiled | None:
    made: list[Compiled] = []
    for condition in parsed.detection.parsed_condition:
        try:
            made.append(compile_tree(condition.parsed))
        except Unsupported as error:
            place = _place_of_field(document, error.field) if error.field else ("detection", "condition")
            problems.append(_problem(document, place, str(error)))
        except SigmaError as error:
            problems.append(_problem(document, ("detection", "condition"), _said(error)))
        except ODD as error:
            problems.append(_problem(document, ("detection", "condition"), f"can not be read: {error}"))
    if len(made) > 1:  # several conditions: any of them
        problems.append(_problem(document, ("detection", "condition"), "several conditions", "join them with 'or'"))
    return made[0] if len(made) == 1 else None


def _unknown_fields(document: Document, compiled: Compiled) -> Iterator[Problem]:
    for field in sorted(compiled.fields - BY_NAME.keys()):
        yield _problem(
            document,
            _place_of_field(document, field),
            "no event of ours has this field",
            config.nearest(field, BY_NAME),
        )


def _info(document: Document, parsed: SigmaRule, metadata: Metadata, found: frozenset[str]) -> RuleInfo:
    status = parsed.status.name.lower() if parsed.status else ""
    idle = "" if found else "no agent sends this log source"
    if status in ("deprecated", "unsupported"):
        idle, found = f"its status is {status}", frozenset()
    description = str(parsed.description or "")
    return RuleInfo(
        id=str(parsed.id),
        title=Text(metadata.title_zh or parsed.title, parsed.title),
        description=Text(metadata.description_zh or description, description),
        action=Text(metadata.action_zh or metadata.action_en, metadata.action_en or metadata.action_zh),
        over_when=Text(metadata.over_when_zh or metadata.over_when_en, metadata.over_when_en or metadata.over_when_zh),
        level=parsed.level.name.lower() if parsed.level else "medium",
        category=metadata.class_,
        category_title=CLASSES[metadata.class_],
        datasets=tuple(sorted(found)),
        status=status,
        path=document.path,
        line=document.line(("title",)),
        idle=idle,
        references=tuple(map(str, parsed.references or ())),
    )


def _problem(document: Document, key: KeyPath, message: str, hint: str = "") -> Problem:
    return Problem(document.path, document.line(key), config.dotted(key)[:200], message[:500], hint)


def _said(error: SigmaError) -> str:
    return str(error.args[0]) if error.args else type(error).__name__


def _located(document: Document, error: SigmaError) -> Problem:
    """``SigmaLevelError`` is about ``level``; one about a value is found by parsing the detection item by item."""
    name = re.sub(r"^Sigma|Error$", "", type(error).__name__).lower()
    name = {"identifier": "id", "tag": "tags"}.get(name, name)
    if name in document.data and name != "detection":
        return _problem(document, (name,), _said(error))
    if name == "condition":
        return _problem(document, ("detection", "condition"), _said(error))
    return _problem(document, _place_of_value(document.data.get("detection")), _said(error))


def _place_of_value(detection: object) -> KeyPath:
    if not isinstance(detection, dict):
        return ("detection",) if detection is not None else ()
    for name, definition in detection.items():
        if name == "condition":
            continue
        for inner, value in definition.items() if isinstance(definition, dict) else ():
            try:
                SigmaDetectionItem.from_mapping(inner, value)
            except (SigmaError, *ODD):
                return ("detection", str(name), str(inner))
        try:
            SigmaDetection.from_definition(definition)
        except (SigmaError, *ODD):
            return ("detection", str(name))
    return ("detection",)


def _place_of_field(document: Document, field: str) -> KeyPath:
    """Where a field is asked for first."""
    asked: Mapping[KeyPath, Any] = document.lines
    for key in asked:
        if key[:1] == ("detection",) and isinstance(key[-1], str) and key[-1].split("|")[0] == field and len(key) > 2:
            return key
    return ("detection",)
