"""What rules cover: by kind of event, ATT&CK technique and GB/T 20986 class; what nothing asks for; what is idle."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from collector.detect.alert import COPIED
from collector.detect.classes import CLASSES
from collector.detect.logsource import SOURCES
from collector.detect.rule import RuleInfo
from telemetry.fields import FIELDS
from telemetry.verdict import Text

NOT_ASKED = ("event.", "tengwang.alert.", "tengwang.hit.", "tengwang.incident.", "tengwang.posture.", "tengwang.aside.")
"""What the collector itself makes; no rule over events of agents can ask for it."""


class Dataset(msgspec.Struct, frozen=True):
    """Rules over one kind of events, active ones."""

    name: str
    rules: int
    fields: tuple[str, ...]


class Coverage(msgspec.Struct, frozen=True):
    datasets: tuple[Dataset, ...]
    attack: dict[str, int]
    """Techniques and tactics, with how many active rules."""
    classes: dict[str, int]
    """All classes of GB/T 20986, also those with none."""
    fields_unused: tuple[str, ...]
    """Fields of events that no active rule asks for."""
    idle: dict[str, str]
    """Path of a rule to why it can hit nothing here."""

    def title(self, name: str) -> Text:
        return CLASSES[name]


def coverage(infos: Sequence[RuleInfo]) -> Coverage:
    active = [info for info in infos if not info.idle]
    names = sorted({source.dataset for source in SOURCES})
    raising = [info for info in active if info.raises]
    used = {field for info in active for field in info.fields}
    attack = sorted({tag for info in raising for tag in info.attack})
    return Coverage(
        tuple(
            Dataset(
                name,
                sum(name in info.datasets for info in raising),
                tuple(sorted({f for info in active if info.datasets == (name,) for f in info.fields})),
            )
            for name in names
        ),
        {tag: sum(tag in info.attack for info in raising) for tag in attack},
        {name: sum(info.category == name for info in raising) for name in CLASSES},
        tuple(
            field.name
            for field in FIELDS
            if field.name not in used and not field.name.startswith(NOT_ASKED) and field.name not in COPIED
        ),
        {f"{info.path}:{info.line}": info.idle for info in infos if info.idle},
    )
