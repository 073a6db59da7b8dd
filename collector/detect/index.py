"""Rules by what an event must have for them, so that an event meets few of them however many there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from collector.detect.rule import Rule
from collector.detect.values import text


class _Dataset:
    """The rules over one dataset."""

    def __init__(self) -> None:
        self.always: list[int] = []
        self.by_field: dict[str, tuple[dict[str, list[int]], list[int]]] = {}
        """Field to (lower-case text to rules that need it, rules that need the field at all)."""

    def add(self, number: int, rule: Rule) -> None:
        if rule.keys is None:
            self.always.append(number)
            return
        for field, wanted in rule.keys:
            by_text, present = self.by_field.setdefault(field, ({}, []))
            (present if wanted is None else by_text.setdefault(wanted, [])).append(number)


class Index:
    """Immutable once built. A rule without a dataset of ours is in none."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = tuple(rules)
        self._datasets: dict[str, _Dataset] = {}
        for number, rule in enumerate(self._rules):
            for dataset in rule.info.datasets:
                self._datasets.setdefault(dataset, _Dataset()).add(number, rule)

    def hits(self, event: Mapping[str, object]) -> list[Rule]:
        """The rules that the event fulfils, in the order they were loaded. Never raises."""
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
        rules = self._rules
        return [rules[number] for number in sorted(set(candidates)) if rules[number].match(event)]
