"""A ``Config`` struct as a commented TOML file, and as a table: sample configs, ``dump-config`` and the reference.

Pure: from types and values to text. An option whose description says that it is secret is never written with its
value; see ``SECRET``.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

import msgspec

WIDTH = 116
SECRET = frozenset({"password", "secret", "token", "api_key", "auth_key", "priv_key", "community"})
"""Options of these names hold a secret: what is set is shown as ``***``."""


class Option(msgspec.Struct, frozen=True):
    """One option: how a person may write it, what it is when nothing is written, and what it means."""

    name: str
    type: str
    bounds: str
    default: Any
    required: bool
    description: str


def options(struct: type[msgspec.Struct]) -> Iterator[tuple[Option, type[msgspec.Struct] | None]]:
    """Every option of a struct in order, with the struct of a nested table."""
    hints = typing.get_type_hints(struct, include_extras=True)
    for field in msgspec.structs.fields(struct):
        kind = hints[field.name]
        required = field.required
        default = None if required else _default(field)
        bare = _bare(kind)
        nested = bare if isinstance(bare, type) and issubclass(bare, msgspec.Struct) else None
        yield (
            Option(field.encode_name, _type_name(bare), _bounds(kind), default, required, _description(kind)),
            nested,
        )


def sample(
    struct: type[msgspec.Struct], value: msgspec.Struct | None = None, table: str = "", heading: str = ""
) -> str:
    """TOML text with every option described. With ``value`` the present settings, else the defaults, commented out."""
    lines: list[str] = []
    if heading:
        lines.extend(f"# {line}".rstrip() for line in heading.splitlines())
        lines.extend([] if table else [""])
    tables: list[str] = []
    body: list[str] = []
    for option, nested in options(struct):
        present = getattr(value, option.name) if value is not None else option.default
        name = f"{table}.{option.name}" if table else option.name
        if nested is not None:
            inner = present if isinstance(present, msgspec.Struct) else None
            about = (nested.__doc__ or "").strip().splitlines()
            tables.append(sample(nested, inner if value is not None else None, name, about[0] if about else ""))
            continue
        if _is_table(present):
            tables.append(_raw_tables(name, present, option.description, value is not None))
            continue
        body.extend(_option_lines(option, present, value is not None))
    if table:
        lines.append(f"[{table}]")
    lines.extend(body)
    text = "\n".join(lines).rstrip()
    return "\n\n".join(part for part in (text, *(t.rstrip() for t in tables)) if part) + "\n"


def markdown(struct: type[msgspec.Struct], prefix: str = "") -> str:
    """The same as a Markdown table; nested tables follow with dotted names."""
    rows = ["| option | type | default | meaning |", "|---|---|---|---|"]

    def walk(kind: type[msgspec.Struct], dotted: str) -> None:
        for option, nested in options(kind):
            name = f"{dotted}.{option.name}" if dotted else option.name
            if nested is not None:
                walk(nested, name)
                continue
            default = "required" if option.required else f"`{toml(option.default)}`"
            type_ = f"{option.type}, {option.bounds}" if option.bounds else option.type
            meaning = option.description.replace("|", "\\|")
            rows.append(f"| `{name}` | {type_} | {default} | {meaning} |")

    walk(struct, prefix)
    return "\n".join(rows) + "\n"


def toml(value: Any) -> str:
    """One value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, msgspec.Struct):
        return toml(msgspec.to_builtins(value))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(toml, value)) + "]"
    text = msgspec.json.encode("" if value is None else str(value)).decode()
    return text.replace("\x7f", "\\u007f")


def _option_lines(option: Option, present: Any, active: bool) -> list[str]:
    bounds = f" ({option.bounds})" if option.bounds else ""
    lines = [f"# {line}" for line in wrap(option.description + bounds, WIDTH)] if option.description else []
    shown = "***" if option.name in SECRET and present else present
    if option.required and present is None:
        lines.append(f"# {option.name} =     # required: {option.type}")
    elif active and present != option.default and present is not None:
        lines.append(f"{option.name} = {toml(shown)}")
    else:
        lines.append(f"# {option.name} = {toml(shown)}")
    return [*lines, ""]


def _raw_tables(name: str, value: Any, description: str, active: bool) -> str:
    mark = "" if active else "# "
    lines = [f"# {line}" for line in wrap(description, WIDTH)]
    for entry in [value] if isinstance(value, Mapping) else value:
        lines.append(f"{mark}[{name}]" if isinstance(value, Mapping) else f"{mark}[[{name}]]")
        lines.extend(f"{mark}{k} = {toml('***' if k in SECRET and v else v)}" for k, v in entry.items())
    return "\n".join(lines)


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, tuple | list) and bool(value) and all(isinstance(v, Mapping) for v in value)
    )


def _default(field: Any) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def _bare(kind: Any) -> Any:
    while typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    return kind


def _metas(kind: Any) -> Iterator[msgspec.Meta]:
    while typing.get_origin(kind) is typing.Annotated:
        yield from (m for m in kind.__metadata__ if isinstance(m, msgspec.Meta))
        kind = kind.__origin__


def _description(kind: Any) -> str:
    return next((m.description for m in _metas(kind) if m.description), "")


def _bounds(kind: Any) -> str:
    parts = []
    for meta in _metas(kind):
        low, high = meta.ge if meta.ge is not None else meta.gt, meta.le if meta.le is not None else meta.lt
        if low is not None and high is not None:
            parts.append(f"{low} to {high}")
        elif low is not None:
            parts.append(f"at least {low}" if meta.ge is not None else f"more than {low}")
        elif high is not None:
            parts.append(f"at most {high}" if meta.le is not None else f"less than {high}")
    return ", ".join(parts)


def _type_name(kind: Any) -> str:
    kind = _bare(kind)
    origin = typing.get_origin(kind)
    if origin in (list, tuple):
        return f"list of {_type_name(typing.get_args(kind)[0])}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type_name(k) for k in typing.get_args(kind) if k is not type(None))
    if origin is typing.Literal:
        return " or ".join(map(repr, typing.get_args(kind)))
    if origin is dict:
        return "table"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    if isinstance(kind, type) and hasattr(kind, "__members__"):
        return " or ".join(str(m.value) for m in kind.__members__.values())
    return names.get(kind, getattr(kind, "__name__", str(kind)))
