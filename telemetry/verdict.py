"""Verdict: what one readiness check found about one subject, with the evidence and advice in two languages."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import msgspec

from telemetry.event import Event, event

Evidence = Mapping[str, str | int | float | bool | list[str] | list[int]]


class Status(enum.StrEnum):
    """The four answers. ``not_tested`` always says why; it never counts as a pass or a fail."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    NOT_TESTED = "not_tested"


class Severity(enum.StrEnum):
    READINESS = "readiness"
    SECURITY = "security"


class Text(msgspec.Struct, frozen=True):
    """The same sentence in both languages."""

    zh: str
    en: str


class Verdict(msgspec.Struct, frozen=True):
    """One check of one subject (a domain, a device, a segment)."""

    check: str
    number: int
    severity: Severity
    subject: str
    status: Status
    title: Text
    summary: Text
    advice: Text
    evidence: Evidence

    def to_event(self, timestamp_ms: int) -> Event:
        """The event that carries this verdict; dataset ``tengwang.readiness``."""
        made = event(timestamp_ms, "tengwang.readiness", "check", kind="state")
        made.update(
            {
                "event.outcome": OUTCOMES[self.status],
                "tengwang.check.id": self.check,
                "tengwang.check.number": self.number,
                "tengwang.check.severity": self.severity.value,
                "tengwang.check.subject": self.subject,
                "tengwang.check.status": self.status.value,
                "tengwang.check.title.zh": self.title.zh,
                "tengwang.check.title.en": self.title.en,
                "tengwang.check.summary.zh": self.summary.zh,
                "tengwang.check.summary.en": self.summary.en,
                "tengwang.check.advice.zh": self.advice.zh,
                "tengwang.check.advice.en": self.advice.en,
                "tengwang.check.evidence": msgspec.json.encode(self.evidence).decode(),
            }
        )
        return made


OUTCOMES = {
    Status.PASS: "success",
    Status.WARN: "success",
    Status.FAIL: "failure",
    Status.NOT_TESTED: "unknown",
}
