from __future__ import annotations

import base64
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from agent.decoders import pcapng_writer
from agent.decoders.captures import records
from agent.evidence_ring import FOLDER, EvidenceRing
from agent.home import Home
from agent.order_evidence import TakeOut
from collector.response import packets
from collector.response.model import State
from telemetry.errors import Permanent
from telemetry.event import Event
from telemetry.order import EVIDENCE_DATASET, Action, Phase
from telemetry.validate import validate
from tests.collector.response.desk_of_orders import INTRUDER, Site

FRAME = bytes(6) + bytes.fromhex(INTRUDER.replace(":", "")) + b"\x86\xdd\x60\0\0\0\0\0\x3b\x40" + bytes(32)
ADVERTISED = pcapng_writer.section("x") + pcapng_writer.interface(1)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    made.enrol("switch", 1)
    made.enrol("probe", 2)
    made.ready("switch", "segment", Action.RECHECK)
    made.ready("probe", "host", Action.RECHECK, Action.EVIDENCE)
    made.clock.advance(10)
    made.alert("probe")
    return made


def carried_out(site: Site, folder: Path, name: str = "probe") -> None:
    """The agent does as it was told, with its real parts; what it emits is stored as its own."""
    home = Home(folder)
    home.make()
    ring = EvidenceRing(home.state / "packets" / FOLDER, 1 << 20, False, site.clock, site.report)
    for number in range(200):
        ring.add(site.incident().first_ms * 1_000_000 + number, 1, "eth0", FRAME, 60)
    ring.close()

    def emit(made: Event) -> None:
        given_ = validate(made)
        fields = {key: value for key, value in given_.items() if key not in ("@timestamp", "event.dataset")}
        site.say(name, str(given_["event.dataset"]), str(fields.pop("event.action")), **fields)

    (order,) = [one for one in site.orders_of("probe") if one.action is Action.EVIDENCE]
    site.responses.fetched(site.agents["probe"])
    effect = TakeOut(home, site.clock, emit)(order)
    kept = site.responses.book.get(order.id)
    said = {"event.reason": "measured", "message": effect.detail, "tengwang.order.packets": effect.packets}
    site.answer("probe", kept, Phase.APPLIED, **said)


def test_packets_that_a_person_asks_for_come_to_the_incident_with_who_asked_on_record(
    site: Site, tmp_path: Path
) -> None:
    asked = site.responses.fetch(site.incident().id, "wang")
    assert (asked.agent_name, asked.state, asked.decided_by) == ("probe", State.APPROVED, "wang")
    with pytest.raises(Permanent, match="not_found: 0 parts"):
        site.responses.packets(asked.id, "wang")
    carried_out(site, tmp_path / "host")
    site.step(5)
    view, data = site.responses.packets(asked.id, "li")
    assert (view.state, view.detail.split(",")[0]) == (State.EFFECTIVE, "200 packets")
    found = list(records([data]))
    assert {record.frame for record in found} == {FRAME}
    assert len(found) == 200
    assert b"wang at the collector" in data
    assert [doc["user.name"] for doc in site.audited("order-approved")] == ["wang"]
    assert [doc["user.name"] for doc in site.audited("packets-read")] == ["li"]
    assert any(entry.data.get("action") == "evidence" for entry in site.entries("order"))


def test_another_agents_packets_are_not_believed(site: Site, tmp_path: Path) -> None:
    asked = site.responses.fetch(site.incident().id, "wang")
    carried_out(site, tmp_path / "host", name="switch")
    with pytest.raises(Permanent, match="not_found: 0 parts"):
        site.responses.packets(asked.id, "wang")


def test_the_moment_may_be_named_and_it_may_be_asked_again_but_not_without_end(site: Site) -> None:
    incident = site.incident()
    site.responses.fetch(incident.id, "wang", incident.first_ms - 5000, 300)
    (order,) = site.orders_of("probe")
    assert (order.around_ms, order.seconds, order.mac) == (incident.first_ms - 5000, 300, INTRUDER)
    assert order.approved_by == "wang"
    for _ in range(19):
        site.responses.fetch(incident.id, "wang")
    with pytest.raises(Permanent, match="too_many"):
        site.responses.fetch(incident.id, "wang")


def test_where_nobody_may_send_packets_it_is_said(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.enrol("probe", 2)
    site.ready("probe", "host", Action.RECHECK)
    site.alert("probe")
    with pytest.raises(Permanent, match="no_agent"):
        site.responses.fetch(site.incident().id, "wang")
    with pytest.raises(Permanent, match="unknown_incident"):
        site.responses.fetch("nothing", "wang")


def part(number: object, count: object, data: object) -> Event:
    made: dict[str, object] = {
        "event.dataset": EVIDENCE_DATASET,
        "tengwang.evidence.part": number,
        "tengwang.evidence.parts": count,
        "tengwang.evidence.data": data,
    }
    return made  # type: ignore[return-value]


NUMBERS = st.integers(-1, 4)


@given(st.lists(st.builds(part, NUMBERS, NUMBERS, st.text(max_size=30) | st.just("KLUv/SAA")), max_size=4))
def test_any_parts_give_a_pcapng_or_permanent(docs: list[Event]) -> None:
    with pytest.raises(Permanent, match="not_found"):
        packets.joined(docs)


def test_a_bomb_is_not_unfolded() -> None:
    def unfolded(size: int) -> bytes:
        packed = zstandard.compress(ADVERTISED + bytes(size - len(ADVERTISED)))
        return packets.joined([part(1, 1, base64.b64encode(packed).decode())])

    assert len(unfolded(packets.MAX_UNPACKED)) == packets.MAX_UNPACKED
    with pytest.raises(Permanent, match="not_found"):
        unfolded(packets.MAX_UNPACKED + 1)
