"""A rule as the engine keeps it, and what others may know of it."""

from __future__ import annotations

from typing import Annotated

import msgspec

from collector.detect.classes import CLASSES
from collector.detect.condition import Keys, Match
from telemetry.verdict import Text

SEVERITY = {"informational": 1, "low": 2, "medium": 3, "high": 4, "critical": 5}


class Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The block ``tengwang:`` of a rule, which Sigma leaves to us. Every part may be left out."""

    title_zh: Annotated[str, msgspec.Meta(max_length=256, description="the title in Chinese")] = ""
    description_zh: Annotated[str, msgspec.Meta(max_length=4000, description="the description in Chinese")] = ""
    class_: Annotated[str, msgspec.Meta(description="one of: " + ", ".join(CLASSES))] = msgspec.field(
        default="other", name="class"
    )
    action_zh: Annotated[str, msgspec.Meta(max_length=4000, description="what to do about a hit, in Chinese")] = ""
    action_en: Annotated[str, msgspec.Meta(max_length=4000, description="what to do about a hit, in English")] = ""
    over_when_zh: Annotated[str, msgspec.Meta(max_length=1000, description="how one sees that it is over")] = ""
    over_when_en: Annotated[str, msgspec.Meta(max_length=1000, description="how one sees that it is over")] = ""

    def __post_init__(self) -> None:
        if self.class_ not in CLASSES:
            raise ValueError(f"class {self.class_!r} is not one of: {', '.join(CLASSES)}")


class RuleInfo(msgspec.Struct, frozen=True):
    """What a person or the console may know of a rule. ``idle`` says why it can not hit anything here; else empty."""

    id: str
    title: Text
    description: Text
    action: Text
    over_when: Text
    level: str
    category: str
    category_title: Text
    datasets: tuple[str, ...]
    status: str
    path: str
    line: int
    idle: str = ""
    references: tuple[str, ...] = ()


class Rule(msgspec.Struct, frozen=True):
    """A rule ready to be asked. ``keys``: see collector/detect/condition.py."""

    info: RuleInfo
    match: Match
    keys: Keys
    fields: frozenset[str]
