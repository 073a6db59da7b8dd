"""``/metrics`` of the collector: what it counted, and the state of store, agents and ledgers at this moment."""

from __future__ import annotations

from collector.ledger import drop_counts
from collector.services import Services
from telemetry.errors import Transient
from telemetry.metrics import CONTENT_TYPE, expose

SILENT_MS = 60_000


def render(services: Services) -> tuple[bytes, str]:
    """Body and content type. Blocks on the store; where that is away, its numbers are the last ones known."""
    report = services.report
    health = services.standing.health
    report.gauge("tengwang_store_records", health.records)
    report.gauge("tengwang_store_bytes", health.bytes)
    _ledgers(services)
    try:
        _agents(services)
    except Transient:
        report.gauge("tengwang_store_writable", 0)
    return expose(report.series()), CONTENT_TYPE


def _agents(services: Services) -> None:
    now = services.clock.now_ms()
    states = dict.fromkeys(("active", "silent", "revoked"), 0)
    for agent in services.registry.agents():
        silent = now - agent.last_seen_ms > SILENT_MS
        states["revoked" if agent.revoked else "silent" if silent else "active"] += 1
    for state, count in states.items():
        services.report.gauge("tengwang_agents", count, state=state)


def _ledgers(services: Services) -> None:
    """Sums over all agents, so the number of series does not grow with them."""
    accounts = services.ledgers.accounts()
    report = services.report
    report.gauge("tengwang_ledger_collected", sum(a.collected for a in accounts))
    report.gauge("tengwang_ledger_stored", sum(a.stored for a in accounts))
    report.gauge("tengwang_ledger_spooled", sum(a.spooled for a in accounts))
    report.gauge("tengwang_ledger_missing", sum(a.missing for a in accounts))
    dropped: dict[str, int] = {}
    for account in accounts:
        for reason, count in drop_counts(account).items():
            dropped[reason] = dropped.get(reason, 0) + count
    for reason, count in dropped.items():
        report.gauge("tengwang_ledger_dropped", count, reason=reason)
