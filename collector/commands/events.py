"""Search what is stored, newest first; the same words as in the console's search line.

  tengwang events                                    the newest hundred
  tengwang events dataset:tengwang.flow src:2001:db8::/32 port:443
  tengwang events --since 1d --kind alerts level:high
  tengwang events --follow dataset:tengwang.ndp      as they come, until Ctrl-C
  tengwang events --json --limit 100000 > events.ndjson

Kinds: events, alerts, aside (what was refused, and why), audit (who did what).
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from collector.attached import add_home
from collector.duration import seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.query import Condition, Kind
    from collector.services import Services
    from collector.store import Found
    from telemetry.event import Event

HELP = "search the stored events, alerts, set-aside and audit records"
PAGE = 1000
FOLLOW_S = 1.0
LATE_MS = 60_000
"""Following looks back so far each time, for events that come late."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("query", nargs="*", help="terms that must all hold: field:value, src:PREFIX, -term, text")
    parser.add_argument("--kind", choices=("events", "alerts", "aside", "audit"), default="events")
    parser.add_argument("--since", type=seconds, default=3600, metavar="LENGTH", help="how far back: 15m, 7d (1h)")
    parser.add_argument("--until", type=seconds, default=0, metavar="LENGTH", help="up to how long ago (now)")
    parser.add_argument("--limit", type=int, default=100, help="how many at most (100)")
    parser.add_argument("--follow", action="store_true", help="go on with what comes in")
    parser.add_argument("--json", action="store_true", help="whole records, a JSON object a line")
    add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    from collector.attached import services
    from collector.query import Kind
    from collector.search_text import parse

    where = parse(" ".join(arguments.query))
    kind = Kind(arguments.kind)
    with services(arguments) as parts:
        rows = _newest(parts, where, kind, arguments)
        for found in reversed(rows) if arguments.follow else rows:
            _show(found.doc, arguments.json)
        if not rows and not arguments.follow:
            print("nothing found; --since looks further back", file=sys.stderr)
        if arguments.follow:
            _follow(parts, where, kind, {found.id for found in rows}, arguments.json)
    return 0


def _newest(parts: Services, where: Sequence[Condition], kind: Kind, arguments: argparse.Namespace) -> list[Found]:
    from collector.query import Search

    now = parts.clock.now_ms()
    rows: list[Found] = []
    after = ""
    while len(rows) < arguments.limit:
        wanted = min(PAGE, arguments.limit - len(rows))
        since, until = now - arguments.since * 1000, now - arguments.until * 1000 + 1
        page = parts.store.search(Search(since, until, tuple(where), kind, wanted, after=after))
        rows.extend(page.rows)
        after = page.after
        if not after:
            break
        if len(rows) % (10 * PAGE) == 0 and sys.stderr.isatty():
            print(f"{len(rows)} read ...", end="\r", file=sys.stderr)
    return rows


def _follow(parts: Services, where: Sequence[Condition], kind: Kind, shown: set[str], as_json: bool) -> None:
    """Asks again every second for the last minute, and shows what was not shown yet."""
    import time

    from collector.query import Search

    while True:
        time.sleep(FOLLOW_S)
        now = parts.clock.now_ms()
        page = parts.store.search(Search(now - LATE_MS, now + LATE_MS, tuple(where), kind, PAGE))
        for found in reversed(page.rows):
            if found.id not in shown:
                _show(found.doc, as_json)
        shown = {found.id for found in page.rows} | (shown if len(shown) < 10 * PAGE else set())
        sys.stdout.flush()


def _show(doc: Event, as_json: bool) -> None:
    import msgspec

    from telemetry.clock import iso

    if as_json:
        print(msgspec.json.encode(doc).decode())
        return
    at = doc.get("@timestamp")
    time_ = iso(at) if isinstance(at, int) else ""
    told = [
        str(doc[name])
        for name in ("event.severity", "event.dataset", "event.action", "event.outcome", "rule.name", "user.name")
        if name in doc
    ]
    skip = {"@timestamp", "event.id", "event.ingested", "event.kind", "event.dataset", "event.action", "event.outcome"}
    rest = "  ".join(
        f"{name}={value}"
        for name, value in sorted(doc.items())
        if name not in skip
        and not name.startswith(("agent.", "tengwang.agent.", "tengwang.unit.", "tengwang.owner."))
        and len(str(value)) <= 80
    )
    print(f"{time_}  {doc.get('agent.name', '-')}  {' '.join(told)}  {rest}")
