"""A rule as the engine keeps it, and what others may know of it."""

from __future__ import annotations

import argparse
from typing import Annotated, Any

import msgspec
from sigma.rule import SigmaLogSource

from collector import duration
from collector.detect.classes import CLASSES
from collector.detect.condition import Keys, Match
from telemetry.fields import BY_NAME, Type
from telemetry.verdict import Text

SEVERITY = {"informational": 1, "low": 2, "medium": 3, "high": 4, "critical": 5}
QUIET = "30m"
MAX_BY = 6

By = Annotated[tuple[str, ...], msgspec.Meta(max_length=MAX_BY, description="fields, e.g. [tengwang.unit.id]")]


def check_fields(names: tuple[str, ...]) -> None:
    """Raises ValueError where one can not be grouped by."""
    for name in names:
        field = BY_NAME.get(name)
        if field is None:
            raise ValueError(f"no event of ours has the field {name!r}")
        if field.type in (Type.TEXT, Type.JSON):
            raise ValueError(f"{name} is free text, which nothing can be grouped by")


def seconds(text: str) -> int:
    """A length of time. Raises ValueError."""
    try:
        return duration.seconds(text)
    except argparse.ArgumentTypeError as error:
        raise ValueError(str(error)) from None


class Incidents(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which alerts are one incident."""

    by: By = ()
    family: Annotated[
        str,
        msgspec.Meta(
            pattern="^[a-z0-9-]{0,64}$", description="a word like rogue-router; rules with one family share incidents"
        ),
    ] = ""

    def __post_init__(self) -> None:
        check_fields(self.by)


class ProofBlock(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An event that shows that it is over: a log source and a detection, as a rule has them.

    ``by``: what the event must have in common with the alert, where its fields have other names than those of
    ``incident: by``: the same things in the same order.
    """

    logsource: Annotated[dict[str, Any], msgspec.Meta(description="as of a rule")]
    detection: Annotated[dict[str, Any], msgspec.Meta(description="as of a rule, with its condition")]
    by: By = ()

    def __post_init__(self) -> None:
        check_fields(self.by)


class Over(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What proves that the matter of an alert is over."""

    quiet: Annotated[str, msgspec.Meta(description="no further alert for so long, like 90s, 15m, 1h")] = QUIET
    proof: ProofBlock | None = None

    def __post_init__(self) -> None:
        if not 1 <= seconds(self.quiet) <= 31 * 86_400:
            raise ValueError(f"quiet {self.quiet!r} is not between 1s and 31d")


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
    incident: Incidents = Incidents()
    over: Over = Over()

    def __post_init__(self) -> None:
        if self.class_ not in CLASSES:
            raise ValueError(f"class {self.class_!r} is not one of: {', '.join(CLASSES)}")
        proof, by = self.over.proof, self.incident.by
        if proof is not None and proof.by and by and len(proof.by) != len(by):
            raise ValueError("over.proof.by names the same things as incident.by, in the same order")


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
    kind: str = "event"
    """``event``, or the type of a correlation: event_count ... first_seen, absence."""
    family: str = ""
    """Rules with one family share incidents; never empty."""
    by: tuple[str, ...] = ()
    """Alerts that are equal in these are one incident; empty: what collector/detect/key.py takes by default."""
    quiet_ms: int = 0
    """It is over when there was no further alert for so long, while the agent that raised it could see."""
    has_proof: bool = False
    """An event can show that it is over: it becomes a hit with role ``proof``."""
    false_positives: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    attack: tuple[str, ...] = ()
    """ATT&CK tactics and techniques, as ``T1557`` and ``credential-access``."""
    fields: tuple[str, ...] = ()
    """Fields that it asks for."""
    uses: tuple[str, ...] = ()
    """Ids of the rules that a correlation correlates."""
    raises: bool = True
    """False: it is only a part of correlations and raises no alert of its own."""


class Proof(msgspec.Struct, frozen=True):
    """What shows that the matter of ``rule`` is over."""

    rule: str
    datasets: tuple[str, ...]
    match: Match
    keys: Keys
    fields: frozenset[str]
    family: str
    by: tuple[str, ...]
    quiet_ms: int


class Rule(msgspec.Struct, frozen=True):
    """A rule over single events, ready to be asked. ``keys``: see collector/detect/condition.py."""

    info: RuleInfo
    match: Match
    keys: Keys
    fields: frozenset[str]
    datasets: tuple[str, ...] = ()
    name: str = ""
    """Sigma's ``name``, by which correlations and filters may call it."""
    logsource: SigmaLogSource | None = None
    proof: Proof | None = None
