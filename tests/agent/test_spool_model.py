"""The spool against a model, with crashes, power loss, bit flips and a full disk at any moment.

The model is the collector: it knows what was delivered, and which ranges ``dropped`` events told of. Whatever happens,
in the end every record that ``append`` accepted is delivered with its content, or told of as dropped.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.spool import LANES, Chunk, Spool
from telemetry.clock import ManualClock
from telemetry.errors import Transient
from telemetry.event import Priority
from telemetry.intervals import Intervals
from telemetry.report import Report
from tests.agent.faulty_disk import FaultyDisk, Killed

FOLDER = Path("/nonexistent/spool")
PRIORITIES = st.sampled_from(list(Priority))
ROOM = 200_000


class SpoolModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.accepted: dict[tuple[int, int], bytes] = {}
        self.unfinished: dict[tuple[int, int], bytes] = {}
        self.delivered: dict[tuple[int, int], bytes] = {}
        self.told: dict[int, Intervals] = {}
        self.reasons: set[str] = set()
        self.flips = self.crashes = self.number = 0
        self.filled = False
        self.boot = 0
        self.max_bytes = 1 << 30

    @initialize(seed=st.integers(0, 2**32), small=st.booleans())
    def begin(self, seed: int, small: bool) -> None:
        self.disk = FaultyDisk(seed)
        if small:
            self.max_bytes = 60_000
        self.spool = self.open()

    def open(self) -> Spool:
        while True:
            try:
                spool = Spool(
                    FOLDER, self.clock, Report(self.clock), disk=self.disk,
                    max_bytes=self.max_bytes, max_age=1000, page_bytes=6_000,
                )  # fmt: skip
            except Killed:
                self.disk.lose_power()
            else:
                assert spool.boot > self.boot, "epochs rise"
                self.boot = spool.boot
                return spool

    def restart(self) -> None:
        self.crashes += 1
        self.disk.fuse = 0
        self.spool = self.open()

    @rule(priority=PRIORITIES, count=st.integers(1, 30), size=st.integers(0, 300), pressing=st.booleans())
    def append(self, priority: Priority, count: int, size: int, pressing: bool) -> None:
        records = [b'{"n":%d,"x":"%s"}' % (self.number + i, b"x" * size) for i in range(count)]
        self.number += count
        self._append(priority, records, pressing)

    def _append(self, priority: Priority, records: list[bytes], pressing: bool) -> tuple[int, int] | None:
        epoch = self.boot * LANES + priority
        next_sequence = 1 + next((row.collected for row in self.spool.account().epochs if row.epoch == epoch), 0)
        try:
            epoch, first, last = self.spool.append(priority, records, pressing)
        except Transient:
            assert not pressing
            assert self.filled
            return None
        except Killed:
            self.unfinished |= {(epoch, next_sequence + i): record for i, record in enumerate(records)}
            self.disk.lose_power()
            self.restart()
            return None
        assert (first, last) == (next_sequence, next_sequence + len(records) - 1), "sequences have no gap"
        self.accepted |= {(epoch, first + i): record for i, record in enumerate(records)}
        return epoch, first

    @rule(bulk=st.booleans(), part=st.floats(0, 1), outcome=st.sampled_from(["ack", "lost", "partial", "refuse"]))
    def send(self, bulk: bool, part: float, outcome: str) -> None:
        try:
            chunk = self.spool.read(20, 3_000, bulk)
            if chunk is None:
                return
            again = self.spool.read(20, 3_000, bulk)
            assert again == chunk, "the same until it is acked"
            cut = len(chunk.records) if outcome in ("ack", "lost") else int(part * len(chunk.records))
            if outcome != "lost":
                refused = chunk.records[cut:][:1] if outcome == "refuse" else []
                refused = [r for r in refused if (chunk.epoch, r[0]) not in self.delivered]  # a collector has it: 200
                self._deliver(msgspec.structs.replace(chunk, records=chunk.records[:cut]))
                if cut:
                    self.spool.ack(chunk.epoch, [(s, s) for s, _ in chunk.records[:cut]])
                for sequence, _ in refused:
                    self.spool.refuse(chunk.epoch, sequence)
            else:
                self._deliver(chunk)
                self.spool.sent(chunk.epoch, chunk.records[-1][0])
            self.spool.put_back()
        except Killed:
            self.disk.lose_power()
            self.restart()

    def _deliver(self, chunk: Chunk) -> None:
        assert [s for s, _ in chunk.records] == sorted({s for s, _ in chunk.records}), "sequences rise in a batch"
        for sequence, record in chunk.records:
            key = (chunk.epoch, sequence)
            expected = self.accepted.get(key) or self.unfinished.get(key)
            assert record == expected, "what comes out is what went in"
            self.delivered[key] = record
            if record.startswith(b'{"drop"'):
                epoch, first, last, reason = msgspec.json.decode(record)["drop"]
                self.told.setdefault(epoch, Intervals()).add(first, last)
                self.reasons.add(reason)

    @rule()
    def report_drops(self) -> None:
        try:
            drops = self.spool.unreported()
            if drops:
                texts = [msgspec.json.encode({"drop": (d.epoch, d.first, d.last, d.reason)}) for d in drops]
                if place := self._append(Priority.LEDGER, texts, pressing=False):
                    self.spool.reported(drops, *place)
        except Killed:
            self.disk.lose_power()
            self.restart()

    @rule(seconds=st.sampled_from([0.5, 7, 90, 600]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)
        try:
            self.spool.maintain()
        except Killed:
            self.disk.lose_power()
            self.restart()

    @rule(days=st.integers(-400, 400))
    def clock_jumps(self, days: int) -> None:
        self.clock.ms += days * 86_400_000

    @rule(changes=st.integers(1, 12))
    def will_be_killed(self, changes: int) -> None:
        self.disk.fuse = changes

    @rule()
    def killed(self) -> None:
        self.restart()

    @rule()
    def power_lost(self) -> None:
        self.disk.lose_power()
        self.restart()

    @rule()
    def closed_and_started(self) -> None:
        try:
            self.spool.close()
        except Killed:
            self.disk.lose_power()
        self.disk.fuse = 0
        self.spool = self.open()

    @rule()
    def bit_flips(self) -> None:
        """One a file: against several in one frame there is no help."""
        self.flips += self.disk.flip(".page")

    @rule(which=st.sampled_from([".0", ".1"]))
    def ledger_is_damaged(self, which: str) -> None:
        self.disk.flip(which)
        self.restart()

    @rule(room=st.integers(0, 3_000))
    def disk_fills(self, room: int) -> None:
        self.disk.capacity = self.disk.used + room
        self.filled = True

    @precondition(lambda self: self.filled)
    @rule()
    def disk_has_room(self) -> None:
        self.disk.capacity = 1 << 40

    @invariant()
    def the_ledger_adds_up(self) -> None:
        if not hasattr(self, "spool"):
            return
        account = self.spool.account()
        assert account.collected == account.acked + account.spooled + sum(account.dropped.values())
        assert account.spooled == sum(account.waiting.values())
        assert account.bytes <= self.max_bytes

    def teardown(self) -> None:
        if not hasattr(self, "spool"):
            return
        self.disk.fuse = 0
        self.disk.capacity = 1 << 40
        for _ in range(10_000):
            if chunk := self.spool.read(1000, 100_000):
                self._deliver(chunk)
                self.spool.ack(chunk.epoch, [(s, s) for s, _ in chunk.records])
            elif self.spool.unreported():
                self.report_drops()
            else:
                break
        account = self.spool.account()
        assert account.spooled == 0
        for (epoch, sequence), record in self.accepted.items():
            if (epoch, sequence) not in self.delivered:
                assert sequence in self.told.get(epoch, Intervals()), f"lost and untold: {epoch} {sequence} {record!r}"
        if not self.flips:
            assert "corrupt" not in self.reasons, "neither a crash nor a full disk damages anything"
        if not self.filled:
            assert "disk_full" not in self.reasons
        if not self.flips and not self.crashes:
            doubled = [key for key in self.delivered if key[1] in self.told.get(key[0], Intervals())]
            assert doubled == [], "what may be stored is not dropped"
        self.spool.close()
        left = [path.name for path in self.disk.files if path.name.endswith(".page")]
        assert len(left) <= len(Priority), "pages that are done with are gone"


SpoolModel.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
test_the_spool_keeps_its_promise = SpoolModel.TestCase
