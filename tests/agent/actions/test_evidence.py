"""evidence: the packets of the ring that an order asks for are told in parts, and who asked is on record."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path

import msgspec
import pytest
import zstandard

from agent.action import ActionContext
from agent.actions import evidence
from agent.decoders.captures import records
from agent.decoders.pcap import Record
from agent.evidence_ring import FOLDER, EvidenceRing
from agent.fence import Effect, Fence
from agent.home import Home
from agent.nft import Nft
from agent.order_evidence import TakeOut
from agent.order_policy import Actions, Own, check
from agent.remeasure import Remeasure
from telemetry.clock import ManualClock
from telemetry.errors import Permanent
from telemetry.event import Event
from telemetry.order import EVIDENCE_DATASET, MAX_EVIDENCE, Action, Order
from telemetry.report import Report
from telemetry.validate import validate
from telemetry.work import Work
from tests.agent.actions.lan import order

START = 1_790_000_000
MAC = "02:00:00:00:00:66"
FRAME = bytes(6) + bytes.fromhex(MAC.replace(":", "")) + b"\x86\xdd\x60\0\0\0\0\0\x3b\x40" + bytes(32)


def wanted(**changes: object) -> Order:
    given = {"mac": MAC, "around_ms": START * 1000, "seconds": 60, "incident": "i1", "approved_by": "wang"}
    return msgspec.structs.replace(order(Action.EVIDENCE), **(given | changes))


class Host:
    """An agent with a ring, and what it told."""

    def __init__(self, folder: Path) -> None:
        self.home, self.clock = Home(folder), ManualClock()
        self.home.make()
        self.report = Report(self.clock)
        self.told: list[Event] = []

    def keep(self, frames: list[bytes], payload: bool = True) -> None:
        ring = EvidenceRing(self.home.state / "packets" / FOLDER, 64 << 20, payload, self.clock, self.report)
        for number, frame in enumerate(frames):
            ring.add(START * 10**9 + number, 1, "eth0", frame, len(frame))
        ring.close()

    def act(self, asked: Order) -> Effect:
        fence = Fence(Nft(), lambda: pytest.fail("no rule is looked at"), self.clock.now_ms)
        measure = Remeasure((), self.home, self.clock, self.report, self.told.append, Work)
        context = ActionContext(fence, measure, TakeOut(self.home, self.clock, self.told.append))
        return evidence.build(evidence.Config(), context).act(asked)

    def packets(self) -> list[Record]:
        for made in self.told:
            validate(made)
        data = b"".join(base64.b64decode(str(made["tengwang.evidence.data"])) for made in self.told)
        assert len(data) <= MAX_EVIDENCE
        return list(records([zstandard.decompress(data, 64 << 20)]))


def test_the_packets_around_the_moment_are_told_and_who_asked_is_on_record(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.keep([FRAME, bytes(60), FRAME])
    effect = host.act(asked := wanted())
    assert [record.frame for record in host.packets()] == [FRAME, FRAME]
    assert (effect.packets, effect.detail.split(",")[0]) == (2, "2 packets")
    (made,) = host.told
    assert made["event.dataset"] == EVIDENCE_DATASET
    assert (made["tengwang.order.id"], made["tengwang.incident.id"]) == (asked.id, "i1")
    (line,) = (tmp_path / "evidence.jsonl").read_text().splitlines()
    said = json.loads(line)
    assert (said["by"], said["why"]) == ("wang at the collector", f"incident i1, order {asked.id}")


def test_much_is_told_in_parts_within_the_bound(tmp_path: Path) -> None:
    host, random_ = Host(tmp_path), random.Random(3)
    host.keep([FRAME + random_.randbytes(1000) for _ in range(5000)])
    effect = host.act(wanted())
    assert sum(len(str(made["tengwang.evidence.data"])) for made in host.told) * 3 // 4 > MAX_EVIDENCE // 2
    assert [made["tengwang.evidence.part"] for made in host.told] == list(range(1, len(host.told) + 1))
    assert {made["tengwang.evidence.parts"] for made in host.told} == {len(host.told)}
    found = host.packets()
    assert effect.packets == len(found)
    assert f"{5000 - len(found)} left out" in effect.detail


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    host = Host(tmp_path)
    with pytest.raises(Permanent, match="no_ring"):
        host.act(wanted())
    host.keep([FRAME])
    with pytest.raises(Permanent, match="no_packets"):
        host.act(wanted(mac="02:00:00:00:00:01"))
    with pytest.raises(Permanent, match="no_packets"):
        host.act(wanted(around_ms=(START + 3600) * 1000))
    assert len((tmp_path / "evidence.jsonl").read_text().splitlines()) == 2, "who found nothing asked too"
    assert not host.told


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"mac": ""}, ""),
        ({"mac": "", "address": "2001:db8::1"}, ""),
        ({"mac": "all"}, "bad_target"),
        ({"address": "2001:DB8::1"}, "bad_target"),
        ({"seconds": 0}, "bad_target"),
        ({"seconds": 3601}, "bad_target"),
        ({"around_ms": 0}, "bad_target"),
        ({"around_ms": 1 << 50}, "bad_target"),
    ],
)
def test_the_hosts_own_policy_has_the_last_word(changes: dict[str, object], reason: str) -> None:
    asked = wanted(**changes)
    with pytest.raises(Permanent, match="not_allowed"):
        check(asked, asked.agent, Actions(), Own, 0, asked.issued_ms)
    allowed = Actions(allow=(Action.EVIDENCE,))
    if reason:
        with pytest.raises(Permanent, match=reason):
            check(asked, asked.agent, allowed, Own, 0, asked.issued_ms)
    else:
        check(asked, asked.agent, allowed, Own, 0, asked.issued_ms)
