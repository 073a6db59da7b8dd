"""Rules of ours, and ours with other literals, as many as are wanted: what a benchmark of matching is asked with."""

from __future__ import annotations

import copy
import ipaddress
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from collector import shipped
from collector.detect.condition import COARSE
from collector.detect.load import rule_files


def plain() -> list[dict[str, Any]]:
    """Our rules over single events; correlations are not what is measured."""
    made = []
    for path in rule_files(shipped.rules()):
        for data in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if isinstance(data, dict) and "detection" in data:
                data.pop("tengwang", None)
                made.append(data)
    return made


def varied(count: int) -> list[dict[str, Any]]:
    """``count`` rules: some of ours from every area, or ours and then round after round with other literals."""
    ours = plain()
    if count < len(ours):
        return [ours[number * len(ours) // count] for number in range(count)]
    made: list[dict[str, Any]] = []
    for number in range(count):
        turn, which = divmod(number, len(ours))
        rule = copy.deepcopy(ours[which])
        if turn:
            rule["title"] = f"{rule['title'][:200]} {turn}"
            rule["id"] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{rule['id']}/{turn}"))
            rule.pop("name", None)
            _vary(rule["detection"], turn)
        made.append(rule)
    return made


def write(rules: list[dict[str, Any]], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, rule in enumerate(rules):
        text = yaml.safe_dump(rule, allow_unicode=True, sort_keys=False)
        (folder / f"{number:05d}.yml").write_text(text, encoding="utf-8")


def _vary(detection: dict[str, Any], turn: int) -> None:
    """Every literal but those that most events of a dataset share; where a rule has only such, those as well.

    What a condition excludes stays: a list of what is allowed, with other literals, would match every event.
    """
    excluded = set(re.findall(r"\bnot (\w+)", str(detection["condition"])))
    selections = [s for name, s in detection.items() if name != "condition" and name not in excluded]
    changed = [_items(selection, turn, coarse=False) for selection in selections]
    if not any(changed):
        for selection in selections:
            _items(selection, turn, coarse=True)


def _items(selection: Any, turn: int, coarse: bool) -> bool:
    changed = False
    for item in _mappings(selection):
        for key, value in item.items():
            field, *modifiers = key.split("|")
            if {"exists", "fieldref"} & set(modifiers) or (field in COARSE and not coarse):
                continue
            values = value if isinstance(value, list) else [value]
            other = [_other(one, turn, modifiers) for one in values]
            changed = changed or other != values
            item[key] = other if isinstance(value, list) else other[0]
    return changed


def _mappings(selection: Any) -> Iterator[dict[str, Any]]:
    if isinstance(selection, dict):
        yield selection
    elif isinstance(selection, list):
        for one in selection:
            yield from _mappings(one)


def _other(value: Any, turn: int, modifiers: list[str]) -> Any:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        if {"lt", "lte"} & set(modifiers):
            return value / (turn + 1)
        return value * (turn + 1) if {"gt", "gte"} & set(modifiers) else value + 1000 * turn
    text = str(value)
    if "re" in modifiers:
        return re.sub(r"(?<![\[\\])\b[a-z0-9]{4,}\b", lambda found: f"{found[0]}{turn}", text, count=1)
    if "cidr" in modifiers or "/" in text:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            pass
        else:
            # a part of it: a neighbour of fc00::/7 or 240.0.0.0/4 would soon be where everybody is
            length = min(network.prefixlen + 8, network.max_prefixlen)
            size = 1 << (network.max_prefixlen - length)
            first = (int(network.network_address) + turn * size) % (1 << network.max_prefixlen)
            return f"{type(network.network_address)(first)}/{length}"
    head = text.rstrip("*")
    return f"{head}{turn}{text[len(head) :]}"
