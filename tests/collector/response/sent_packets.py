"""An order for packets that an agent has carried out, made by hand."""

from __future__ import annotations

import base64

import msgspec
import zstandard

from agent.decoders import pcapng_writer
from collector.query import Kind
from collector.response.model import Proposal, Reports, State
from collector.store import Record
from telemetry.event import event
from telemetry.order import EVIDENCE_DATASET, Action, Scope
from telemetry.verdict import Text
from tests.running_site import RunningSite

PACKETS = (
    pcapng_writer.section("agent") + pcapng_writer.interface(1, "eth0") + pcapng_writer.packet(0, 5, bytes(60), 60)
)


def sent(site: RunningSite, incident: str) -> str:
    """The order's id."""
    responses, now = site.services.responses, site.clock.now_ms()
    proposal = Proposal(
        playbook="", title=Text("调取证据报文", "Fetch the packets"), action=Action.EVIDENCE, agent="a1",
        scope=Scope.HOST, around_ms=now, seconds=60, ttl_ms=600_000, begin_ms=600_000,
    )  # fmt: skip
    kept = responses.keep(incident, proposal)
    assert kept is not None
    responses.approve(kept.id, "wang")
    reports = Reports(applied_ms=now, reported_ms=now, packets=1, detail="1 packets")
    responses.book.change(
        kept.id, lambda before: msgspec.structs.replace(before, state=State.EFFECTIVE, reports=reports)
    )
    packed = zstandard.compress(PACKETS)
    parts = [packed[: len(packed) // 2], packed[len(packed) // 2 :]]
    for number, part in enumerate(parts, 1):
        made = event(now, EVIDENCE_DATASET, "packets") | {
            "agent.id": "a1",
            "tengwang.order.id": kept.id,
            "tengwang.evidence.part": number,
            "tengwang.evidence.parts": len(parts),
            "tengwang.evidence.data": base64.b64encode(part).decode(),
        }
        site.services.store.write([Record(Kind.EVENT, f"part-{number}", made)])
    return kept.id
