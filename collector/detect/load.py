"""Rule files to rules. What is wrong or not evaluated here is refused with path:line; the other documents go on.

A file holds YAML documents: rules, correlations, filters, and pipelines that say what other people's fields are called
here. They may name each other across files: collector/detect/ruleset.py joins them.
"""

from __future__ import annotations

import contextlib
import copy
import uuid
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from sigma.collection import SigmaCollection, deep_dict_update
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError
from sigma.filters import SigmaFilter
from sigma.rule import SigmaRule
from sigma.rule.detection import SigmaDetections

from collector.detect import correlation, fieldmap, place
from collector.detect.classes import CLASSES
from collector.detect.condition import Compiled, Unsupported, any_of, compile_tree
from collector.detect.correlation import Block, Correlation
from collector.detect.fieldmap import FieldMap
from collector.detect.filter import Filter
from collector.detect.logsource import datasets
from collector.detect.place import ODD, Refused, problem, refused
from collector.detect.rule import Metadata, Proof, Rule, RuleInfo, seconds
from telemetry import config, yaml_lines
from telemetry.config import Document
from telemetry.errors import ConfigError, Problem
from telemetry.fields import BY_NAME
from telemetry.verdict import Text

MAX_BYTES = 4 * 1024 * 1024
MAX_CONDITION = 2_000
MAX_PARENTHESES = 20
NOT_RULES = frozenset({"posture", "playbooks", "reporting"})
"""Folders beside the rules that hold other data (collector/posture, collector/response, collector/incidents)."""
PROOF = ("tengwang", "over", "proof")


class Loaded(NamedTuple):
    """What one file holds. Correlations and filters are not yet joined to the rules that they name."""

    rules: list[Rule]
    problems: list[Problem]
    correlations: list[Correlation]
    filters: list[Filter]


def rule_files(folder: Path) -> list[Path]:
    """Every rule file below a folder, in order."""
    return sorted(f for f in folder.rglob("*.yml") if f.relative_to(folder).parts[0] not in NOT_RULES)


def load_file(path: Path, maps: Sequence[FieldMap] | None = None) -> Loaded:
    """What a file holds, and what is wrong with the rest of it. Never raises. ``maps``: by default our own."""
    text, wrong = read(path)
    return Loaded([], [wrong], [], []) if wrong else load_text(str(path), text, maps)


def read(path: Path) -> tuple[str, Problem | None]:
    """The text of a rule file, or why there is none."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return "", Problem(str(path), 0, "", f"is larger than {MAX_BYTES} bytes", "split it")
        return path.read_text(encoding="utf-8"), None
    except OSError as error:
        return "", Problem(str(path), 0, "", f"can not be read: {error.strerror}")
    except UnicodeDecodeError as error:
        return "", Problem(str(path), 0, "", f"is not UTF-8 text (byte {error.start})")


def find_maps(paths: Iterable[Path]) -> tuple[FieldMap, ...]:
    """Our pipelines and those of these files; what is wrong with one is said when its file is loaded."""
    made = list(fieldmap.ours())
    for path in paths:
        text, _ = read(path)
        if "transformations:" in text:
            with contextlib.suppress(ConfigError, Refused):
                for document in _acted(str(path), yaml_lines.documents(str(path), text)):
                    if isinstance(document.data, dict) and fieldmap.is_map(document.data):
                        made.append(fieldmap.read(document))
    return tuple(made)


def load_text(path: str, text: str, maps: Sequence[FieldMap] | None = None) -> Loaded:
    found = Loaded([], [], [], [])
    try:
        found_here = list(_acted(path, yaml_lines.documents(path, text)))
    except ConfigError as error:
        found.problems.extend(error.problems)
        return found
    except Refused as error:
        found.problems.extend(error.problems)
        return found
    for document in found_here:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of re, about patterns that are refused or run as they are
                _take(document, fieldmap.ours() if maps is None else maps, found)
        except Refused as error:
            found.problems.extend(error.problems)
    return found


def _take(document: Document, maps: Sequence[FieldMap], found: Loaded) -> None:
    data = document.data
    if not isinstance(data, dict):
        raise refused(document, (), "a rule is a mapping", "title:, logsource:, detection: ...")
    if fieldmap.is_map(data):
        fieldmap.read(document)  # used by ruleset.py, which reads maps before rules; here it is only checked
    elif "correlation" in data:
        found.correlations.append(_correlation(document))
    elif "filter" in data:
        found.filters.append(_filter(document))
    else:
        found.rules.append(_rule(document, maps))


def documents(path: Path) -> list[Document]:
    """The documents of a file that can be read, as ``load_file`` takes them. Raises ConfigError, Refused."""
    text, _ = read(path)
    return list(_acted(str(path), yaml_lines.documents(str(path), text)))


def parsed_rule(document: Document, maps: Sequence[FieldMap]) -> SigmaRule:
    """A rule as pySigma has it, with its fields as they are called here. Raises Refused."""
    parsed: SigmaRule = _parse(document, SigmaRule)
    fieldmap.apply(document, parsed, maps)
    return parsed


def _acted(path: str, read_here: Sequence[tuple[Any, Any]]) -> Iterator[Document]:
    """The documents of a file, with Sigma's ``action: global | reset | repeat`` carried out."""
    shared: dict[str, Any] = {}
    before: dict[str, Any] = {}
    for data, lines in read_here:
        if data is None:
            continue
        action = data.get("action") if isinstance(data, dict) else None
        if not isinstance(data, dict) or (action is None and not shared):
            before = data if isinstance(data, dict) else {}
            yield Document(path, data, lines)
            continue
        rest = {name: value for name, value in data.items() if name != "action"}
        if action == "global":
            shared = rest
        elif action == "reset":
            shared = {}
        elif action == "repeat":
            before = deep_dict_update(copy.deepcopy(before), rest)
            yield Document(path, before, lines)
        elif action is None:
            before = rest if {"correlation", "filter"} & rest.keys() else deep_dict_update(copy.deepcopy(rest), shared)
            yield Document(path, before, lines)
        else:
            raise refused(Document(path, data, lines), ("action",), "is global, reset or repeat")


