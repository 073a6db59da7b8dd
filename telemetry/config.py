"""Read what a person wrote (TOML, YAML) into frozen structs, and name every mistake at once with path:line.

``load`` is for one file; ``convert`` is for a piece of a document that is already read. Structs say what is allowed:
types, bounds and descriptions by ``msgspec.Meta``; an unknown key is a mistake, with the nearest known key as hint.
"""

from __future__ import annotations

import difflib
import re
import tomllib
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from telemetry.errors import ConfigError, Problem

T = TypeVar("T")
KeyPath = tuple[str | int, ...]


class Document(msgspec.Struct, frozen=True):
    """A parsed file: its data, and the line on which each key stands."""

    path: str
    data: Any
    lines: Mapping[KeyPath, int]

    def line(self, key: KeyPath) -> int:
        """The line of a key, or of the nearest thing around it."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)


def load(path: Path, into: type[T]) -> T:
    """Read a ``.toml``, ``.yml`` or ``.yaml`` file into a struct. Raises ConfigError with every problem."""
    document = read(path)
    value, problems = convert(document, document.data, into)
    if problems or value is None:
        raise ConfigError(problems)
    return value


def read(path: Path) -> Document:
    """Parse a file. Raises ConfigError where it is missing or not well-formed."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError.one(str(path), f"can not be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError.one(str(path), f"is not UTF-8 text (byte {error.start})") from error
    return read_toml(str(path), text) if path.suffix == ".toml" else read_yaml(str(path), text)


def read_toml(path: str, text: str) -> Document:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        raise ConfigError([Problem(path, int(found[1]) if found else text.count("\n") + 1, "", str(error))]) from error
    return Document(path, data, toml_lines(text))


def toml_lines(text: str) -> dict[KeyPath, int]:
    """Where each key of a TOML text stands. Plain tables, arrays of tables and bare or quoted keys are understood."""
    lines: dict[KeyPath, int] = {}
    counts: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if header := re.match(r"(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(#.*)?$", line):
            table = ()
            parts = split_key(header[2])
            for index, part in enumerate(parts):
                table += (part,)
                if table in counts and not (header[1] == "[[" and index == len(parts) - 1):
                    table += (counts[table] - 1,)
            if header[1] == "[[":
                counts[table] = counts.get(table, 0) + 1
                table += (counts[table] - 1,)
            lines.setdefault(table, number)
        elif pair := re.match(r"((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*=", line):
            lines.setdefault(table + split_key(pair[1]), number)
    return lines


def split_key(text: str) -> KeyPath:
    """``a."b.c".d`` as its parts."""
    return tuple(bare or quoted.strip("\"'") for quoted, bare in re.findall(r"(\"[^\"]*\"|'[^']*')|([\w-]+)", text))


def read_yaml(path: str, text: str) -> Document:
    from telemetry import yaml_lines

    found = yaml_lines.documents(path, text)
    if len(found) > 1:
        raise ConfigError.one(path, "holds several YAML documents, one is wanted", "take the '---' lines out")
    data, lines = found[0] if found else ({}, {})
    return Document(path, data, lines)


def convert(document: Document, data: Any, into: type[T], key: KeyPath = ()) -> tuple[T | None, list[Problem]]:
    """Convert parsed data to a struct, collecting every problem instead of stopping at the first."""
    problems: list[Problem] = []
    value = _convert(document, data, into, key, problems)
    return (None, problems) if problems else (value, problems)


def _convert(document: Document, data: Any, into: Any, key: KeyPath, problems: list[Problem]) -> Any:
    struct = _struct_of(into)
    if struct is not None and isinstance(data, Mapping):
        return _convert_struct(document, data, struct, key, problems)
    element = _element_of(into)
    if element is not None and isinstance(data, Sequence) and not isinstance(data, str):
        made = [_convert(document, item, element, (*key, index), problems) for index, item in enumerate(data)]
        return tuple(made) if typing.get_origin(_bare(into)) is tuple else made
    try:
        return msgspec.convert(data, into)
    except msgspec.ValidationError as error:
        message = re.sub(r" - at `[^`]*`$", "", str(error))
        hint = _description(into)
        if message.startswith("Expected `str") and isinstance(data, int | float):
            hint = "write it in quotes" + (f"; {hint}" if hint else "")
        problems.append(Problem(document.path, document.line(key), dotted(key), message, hint))
        return None


def _convert_struct(
    document: Document, data: Mapping[str, Any], struct: type[msgspec.Struct], key: KeyPath, problems: list[Problem]
) -> Any:
    before = len(problems)
    fields = {f.encode_name: f for f in msgspec.structs.fields(struct)}
    values: dict[str, Any] = {}
    for name, item in data.items():
        field = fields.get(str(name))
        if field is None:
            hint = nearest(str(name), fields) or "known: " + ", ".join(fields)
            problems.append(
                Problem(document.path, document.line((*key, name)), dotted((*key, name)), "unknown key", hint)
            )
        else:
            values[field.name] = _convert(document, item, field.type, (*key, name), problems)
    for field in fields.values():
        if field.required and field.name not in values:
            problems.append(
                Problem(
                    document.path,
                    document.line(key),
                    dotted((*key, field.encode_name)),
                    "is missing",
                    _description(field.type),
                )
            )
    if len(problems) > before:
        return None
    try:
        return struct(**values)
    except ValueError as error:  # from __post_init__, for rules across fields
        problems.append(Problem(document.path, document.line(key), dotted(key), str(error)))
        return None


def _bare(kind: Any) -> Any:
    while typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    return kind


def _struct_of(kind: Any) -> type[msgspec.Struct] | None:
    kind = _bare(kind)
    for option in (kind, *typing.get_args(kind)):
        bare = _bare(option)
        if isinstance(bare, type) and issubclass(bare, msgspec.Struct) and typing.get_origin(kind) in _UNIONS:
            return bare
    return None


def _element_of(kind: Any) -> Any:
    kind = _bare(kind)
    if typing.get_origin(kind) in (list, tuple):
        element = typing.get_args(kind)[0]
        return element if _struct_of(element) is not None else None
    return None


def _meta(kind: Any) -> list[msgspec.Meta]:
    return [m for m in getattr(kind, "__metadata__", ()) if isinstance(m, msgspec.Meta)]


def _description(kind: Any) -> str:
    options = typing.get_args(kind) if typing.get_origin(kind) in _UNIONS else ()
    return next((m.description for k in (kind, *options) for m in _meta(k) if m.description), "")


def nearest(name: str, known: Iterable[str]) -> str:
    """``did you mean 'x'?``; empty where nothing known is near."""
    near = difflib.get_close_matches(name, list(known), 1)
    return f"did you mean {near[0]!r}?" if near else ""


def dotted(key: KeyPath) -> str:
    """A key path as a person counts: ``("inputs", 0, "type")`` is ``inputs[1].type``."""
    text = ""
    for part in key:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


_UNIONS = (None, typing.Union, type(int | None))
