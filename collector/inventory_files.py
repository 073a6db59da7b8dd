"""Inventory files to one ``Inventory``, with where each entry stands, so that every mistake has its path:line."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from collector.inventory import Inventory
from telemetry import config
from telemetry.config import Document, KeyPath
from telemetry.errors import ConfigError, Problem

MAX_BYTES = 64 * 1024 * 1024
SUFFIXES = (".yml", ".yaml")
SECTIONS: Mapping[str, Any] = {
    field.name: typing.get_args(field.type)[0] for field in msgspec.structs.fields(Inventory)
}


class Documents:
    """Where each entry of an inventory was written, and which entries were too broken to be in it."""

    def __init__(self) -> None:
        self._places: dict[str, list[tuple[Document, KeyPath]]] = {name: [] for name in SECTIONS}
        self.broken: dict[str, set[str]] = {name: set() for name in SECTIONS}
        """Ids of entries that have a problem of their own: a reference to one of them is not a second problem."""

    def add(self, section: str, document: Document, key: KeyPath) -> None:
        self._places[section].append((document, key))

    def where(self, section: str, index: int) -> str:
        document, key = self._places[section][index]
        return f"{document.path}:{document.line(key)}"

    def folder(self, section: str, index: int) -> Path:
        return Path(self._places[section][index][0].path).parent

    def problem(self, section: str, index: int, field: KeyPath, message: str, hint: str = "") -> Problem:
        """A problem with one entry of the inventory, at the line of ``field`` within it."""
        document, key = self._places[section][index]
        return Problem(document.path, document.line(key + field), config.dotted(key + field), message, hint)


def files(folder: Path) -> list[Path]:
    """The inventory files of a folder, by name; hidden ones (an editor's) are left out. A file is its own folder."""
    if folder.is_file():
        return [folder]
    return sorted(p for p in folder.glob("*") if p.suffix in SUFFIXES and not p.name.startswith("."))


def read(folder: Path) -> tuple[Inventory, Documents, list[Problem]]:
    """Everything that could be read, and a problem for everything that could not."""
    documents = Documents()
    problems: list[Problem] = []
    entries: dict[str, list[Any]] = {name: [] for name in SECTIONS}
    paths = files(folder)
    if not paths:
        problems.append(
            Problem(
                str(folder), 0, "", "holds no *.yml", f"'tengwang inventory example {folder}' writes one to start with"
            )
        )
    for path in paths:
        try:
            if path.stat().st_size > MAX_BYTES:
                problems.append(Problem(str(path), 0, "", f"is larger than {MAX_BYTES} bytes", "split it"))
                continue
            document = config.read(path)
        except OSError as error:
            problems.append(Problem(str(path), 0, "", f"can not be read: {error.strerror}"))
            continue
        except ConfigError as error:
            problems.extend(error.problems)
            continue
        for section, key, item in _items(document, problems):
            made, wrong = _entry(document, item, SECTIONS[section], key)
            if wrong:
                problems.extend(wrong)
                if isinstance(item, dict) and isinstance(item.get("id"), str):
                    documents.broken[section].add(item["id"])
            else:
                documents.add(section, document, key)
                entries[section].append(made)
    return Inventory(**{name: tuple(found) for name, found in entries.items()}), documents, problems


def _items(document: Document, problems: list[Problem]) -> Iterator[tuple[str, KeyPath, object]]:
    if document.data is None:
        return
    if not isinstance(document.data, dict):
        problems.append(Problem(document.path, 1, "", "must be a mapping", "keys: " + ", ".join(SECTIONS)))
        return
    for name, value in document.data.items():
        if name not in SECTIONS:
            problems.extend(config.convert(document, {name: value}, Inventory)[1])
        elif isinstance(value, list):
            yield from ((name, (name, index), item) for index, item in enumerate(value))
        elif value is not None:
            problems.append(
                Problem(document.path, document.line((name,)), name, "must be a list", "each entry after '- '")
            )


def _entry(document: Document, item: object, into: Any, key: KeyPath) -> tuple[Any, list[Problem]]:
    try:
        return msgspec.convert(item, into), []
    except msgspec.ValidationError:  # go through it again, slowly, for every problem and its line
        return config.convert(document, item, into, key)
