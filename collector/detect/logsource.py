"""Which events a Sigma log source means. A log source that no agent of ours sends makes a rule idle, not wrong."""

from __future__ import annotations

from typing import NamedTuple


class Source(NamedTuple):
    """One kind of events, as a rule names it. Fields have their ECS names (telemetry/fields.py)."""

    category: str
    service: str
    dataset: str


PRODUCT = "tengwang"
SOURCES = (
    Source("network", "flow", "tengwang.flow"),
    Source("network", "exporter", "tengwang.exporter"),
    Source("network", "ndp", "tengwang.ndp"),
    Source("network", "ra", "tengwang.ndp"),
    Source("network", "arp", "tengwang.arp"),
    Source("network", "dhcp", "tengwang.dhcp"),
    Source("network", "dhcpv6", "tengwang.dhcp"),
    Source("network", "dns", "tengwang.dns"),
    Source("network", "sources", "tengwang.sources"),
    Source("network", "terminals", "tengwang.terminals"),
    Source("network", "snmp", "tengwang.snmp"),
    Source("network", "readiness", "tengwang.readiness"),
    Source("network", "agent", "tengwang.agent"),
    Source("response", "response", "tengwang.response"),
    Source("device", "snmp", "tengwang.snmp"),
    Source("device", "host", "tengwang.host"),
    Source("readiness", "readiness", "tengwang.readiness"),
    Source("agent", "agent", "tengwang.agent"),
)


def datasets(category: str | None, product: str | None, service: str | None) -> frozenset[str]:
    """The datasets that a log source means; what it leaves out may be anything. Empty: none that is measured here."""
    if product != PRODUCT:
        return frozenset()
    return frozenset(
        source.dataset
        for source in SOURCES
        if category in (None, source.category) and service in (None, source.service)
    )
