"""IPv6 readiness: the newest verdict of each check on each subject, grouped by system or device."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from collector.query import Equals, Latest
from collector.services import Services
from collector.views.moment import moment, number, text
from telemetry.event import Event

LOOK_BACK_MS = 2 * 86_400_000
"""Checks run many times a day; a verdict older than two days says nothing of now."""
WORST = ("fail", "warn", "not_tested", "pass")


class VerdictView(msgspec.Struct, frozen=True):
    """One check of one subject, as one agent found it last."""

    check: str
    number: int
    severity: str
    subject: str
    status: str
    title_zh: str
    title_en: str
    summary_zh: str
    summary_en: str
    advice_zh: str
    advice_en: str
    evidence: dict[str, Any]
    agent: str
    time: datetime.datetime | None
    event_id: str


class AssetReadiness(msgspec.Struct, frozen=True):
    """All verdicts of one registered system or device (or of an unregistered subject). ``score`` is passed / tested."""

    id: str
    name: str
    kind: str
    unit: str
    unit_name: str
    mlps_level: int
    cii: bool
    owners: dict[str, str]
    passed: int
    warned: int
    failed: int
    not_tested: int
    verdicts: tuple[VerdictView, ...]

    @property
    def tested(self) -> int:
        return self.passed + self.warned + self.failed

    @property
    def share(self) -> float:
        return self.passed / self.tested if self.tested else 0.0

    def worst(self, check: str) -> str:
        """The worst status of one check over all subjects; empty where it was never run."""
        found = {v.status for v in self.verdicts if v.check == check}
        return next((s for s in WORST if s in found), "")


def readiness(services: Services) -> tuple[AssetReadiness, ...]:
    """Every asset with a verdict, and every registered system without one; the worst first."""
    now = services.clock.now_ms()
    where = (Equals("event.dataset", ("tengwang.readiness",)), Equals("event.action", ("check",)))
    per = ("tengwang.check.subject", "tengwang.check.id")
    found = services.store.latest(Latest(now - LOOK_BACK_MS, now + 60_000, per, where, limit=5000))
    grouped: dict[str, list[Event]] = {}
    for item in found:
        doc = item.doc
        grouped.setdefault(text(doc, "tengwang.asset.id") or text(doc, "tengwang.check.subject"), []).append(doc)
    for system in services.inventory.current().inventory.systems:
        grouped.setdefault(system.id, [])
    made = [_asset(services, asset, docs) for asset, docs in grouped.items()]
    return tuple(sorted(made, key=lambda a: (-a.failed, -a.warned, a.unit, a.name)))


def checks(made: Iterable[AssetReadiness]) -> list[tuple[str, int, str, str]]:
    """Which checks there are: (id, number, title zh, title en), by number."""
    found = {v.check: (v.check, v.number, v.title_zh, v.title_en) for a in made for v in a.verdicts}
    return sorted(found.values(), key=lambda c: c[1])


def shares(made: Sequence[AssetReadiness]) -> dict[str, tuple[int, int]]:
    """(passed, tested) of each unit."""
    total: dict[str, tuple[int, int]] = {}
    for asset in made:
        passed, tested = total.get(asset.unit, (0, 0))
        total[asset.unit] = (passed + asset.passed, tested + asset.tested)
    return total


def _asset(services: Services, asset: str, docs: list[Event]) -> AssetReadiness:
    index = services.inventory.current()
    system, device = index.system(asset), index.device(asset)
    registered = system or device
    unit = registered.unit if registered else next((text(d, "tengwang.unit.id") for d in docs), "")
    known = index.unit(unit)
    statuses = [text(d, "tengwang.check.status") for d in docs]
    owners = {}
    if registered and registered.responsible:
        for role in ("authority", "operator", "user"):
            person = index.person(getattr(registered.responsible, role))
            owners[role] = f"{person.name} {person.phone}".strip() if person else ""
    return AssetReadiness(
        id=asset,
        name=registered.name if registered else asset,
        kind="system" if system else "device" if device else "subject",
        unit=unit,
        unit_name=known.name if known else unit,
        mlps_level=(registered.level or 0) if registered else 0,
        cii=registered.cii if registered else False,
        owners=owners,
        passed=statuses.count("pass"),
        warned=statuses.count("warn"),
        failed=statuses.count("fail"),
        not_tested=statuses.count("not_tested"),
        verdicts=tuple(sorted((_verdict(d) for d in docs), key=lambda v: (v.number, v.subject))),
    )


def _verdict(doc: Event) -> VerdictView:
    try:
        evidence = msgspec.json.decode(text(doc, "tengwang.check.evidence") or "{}", type=dict[str, Any])
    except msgspec.DecodeError:
        evidence = {"evidence": text(doc, "tengwang.check.evidence")}
    words = {
        f"{part}_{language}": text(doc, f"tengwang.check.{part}.{language}")
        for part in ("title", "summary", "advice")
        for language in ("zh", "en")
    }
    return VerdictView(
        check=text(doc, "tengwang.check.id"),
        number=number(doc, "tengwang.check.number"),
        severity=text(doc, "tengwang.check.severity"),
        subject=text(doc, "tengwang.check.subject"),
        status=text(doc, "tengwang.check.status"),
        evidence=evidence,
        agent=text(doc, "agent.name"),
        time=moment(number(doc, "@timestamp")),
        event_id=text(doc, "event.id"),
        **words,
    )
