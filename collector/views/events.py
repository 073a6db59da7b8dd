"""Events, alerts, what was set aside, and the audit: a page, a histogram, one record."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from collector.query import Aggregate, ByTime, Condition, Kind, Search
from collector.services import Services
from collector.store import Found
from collector.views.moment import moment, number, text
from telemetry.clock import iso, parse_iso
from telemetry.errors import Permanent
from telemetry.event import Event, Value
from telemetry.fields import BY_NAME, Type

SPANS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
STEPS_MS = tuple(s * 1000 for s in (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 604800))
MAX_SPAN_MS = 400 * 86_400_000
JSON_BOUND = 200_000


class Between(msgspec.Struct, frozen=True):
    """A time range: ``since_ms <= time < until_ms``."""

    since_ms: int
    until_ms: int

    @property
    def span_ms(self) -> int:
        return self.until_ms - self.since_ms


class Bar(msgspec.Struct, frozen=True):
    """One step of a histogram."""

    start_ms: int
    count: int


def between(since: str, until: str, now_ms: int) -> Between:
    """``-90m``, ``now`` or an RFC 3339 time, each. Raises Permanent, reason ``bad_time``."""
    low, high = instant(since, now_ms), instant(until, now_ms)
    if low >= high:
        raise Permanent("bad_time", f"since ({iso(low)}) must be before until ({iso(high)})")
    if high - low > MAX_SPAN_MS:
        raise Permanent("bad_time", f"a range has at most {MAX_SPAN_MS // SPANS['d']} days")
    return Between(low, high)


def instant(words: str, now_ms: int) -> int:
    """One end of a range, in ms. Raises Permanent, reason ``bad_time``."""
    if words == "now":
        return now_ms + 1000  # what arrives while the question is on its way belongs to now
    if found := re.fullmatch(r"-([0-9]{1,6})([smhdw])", words, re.ASCII):
        return max(1, now_ms - int(found[1]) * SPANS[found[2]])
    try:
        made = parse_iso(words)
    except (ValueError, OverflowError) as error:
        raise Permanent("bad_time", f"{words[:40]!r}: write -1h, now, or 2026-11-23T08:00:00Z") from error
    if not 0 <= made <= 4_102_444_800_000:
        raise Permanent("bad_time", f"{words[:40]!r}: a year from 1970 to 2099")
    return made


def step_of(span: Between, bars: int = 60) -> int:
    """The round step that gives about this many bars."""
    return next((s for s in STEPS_MS if span.span_ms / s <= bars), STEPS_MS[-1])


def histogram(
    services: Services, span: Between, where: Sequence[Condition] = (), kind: Kind = Kind.EVENT, bars: int = 60
) -> tuple[Bar, ...]:
    """Counts by time with a bar for every step, also the empty ones."""
    step = step_of(span, bars)
    rows = services.store.aggregate(
        Aggregate(span.since_ms, span.until_ms, tuple(where), kind, (ByTime(step),), limit=bars + 2)
    )
    counts = {int(row.keys[0]): int(row.values[0]) for row in rows}
    first = span.since_ms // step * step
    return tuple(Bar(at, counts.get(at, 0)) for at in range(first, span.until_ms, step))


def count(services: Services, span: Between, where: Sequence[Condition] = (), kind: Kind = Kind.EVENT) -> int:
    rows = services.store.aggregate(Aggregate(span.since_ms, span.until_ms, tuple(where), kind))
    return int(rows[0].values[0]) if rows else 0


def search(
    services: Services,
    span: Between,
    where: Sequence[Condition],
    kind: Kind = Kind.EVENT,
    limit: int = 50,
    after: str = "",
) -> tuple[tuple[Found, ...], str]:
    """A page, newest first, and the cursor of the next one."""
    page = services.store.search(Search(span.since_ms, span.until_ms, tuple(where), kind, limit=limit, after=after))
    return page.rows, page.after


def readable(doc: Event) -> dict[str, Any]:
    """A record for a program to read: times as RFC 3339, JSON fields as objects."""
    return {name: _readable(name, value) for name, value in sorted(doc.items())}


def _readable(name: str, value: Value) -> Any:
    field = BY_NAME.get(name)
    kind = field.type if field else None
    if kind is Type.DATE and isinstance(value, int) and moment(value):
        return iso(value)
    if kind is Type.JSON and isinstance(value, str) and len(value) < JSON_BOUND:
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            return value
    return value


def time_of(doc: Event) -> datetime.datetime | None:
    return moment(number(doc, "@timestamp"))


def summary(doc: Event, language: str) -> str:
    """One line that says what a record is about, from whatever it has."""
    chinese = language.startswith("zh")
    if line := text(doc, f"tengwang.check.summary.{'zh' if chinese else 'en'}"):
        return f"{text(doc, 'tengwang.check.subject')}: {line}"
    if doc.get("event.kind") == "alert":
        return text(doc, "tengwang.rule.name.zh" if chinese else "rule.name") or text(doc, "rule.name")
    if line := text(doc, "message") or text(doc, "tengwang.aside.detail"):
        return line
    if "source.ip" in doc or "destination.ip" in doc:
        ends = (_end(doc, "source"), _end(doc, "destination"))
        arrow = " → ".join(end for end in ends if end)
        kind = text(doc, "tengwang.ndp.type") or text(doc, "network.transport")
        octets = f" · {number(doc, 'network.bytes'):,} B" if "network.bytes" in doc else ""
        return f"{kind} {arrow}{octets}".strip()
    names = ("tengwang.interface.name", "tengwang.address.ip", "tengwang.route.prefix", "tengwang.neighbor.ip")
    parts = [text(doc, name) for name in ("observer.name", "host.name", *names, "tengwang.input.type")]
    parts.append(text(doc, "tengwang.input.state") or text(doc, "tengwang.interface.oper_status"))
    if doc.get("event.action") == "status":
        collected, acked = number(doc, "tengwang.ledger.collected"), number(doc, "tengwang.ledger.acked")
        parts += [f"{acked:,} / {collected:,}", f"{number(doc, 'process.memory.rss') / 1e6:.0f} MB"]
    return " · ".join(part for part in parts if part) or text(doc, "event.action")


def _end(doc: Event, side: str) -> str:
    ip, port = text(doc, f"{side}.ip"), text(doc, f"{side}.port")
    if not port:
        return ip
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
