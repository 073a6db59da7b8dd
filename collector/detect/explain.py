"""Why a rule did or did not match one event: selection by selection, field by field."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaRule

from collector.detect import fieldmap
from collector.detect.condition import compile_tree
from collector.detect.correlation import Correlation
from collector.detect.key import group
from collector.detect.load import documents, find_maps, load_file, parsed_rule, rule_files
from collector.detect.outcome import values_of
from collector.detect.rule import Rule
from collector.detect.ruleset import Ruleset, join
from telemetry.errors import ConfigError
from telemetry.event import Event


class Item(msgspec.Struct, frozen=True):
    """One field of a selection. ``found`` is None where the event does not have it."""

    selection: str
    field: str
    wanted: str
    found: str | None
    holds: bool


class Explanation(msgspec.Struct, frozen=True):
    """One rule and one event. ``why_not`` says what stands in the way besides the detection."""

    rule: str
    title: str
    path: str
    line: int
    matches: bool
    condition: str
    selections: dict[str, bool]
    items: tuple[Item, ...]
    why_not: str = ""
    groups: dict[str, str] = {}
    """Of each correlation that counts this rule: the group and value that this event counts for."""


def explain(paths: Sequence[Path], name: str, event: Event) -> list[Explanation]:
    """The rule with this id, name or path; of a correlation, its parts. Raises ConfigError where there is none."""
    files = [file for path in paths for file in (rule_files(path) if path.is_dir() else [path])]
    maps = find_maps(files)
    ruleset = join([load_file(file, maps) for file in files])
    wanted = set(_wanted(ruleset, name))
    if not wanted:
        problems = [p for p in ruleset.problems if p.path.endswith(name)]
        if problems:
            raise ConfigError(problems)
        raise ConfigError.one(name, "there is no such rule", "its id, its name: or the path of its file")
    rules = {rule.info.id: rule for rule in ruleset.rules if rule.info.id in wanted}
    made = []
    for file in {rule.info.path for rule in rules.values()}:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for document in documents(Path(file)):
                found = rules.get(str(document.data.get("id"))) if isinstance(document.data, dict) else None
                if found is not None and "detection" in document.data:
                    parsed = parsed_rule(document, maps or fieldmap.ours())
                    made.append(_one(found, parsed, ruleset.used_by.get(found.info.id, ()), event))
    return made


def _wanted(ruleset: Ruleset, name: str) -> Iterator[str]:
    for rule in ruleset.rules:
        if name in (rule.info.id, rule.name, rule.info.path) or Path(rule.info.path) == Path(name):
            yield rule.info.id
    for one in ruleset.correlations:
        if name in (one.id, one.name, one.info.path):
            yield from one.rules


def _one(rule: Rule, parsed: SigmaRule, users: Iterable[Correlation], event: Event) -> Explanation:
    dataset = str(event.get("event.dataset", ""))
    why = rule.info.idle
    if not why and dataset not in rule.datasets:
        why = f"the rule is about {', '.join(rule.datasets)}, the event is of {dataset or 'no dataset'}"
    matches = rule.match(event)
    items: list[Item] = []
    selections: dict[str, bool] = {}
    for name, detection in parsed.detection.detections.items():
        selections[name] = _holds(detection, parsed, event)
        items.extend(_items(name, detection, parsed, event))
    passed = any(_condition(condition, event) for condition in parsed.detection.parsed_condition)
    if passed and not matches:
        why = "a filter keeps it out"
    groups = {}
    for one in users:
        about = group([one.field_of(field, rule.info.id) for field in one.group_by], event)
        counted = values_of(one, event)
        told = "no group: a field of group-by is missing" if about is None else about
        if about is not None and one.fields:
            told += (
                f" counts {', '.join(counted)}" if counted else f" has no {', '.join(one.fields)}, so it does not count"
            )
        groups[one.info.title.en] = told
    return Explanation(
        rule.info.id,
        rule.info.title.en,
        rule.info.path,
        rule.info.line,
        matches and not why,
        " | ".join(parsed.detection.condition),
        selections,
        tuple(items),
        why,
        groups,
    )


def _items(name: str, detection: SigmaDetection, parsed: SigmaRule, event: Mapping[str, object]) -> Iterator[Item]:
    for item in detection.detection_items:
        if isinstance(item, SigmaDetection):
            yield from _items(name, item, parsed, event)
            continue
        modifiers = "|".join(one.__name__.removeprefix("Sigma").removesuffix("Modifier") for one in item.modifiers)
        wanted = " or ".join(map(str, item.original_value or item.value))[:500]
        value = event.get(item.field) if item.field else None
        yield Item(
            name,
            (item.field or "any text") + (f" ({modifiers})" if modifiers else ""),
            wanted,
            None if value is None else str(value)[:500],
            _holds(item, parsed, event),
        )


def _holds(part: SigmaDetection | SigmaDetectionItem, parsed: SigmaRule, event: Mapping[str, object]) -> bool:
    node = copy.deepcopy(part).postprocess(parsed.detection)
    return compile_tree(node).match(event)


def _condition(condition: object, event: Mapping[str, object]) -> bool:
    return compile_tree(getattr(condition, "parsed", None)).match(event)
