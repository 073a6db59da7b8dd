"""The dead man's switch: this collector says itself when it can not page anybody.

Looked at every few seconds. What is wrong shows as a banner in the console, in the health page, as a metric, and, once
an hour as long as it lasts, as an alert in the store, for an open page somewhere is often the only way left.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import msgspec

from collector.detect.rule import SEVERITY
from collector.feed import Feed
from collector.outbox import Outbox
from collector.query import Kind
from collector.store import Record, Store
from telemetry.clock import Clock
from telemetry.errors import Transient
from telemetry.event import Event, event
from telemetry.report import Report
from telemetry.verdict import Text

RULE = "tengwang-paging-fails"
HOUR_MS = 3_600_000
STALE_S = 60.0
TITLE = Text("平台无法通知到任何人", "The platform can not page anybody")
REASONS: Mapping[str, Text] = {
    "no_channel": Text("没有配置任何通知通道", "no notifier is configured"),
    "all_channels_fail": Text("所有通知通道都不可用", "every channel fails"),
    "undelivered": Text("有通知长时间未能送出", "pages have been waiting for long"),
    "dead_letters": Text("有通知未能送达，需要人工处理", "pages could not be delivered and need a person"),
    "nobody": Text("有事件找不到可通知的人", "there is an incident with nobody to page"),
}
ALERTED = frozenset({"all_channels_fail", "undelivered", "nobody", "dead_letters"})


class Trouble(msgspec.Struct, frozen=True):
    """``code`` is one of ``REASONS``; ``detail`` has numbers, ids and what others answered, in no language of ours."""

    code: str
    detail: str
    since_ms: int

    @property
    def text(self) -> Text:
        return REASONS[self.code]


class DeadMan:
    """``look`` from one thread; ``troubles`` from any."""

    def __init__(
        self,
        outbox: Outbox,
        store: Store,
        feed: Feed,
        clock: Clock,
        report: Report,
        alarm_ms: int,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._outbox = outbox
        self._store = store
        self._feed = feed
        self._clock = clock
        self._report = report
        self._alarm_ms = alarm_ms
        self._changed = changed
        self._unaddressed: dict[str, int] = {}
        self._told_at = float("-inf")
        self._troubles: tuple[Trouble, ...] = ()

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        return self._troubles

    def nobody(self, incidents: Mapping[str, int]) -> None:
        """Open incidents that there is nobody to page for, and since when; from the leader, about once a second."""
        self._unaddressed = dict(incidents)
        self._told_at = self._clock.monotonic()

    def look(self) -> tuple[Trouble, ...]:
        """What is wrong now. Blocks on the store where it has to say so."""
        now = self._clock.now_ms()
        before = {trouble.code: trouble for trouble in self._troubles}
        found = {code: detail for code, detail in self._wrong(now).items() if detail is not None}
        made = tuple(
            Trouble(code, detail, before[code].since_ms if code in before else now) for code, detail in found.items()
        )
        for code in REASONS:
            self._report.gauge("tengwang_paging_trouble", code in found, reason=code)
        for trouble in made:
            self._report.error(f"paging-{trouble.code}", f"{trouble.text.en}: {trouble.detail}")
        if {trouble.code for trouble in made} != set(before):
            self._changed()
        self._troubles = made
        if alarming := [trouble for trouble in made if trouble.code in ALERTED]:
            self._raise(alarming, now)
        return made

    def _wrong(self, now: int) -> dict[str, str | None]:
        waiting = self._outbox.waiting()
        overdue = [page for page in waiting if now - page.created_ms >= self._alarm_ms]
        dead = self._outbox.dead()
        outcomes = self._outbox.outcomes()
        channels = self._outbox.channels
        leads = self._clock.monotonic() - self._told_at < STALE_S  # else another collector knows better
        failing = [name for name in channels if name in outcomes and not outcomes[name][1]]
        return {
            "no_channel": "[[notifiers]]" if not channels else None,
            "all_channels_fail": (
                "; ".join(f"{name}: {outcomes[name][2]}" for name in failing)[:500]
                if channels and len(failing) == len(channels)
                else None
            ),
            "undelivered": f"{len(overdue)} / {len(waiting)} · {overdue[-1].person}" if overdue else None,
            "dead_letters": f"{len(dead)} · {dead[0].person}" if dead else None,
            "nobody": ", ".join(sorted(self._unaddressed)[:5]) if self._unaddressed and leads else None,
        }

    def _raise(self, troubles: list[Trouble], now: int) -> None:
        """An alert with an id of the hour, so that collectors of one store raise it once."""
        name = hashlib.blake2b(f"{RULE}\0{now // HOUR_MS}".encode(), digest_size=16).hexdigest()
        record = Record(Kind.ALERT, name, alert(name, troubles, now))
        try:
            if self._store.write([record]).stored:
                self._feed.offer([record])
        except Transient as error:
            self._report.warn("paging", f"the alert about it could not be stored: {error}")


def alert(name: str, troubles: list[Trouble], now: int) -> Event:
    made = event(now, "tengwang.alert", RULE, kind="alert")
    made.update(
        {
            "event.id": name,
            "event.severity": SEVERITY["critical"],
            "rule.id": RULE,
            "rule.name": TITLE.en,
            "tengwang.rule.name.zh": TITLE.zh,
            "rule.level": "critical",
            "rule.category": "agent",
            "message": "; ".join(f"{t.text.zh} / {t.text.en}: {t.detail}" for t in troubles)[:2000],
        }
    )
    return made
