"""Rules by what an event must have for them, so that an event meets few of them however many there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Generic, Protocol, TypeVar

from collector.detect.condition import Keys, Match
from collector.detect.values import text


class Indexed(Protocol):
    """What can be asked of an event; ``keys`` as collector/detect/condition.py has them."""

    @property
    def datasets(self) -> tuple[str, ...]: ...
    @property
    def match(self) -> Match: ...
    @property
    def keys(self) -> Keys: ...


Item = TypeVar("Item", bound=Indexed)


class _Dataset:
    """The items over one dataset."""

    def __init__(self) -> None:
        self.always: list[int] = []
        self.by_field: dict[str, tuple[dict[str, list[int]], list[int]]] = {}
        """Field to (lower-case text to items that need it, items that need the field at all)."""

    def add(self, number: int, item: Indexed) -> None:
        if item.keys is None:
            self.always.append(number)
            return
        for field, wanted in item.keys:
            by_text, present = self.by_field.setdefault(field, ({}, []))
            (present if wanted is None else by_text.setdefault(wanted, [])).append(number)


class Index(Generic[Item]):
    """Immutable once built. An item without a dataset of ours is in none."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = tuple(items)
        self._datasets: dict[str, _Dataset] = {}
        for number, item in enumerate(self._items):
            for dataset in item.datasets:
                self._datasets.setdefault(dataset, _Dataset()).add(number, item)

    def hits(self, event: Mapping[str, object]) -> list[int]:
        """Numbers of the items that the event fulfils, in their order. Never raises."""
        name = event.get("event.dataset")
        dataset = self._datasets.get(name) if type(name) is str else None
        if dataset is None:
            return []
        candidates = list(dataset.always)
        for field, (by_text, present) in dataset.by_field.items():
            value = event.get(field)
            if value is None:
                continue
            candidates += present
            if not by_text:
                continue
            for one in value if type(value) is list else (value,):
                found = by_text.get(text(one).lower())
                if found is not None:
                    candidates += found
        if not candidates:
            return []
        items = self._items
        return [number for number in sorted(set(candidates)) if items[number].match(event)]
