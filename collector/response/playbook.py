"""Playbooks: which incidents call for which action. Plain YAML; what is wrong is refused with path:line.

    id: rogue-ra
    title: A router that is not registered advertises itself
    title_zh: 未登记路由器发送路由通告
    when: {families: [rogue-router]}
    actions:
      - action: drop_rogue_ra
        at: source_mac
        or_at: source_ip
        ttl: 4h
        verify_by: rogue_ra

``when`` names rules, families (as a rule's ``incident: family`` says, or the folder it stands in) or classes; one of
them is enough. Every action waits
for a person's approval but where ``automatic`` says for which classes, units, zones and levels it does not, and the
collector's own configuration allows automatic actions at all. What is protected (collector/response/protection.py and
``protected`` here) is never acted on.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from collector import duration
from collector.detect.classes import CLASSES
from telemetry import config
from telemetry.errors import ConfigError, Problem
from telemetry.order import CONTAINING, Action
from telemetry.verdict import Text

Meta = msgspec.Meta
Place = Literal["source_mac", "source_ip", "destination_ip", "check"]
Word = Annotated[str, Meta(min_length=1, max_length=128)]
Length = Annotated[str, Meta(description="a length of time like 90s, 15m, 4h")]
MAX_BYTES = 256 * 1024
MAX_TTL_S = 7 * 86_400
MAX_BEGIN_S = 86_400


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of everything that a person writes."""


class When(Strict, frozen=True):
    rules: Annotated[tuple[Word, ...], Meta(description="ids of rules")] = ()
    families: Annotated[tuple[Word, ...], Meta(description="families or folders of rules, like rogue-router")] = ()
    classes: Annotated[tuple[Word, ...], Meta(description="classes of incidents, like network-attack")] = ()

    def __post_init__(self) -> None:
        if not (self.rules or self.families or self.classes):
            raise ValueError("names nothing: give rules, families or classes")
        _known_classes(self.classes)


class Automatic(Strict, frozen=True):
    """Without approval, where all of these hold. Empty lists hold for nothing but ``classes``: it must name some."""

    classes: Annotated[tuple[Word, ...], Meta(description="classes of incidents", min_length=1)]
    units: Annotated[tuple[Word, ...], Meta(description="units; empty: all")] = ()
    zones: Annotated[tuple[Word, ...], Meta(description="zones; empty: all")] = ()
    max_level: Annotated[int, Meta(ge=0, le=2, description="highest MLPS level of the asset; 0: unregistered")] = 0

    def __post_init__(self) -> None:
        _known_classes(self.classes)


class Step(Strict, frozen=True):
    """One proposed action."""

    action: Annotated[Action, Meta(description="one of: " + ", ".join(Action))]
    at: Annotated[Place, Meta(description="source_mac, source_ip, destination_ip or check: part of the incident")]
    or_at: Annotated[Place | None, Meta(description="taken where the incident does not have the first")] = None
    ttl: Length = "1h"
    begin_within: Length = "10m"
    packets_per_second: Annotated[int, Meta(ge=0, le=1_000_000, description="for rate_limit")] = 0
    verify_by: Annotated[str, Meta(max_length=64, description="readiness check that measures it again elsewhere")] = ""
    automatic: Automatic | None = None
    title: Annotated[str, Meta(max_length=256, description="what it does, in English")] = ""
    title_zh: Annotated[str, Meta(max_length=256, description="what it does, in Chinese")] = ""

    def __post_init__(self) -> None:
        for name, text, most in (("ttl", self.ttl, MAX_TTL_S), ("begin_within", self.begin_within, MAX_BEGIN_S)):
            if not 10 <= _seconds(name, text) <= most:
                raise ValueError(f"{name}: {text!r} is not between 10s and {most}s")
        if (self.action is Action.RATE_LIMIT) != bool(self.packets_per_second):
            raise ValueError("packets_per_second belongs to rate_limit, and rate_limit needs it")
        wanted = PLACES[self.action]
        for place in filter(None, (self.at, self.or_at)):
            if place not in wanted:
                if not wanted:
                    raise ValueError(f"{self.action} is asked for by a person, not by a playbook")
                raise ValueError(f"{self.action} is directed at {' or '.join(wanted)}, not at {place}")
        if self.automatic is not None and self.action not in CONTAINING:
            raise ValueError("recheck changes nothing and never waits for approval: leave automatic out")

    @property
    def ttl_ms(self) -> int:
        return _seconds("ttl", self.ttl) * 1000

    @property
    def begin_ms(self) -> int:
        return _seconds("begin_within", self.begin_within) * 1000


