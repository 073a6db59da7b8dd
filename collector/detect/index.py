"""Rules by what an event must have for them, so that an event meets few of them however many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, Protocol, TypeVar

from collector.detect.condition import Keys, Match
from collector.detect.field_index import FieldIndex, Numbers


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
        self.fields: dict[str, FieldIndex] = {}
        self.probes: list[tuple[str, dict[object, Numbers], Callable[[object], Numbers]]] = []

    def add(self, number: int, item: Indexed) -> None:
        if item.keys is None:
            self.always.append(number)
            return
        for key in item.keys:
            self.fields.setdefault(key.field, FieldIndex()).add(number, key.op, key.operand)

    def seal(self) -> None:
        for field, index in self.fields.items():
            index.seal()
            self.probes.append((field, index.memory, index.find))


class Index(Generic[Item]):
    """Immutable once built. An item without a dataset of ours is in none."""

    def __init__(self, items: Iterable[Item]) -> None:
        made_of = tuple(items)
        self._matches = tuple(item.match for item in made_of)
        self._datasets: dict[str, _Dataset] = {}
        for number, item in enumerate(made_of):
            for dataset in item.datasets:
                self._datasets.setdefault(dataset, _Dataset()).add(number, item)
        for made in self._datasets.values():
            made.seal()

    def hits(self, event: Mapping[str, object]) -> list[int]:
        """Numbers of the items that the event fulfils, in their order. Never raises."""
        name = event.get("event.dataset")
        dataset = self._datasets.get(name) if type(name) is str else None
        if dataset is None:
            return []
        candidates = list(dataset.always)
        get = event.get
        for field, memory, find in dataset.probes:
            value = get(field)
            if value is None:
                continue
            if value is True or value is False:
                candidates += find(value)
                continue
            try:
                found = memory[value]
            except (KeyError, TypeError):  # new, or a list
                found = find(value)
            if found:
                candidates += found
        if not candidates:
            return []
        matches = self._matches
        if len(candidates) == 1:
            return candidates if matches[candidates[0]](event) else []
        return [number for number in sorted(set(candidates)) if matches[number](event)]
