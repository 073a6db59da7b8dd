"""Everything that tells people, made together: duty, links, pages, their channels, and the dead man's switch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from collector.ca import Authority
from collector.config import CollectorConfig, address
from collector.dead_man import DeadMan
from collector.duty import Duty
from collector.feed import Feed
from collector.incidents.desk import Desk
from collector.inventory_index import Indexed
from collector.notifier import NotifierContext
from collector.outbox import Outbox
from collector.page import Page
from collector.pager import Pager, entry_of, recipient, still_needed
from collector.signed_link import Links
from collector.store import Store
from collector.ways import make_ways
from telemetry.clock import Clock
from telemetry.report import Report

LINKS = "links in pages"
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Paging:
    """``pager.page`` tells somebody; ``outbox`` has what became of it; ``duty`` says who is on call."""

    duty: Duty
    links: Links
    outbox: Outbox
    pager: Pager
    dead_man: DeadMan


def make_paging(
    *,
    config: CollectorConfig,
    store: Store,
    clock: Clock,
    report: Report,
    authority: Authority,
    inventory: Callable[[], Indexed],
    desk: Desk,
    feed: Feed,
    collector_id: str,
    changed: Callable[[], None],
) -> Paging:
    """Nothing runs yet, and no notifier is made yet: see ``add_channels``."""
    options = config.paging

    def needed(page: Page) -> bool:
        return still_needed(page, desk.get(page.incident), clock.now_ms())

    def settled(page: Page) -> None:
        desk.append(page.incident, entry_of(page, clock.now_ms()))

    outbox = Outbox(
        store=store,
        clock=clock,
        report=report,
        collector_id=collector_id,
        recipient=lambda person: recipient(inventory(), person),
        give_up_ms=options.give_up_s * 1000,
        needed=needed,
        settled=settled,
        changed=changed,
    )
    links = Links(store, clock, authority.derived(LINKS), int(options.link_hours * HOUR_MS))
    return Paging(
        duty=Duty(store, inventory, clock, report),
        links=links,
        outbox=outbox,
        pager=Pager(outbox, links, inventory, clock, lambda: base_url(config)),
        dead_man=DeadMan(outbox, store, feed, clock, report, options.alarm_s * 1000, changed),
    )


def add_channels(paging: Paging, config: CollectorConfig, home: Path, clock: Clock, report: Report) -> None:
    """Make the configured notifiers. Raises ConfigError, MissingExtra."""
    context = NotifierContext(home, clock, report, paging.outbox.receipt)
    paging.outbox.use(make_ways(config, context))


def base_url(config: CollectorConfig) -> str:
    """How people reach the console: as configured, else by the address that it listens on."""
    if config.paging.base_url:
        return config.paging.base_url.rstrip("/")
    first = address(config.console.listen[0])
    return f"{'https' if config.console.tls else 'http'}://{first}"
