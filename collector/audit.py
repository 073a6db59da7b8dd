"""Who did what, and how it went: audit records, kept in the store as their own kind."""

from __future__ import annotations

import asyncio
import collections
import secrets
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from collector.query import Kind
from collector.store import Record, Store
from telemetry.clock import Clock
from telemetry.event import Event, Value, canonical_ip, event
from telemetry.report import Report

if TYPE_CHECKING:
    from collector.services import Services

AGAIN_S = 600.0
PER_MINUTE = 60
MAX_KNOWN = 4096


class Trail:
    """Writes audit records. What could not be written for want of a store is logged and counted."""

    def __init__(self, store: Store, clock: Clock, report: Report) -> None:
        self._store = store
        self._clock = clock
        self._report = report
        self._lock = threading.Lock()
        self._known: collections.OrderedDict[tuple[str, ...], float] = collections.OrderedDict()
        self._recent: collections.deque[float] = collections.deque()

    def refusal(self, action: str, reason: str, **fields: str) -> None:
        """A refused outsider. The same one is written once in ten minutes, all together a few times a minute.

        So nobody can fill the disk by knocking at the door; the counter has the true number.
        """
        self._report.count("tengwang_refused_total", reason=reason)
        now = self._clock.monotonic()
        key = (action, reason, fields.get("agent", ""), fields.get("client", ""))
        with self._lock:
            while self._known and now - next(iter(self._known.values())) > AGAIN_S:
                self._known.popitem(last=False)
            while self._recent and now - self._recent[0] > 60:
                self._recent.popleft()
            if key in self._known or len(self._recent) >= PER_MINUTE:
                return
            self._known[key] = now
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
            self._recent.append(now)
        self.write(action, "failure", reason=reason, **fields)

    def write(
        self,
        action: str,
        outcome: str,
        *,
        user: str = "",
        roles: Sequence[str] = (),
        client: str = "",
        method: str = "",
        path: str = "",
        message: str = "",
        reason: str = "",
        agent: str = "",
        unit: str = "",
    ) -> None:
        """Blocks on the store; never raises. ``outcome`` is success or failure."""
        now = self._clock.now_ms()
        doc: Event = event(now, "tengwang.audit", action)
        texts: dict[str, Value] = {
            "user.name": user[:256],
            "http.request.method": method[:32],
            "url.path": path[:1024],
            "message": message[:4096],
            "event.reason": reason[:256],
            "agent.id": agent[:256],
            "tengwang.unit.id": unit[:256],
        }
        doc.update({name: value for name, value in texts.items() if value})
        if roles:
            doc["user.roles"] = list(roles)
        if client:
            doc["client.ip"] = _address(client)
        doc["event.outcome"] = outcome
        doc["event.ingested"] = now
        name = f"{now:x}-{secrets.token_hex(8)}"
        doc["event.id"] = name
        try:
            self._store.write([Record(Kind.AUDIT, name, doc)])
        except Exception as error:  # noqa: BLE001 - what is audited must not fail for want of an audit
            self._report.count("tengwang_audit_lost_total")
            self._report.error(
                "audit", f"not written ({error}): {action} {outcome} {user or agent} {client}: {message}"
            )


def _address(client: str) -> str:
    try:
        return canonical_ip(client)
    except ValueError:
        return "::"


async def record(
    services: Services,
    *,
    action: str,
    outcome: str,
    user: str = "",
    roles: Sequence[str] = (),
    client: str = "",
    method: str = "",
    path: str = "",
    message: str = "",
) -> None:
    """One audit record of a request to console or API."""
    trail = Trail(services.store, services.clock, services.report)
    await asyncio.to_thread(
        trail.write, action, outcome, user=user, roles=roles, client=client, method=method, path=path, message=message
    )