class Playbook(Strict, frozen=True):
    id: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}\Z", description="lower-case letters, digits and '-'")]
    title: Annotated[str, Meta(min_length=1, max_length=256)]
    title_zh: Annotated[str, Meta(min_length=1, max_length=256)]
    when: When
    actions: Annotated[tuple[Step, ...], Meta(min_length=1, max_length=8)]
    protected: Annotated[
        tuple[Word, ...], Meta(description="addresses, prefixes, MACs or inventory ids that this never acts on")
    ] = ()

    def meets(self, rules: Iterable[str], families: Iterable[str], category: str) -> bool:
        return (
            not set(rules).isdisjoint(self.when.rules)
            or not set(families).isdisjoint(self.when.families)
            or category in self.when.classes
        )


PLACES: dict[Action, tuple[Place, ...]] = {
    Action.BLOCK_SOURCE: ("source_mac", "source_ip"),
    Action.RATE_LIMIT: ("source_mac", "source_ip"),
    Action.DROP_ROGUE_RA: ("source_mac", "source_ip"),
    Action.BLOCK_DESTINATION: ("destination_ip",),
    Action.RECHECK: ("check",),
    Action.EVIDENCE: (),
}
TITLES = {
    Action.BLOCK_SOURCE: Text("阻断来源", "Block the source"),
    Action.BLOCK_DESTINATION: Text("阻断目的地址", "Block the destination"),
    Action.RATE_LIMIT: Text("限制来源速率", "Limit the source's rate"),
    Action.DROP_ROGUE_RA: Text("丢弃非法路由通告", "Drop the rogue router advertisements"),
    Action.RECHECK: Text("立即复测", "Measure again now"),
    Action.EVIDENCE: Text("调取证据报文", "Fetch the packets"),
}


def step_title(step: Step) -> Text:
    known = TITLES[step.action]
    return Text(step.title_zh or known.zh, step.title or known.en)


def load(paths: Iterable[Path]) -> tuple[tuple[Playbook, ...], list[Problem]]:
    """Every playbook of these files and folders that is right, and all that is wrong. Never raises."""
    made: dict[str, Playbook] = {}
    problems: list[Problem] = []
    for path in paths:
        for file in sorted(path.rglob("*.yml")) if path.is_dir() else [path]:
            playbook, wrong = load_file(file)
            problems += wrong
            if playbook is not None and playbook.id in made:
                problems.append(Problem(str(file), 1, "id", f"{playbook.id!r} is another playbook's id too"))
            elif playbook is not None:
                made[playbook.id] = playbook
    return tuple(made.values()), problems


def load_file(path: Path) -> tuple[Playbook | None, list[Problem]]:
    try:
        if path.stat().st_size > MAX_BYTES:
            return None, [Problem(str(path), 0, "", f"is larger than {MAX_BYTES} bytes")]
        document = config.read(path)
    except OSError as error:
        return None, [Problem(str(path), 0, "", f"can not be read: {error.strerror}")]
    except ConfigError as error:
        return None, error.problems
    return config.convert(document, document.data, Playbook)


def _known_classes(names: Iterable[str]) -> None:
    for name in names:
        if name not in CLASSES:
            raise ValueError(f"class {name!r} is not one of: {', '.join(CLASSES)}")


def _seconds(name: str, text: str) -> int:
    try:
        return duration.seconds(text)
    except argparse.ArgumentTypeError as error:
        raise ValueError(f"{name}: {error}") from error