def _rule(document: Document, maps: Sequence[FieldMap]) -> Rule:
    _bound_condition(document, "detection")
    parsed = _parse(document, SigmaRule)
    problems = _without_id(document, parsed)
    metadata = _metadata(document, problems)
    problems.extend(fieldmap.apply(document, parsed, maps))
    compiled = _compile(document, parsed.detection, problems)
    source = parsed.logsource
    found = datasets(source.category, source.product, source.service)
    if found and compiled is not None:
        problems.extend(_unknown_fields(document, compiled))
    if problems or compiled is None or metadata is None:
        raise Refused(problems)
    info = _info(document, parsed, metadata, found, compiled.fields)
    return Rule(
        info,
        compiled.match,
        compiled.keys,
        compiled.fields,
        info.datasets,
        str(parsed.name or ""),
        source,
        _proof(document, metadata, info),
    )


def _correlation(document: Document) -> Correlation:
    data = document.data
    block, problems = config.convert(document, data["correlation"], Block, ("correlation",))
    head = {"type": "event_count", "rules": ["x"], "timespan": "1m", "condition": {"gte": 1}}
    parsed = _parse(Document(document.path, {**data, "correlation": head}, document.lines), SigmaCorrelationRule)
    problems += _without_id(document, parsed)
    if "detection" in data:
        problems.append(problem(document, ("detection",), "a correlation has none", "put it in a rule of its own"))
    metadata = _metadata(document, problems)
    if problems or block is None or metadata is None:
        raise Refused(problems)
    info = _info(document, parsed, metadata, frozenset(), frozenset(), block.type)
    if not info.by:
        group_by = (block.group_by,) if isinstance(block.group_by, str) else block.group_by
        info = msgspec.structs.replace(info, by=group_by)
    try:
        return correlation.read(block, info, str(parsed.name or ""), _proof(document, metadata, info))
    except ValueError as error:
        key, _, why = str(error).partition(": ")
        raise refused(document, ("correlation", key), why) from error


def _filter(document: Document) -> Filter:
    _bound_condition(document, "filter")
    parsed = _parse(document, SigmaFilter)
    problems: list[Problem] = []
    compiled = _compile(document, parsed.filter, problems, "filter")
    source = parsed.logsource
    if compiled is not None and datasets(source.category, source.product, source.service):
        problems.extend(_unknown_fields(document, compiled, "filter"))
    if problems or compiled is None:
        raise Refused(problems)
    rules = parsed.filter.rules
    named = () if isinstance(rules, str) else tuple(str(one.reference) for one in rules)
    return Filter(document.path, document.line(("filter",)), source, named, compiled.match, compiled.fields)


def _parse(document: Document, kind: Any) -> Any:
    within = "filter" if kind is SigmaFilter else "detection"
    try:
        collection = SigmaCollection.from_dicts(
            [document.data], collect_errors=True, collect_filters=True, resolve_references=False
        )
    except SigmaError as error:
        raise Refused([place.located(document, error, within)]) from error
    except ODD as error:
        raise refused(document, (), f"is not a Sigma rule: {error}") from error
    if collection.errors:
        raise Refused([place.located(document, error, within) for error in collection.errors])
    made = [*collection.rules, *collection.filters]
    if len(made) != 1 or not isinstance(made[0], kind):
        raise refused(document, (), "is not a Sigma rule")
    return made[0]


