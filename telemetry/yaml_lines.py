"""YAML text to plain data with the line of every key, bounded, whatever the text holds.

PyYAML's C composer recurses on the C stack: 100,000 opening brackets end the process. So the events are walked
first, which does not recurse, and what nests deeper than a person writes is refused. Aliases are allowed, but not to
grow without bound ("billion laughs"), nor to hold themselves. A key that stands twice is a mistake, not the last one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from telemetry.errors import ConfigError, Problem

KeyPath = tuple[str | int, ...]
MAX_DEPTH = 50
MAX_NODES = 2_000_000

_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def documents(path: str, text: str) -> list[tuple[Any, Mapping[KeyPath, int]]]:
    """Every document of the text: its data and the line of each key. Raises ConfigError with every problem found."""
    try:
        _bound_depth(path, text)
        return list(_documents(path, text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ConfigError([Problem(path, mark.line + 1 if mark else 0, "", str(error.problem))]) from error
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
        # a tag that does not fit its value (``!!int ""``) escapes PyYAML as any of these
        raise ConfigError.one(path, f"is not YAML: {str(error)[:200] or type(error).__name__}") from error


def _bound_depth(path: str, text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                line = event.start_mark.line + 1 if event.start_mark else 0
                raise ConfigError([Problem(path, line, "", f"nests more than {MAX_DEPTH} levels deep")])
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _documents(path: str, text: str) -> Iterator[tuple[Any, Mapping[KeyPath, int]]]:
    loader = _Loader(text)
    try:
        while loader.check_node() and (node := loader.get_node()) is not None:
            walk = _Walk(path)
            walk.visit(node, ())
            if walk.problems:
                raise ConfigError(walk.problems)
            yield loader.construct_document(node), walk.lines
    finally:
        loader.dispose()


class _Walk:
    """Notes the line of each key of one document, and finds keys that stand twice."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._nodes = 0
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[Problem] = []

    def visit(self, node: yaml.Node, key: KeyPath) -> None:
        line = node.start_mark.line + 1
        self._nodes += 1
        if self._nodes > MAX_NODES or len(key) > MAX_DEPTH:
            raise ConfigError([Problem(self._path, line, "", "aliases grow without bound or hold themselves")])
        self.lines.setdefault(key, line)
        if isinstance(node, yaml.MappingNode):
            seen: dict[str, int] = {}
            for name, value in node.value:
                text, at = str(name.value), name.start_mark.line + 1
                if text in seen and text != "<<":
                    self.problems.append(
                        Problem(self._path, at, text[:100], "stands twice", f"first on line {seen[text]}")
                    )
                seen[text] = at
                self.lines[(*key, text)] = at
                self.visit(value, (*key, text))
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self.visit(value, (*key, index))