def _without_id(document: Document, parsed: SigmaRule | SigmaCorrelationRule) -> list[Problem]:
    if parsed.id is not None:
        return []
    hint = f"id: {uuid.uuid5(uuid.NAMESPACE_URL, str(parsed.title))}"
    return [problem(document, (), "has no id, so its alerts could not be recognised", hint)]


def _metadata(document: Document, problems: list[Problem]) -> Metadata | None:
    metadata, wrong = config.convert(document, document.data.get("tengwang") or {}, Metadata, ("tengwang",))
    problems.extend(wrong)
    return metadata


def _bound_condition(document: Document, within: str) -> None:
    """pySigma's condition grammar backtracks, so what no person writes is refused before it."""
    detection = document.data.get(within)
    conditions = detection.get("condition") if isinstance(detection, dict) else None
    for condition in conditions if isinstance(conditions, list) else [conditions]:
        if isinstance(condition, str) and (
            len(condition) > MAX_CONDITION
            or condition.count("(") > MAX_PARENTHESES
            or any(word.count("*") > 3 for word in condition.split())
        ):
            raise refused(document, (within, "condition"), "is too complex", "split the rule")


def _compile(
    document: Document, detection: SigmaDetections, problems: list[Problem], within: str = "detection"
) -> Compiled | None:
    """Several conditions: any of them."""
    made: list[Compiled] = []
    for condition in detection.parsed_condition:
        try:
            made.append(compile_tree(condition.parsed))
        except Unsupported as error:
            key = place.of_field(document, error.field, within) if error.field else (within, "condition")
            problems.append(problem(document, key, str(error)))
        except SigmaError as error:
            problems.append(problem(document, (within, "condition"), place.said(error)))
        except ODD as error:
            problems.append(problem(document, (within, "condition"), f"can not be read: {error}"))
    if not made or problems:
        return None
    return made[0] if len(made) == 1 else any_of(made)


def _unknown_fields(document: Document, compiled: Compiled, within: str = "detection") -> Iterator[Problem]:
    for field in sorted(compiled.fields - BY_NAME.keys()):
        yield problem(
            document,
            place.of_field(document, field, within),
            "no event of ours has this field",
            config.nearest(field, BY_NAME),
        )


def _proof(document: Document, metadata: Metadata, info: RuleInfo) -> Proof | None:
    """``over: proof:``, read as a rule of its own; its log source must be one that is sent here."""
    block = metadata.over.proof
    if block is None:
        return None
    data = {"title": "proof", "logsource": block.logsource, "detection": block.detection}
    part = place.inside(document, PROOF, data)
    problems: list[Problem] = []
    try:
        _bound_condition(part, "detection")
        parsed = _parse(part, SigmaRule)
        compiled = _compile(part, parsed.detection, problems)
        source = parsed.logsource
        found = datasets(source.category, source.product, source.service)
        if not found:
            problems.append(problem(part, ("logsource",), "no agent sends this log source: it proves nothing"))
        if compiled is not None:
            problems.extend(_unknown_fields(part, compiled))
    except Refused as error:
        raise Refused(place.under(PROOF, error.problems)) from error
    if problems or compiled is None:
        raise Refused(place.under(PROOF, problems))
    by = block.by or info.by
    return Proof(
        info.id, tuple(sorted(found)), compiled.match, compiled.keys, compiled.fields, info.family, by, info.quiet_ms
    )


def _info(
    document: Document,
    parsed: SigmaRule | SigmaCorrelationRule,
    metadata: Metadata,
    found: frozenset[str],
    fields: frozenset[str],
    kind: str = "event",
) -> RuleInfo:
    status = parsed.status.name.lower() if parsed.status else ""
    idle = "" if found or kind != "event" else "no agent sends this log source"
    if status in ("deprecated", "unsupported"):
        idle, found = f"its status is {status}", frozenset()
    description = str(parsed.description or "")
    proof = metadata.over.proof
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
        kind=kind,
        family=metadata.incident.family or str(parsed.id),
        by=metadata.incident.by or (proof.by if proof else ()),
        quiet_ms=seconds(metadata.over.quiet) * 1000,
        has_proof=proof is not None,
        false_positives=tuple(map(str, parsed.falsepositives or ())),
        tags=tuple(map(str, parsed.tags)),
        attack=tuple(
            tag.name.upper() if tag.name[:1] == "t" and tag.name[1:2].isdigit() else tag.name
            for tag in parsed.tags
            if tag.namespace == "attack"
        ),
        fields=tuple(sorted(fields)),
    )
