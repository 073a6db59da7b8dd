"""The way of a batch behind the receiver: decode -> validate -> enrich -> detect -> store -> ledger -> acknowledge.

One worker thread does all of it. It takes what has come in since the last time, over all agents, and stores it
together: one commit for a group, so the more is waiting the cheaper each event is. The queue is bounded in bytes; the
receiver answers 429 where it is full. A batch is answered only after its events, alerts, set-aside records **and** the
ledger are durable. Where the store can not take it, everything waiting is refused with 503, and the agents keep it.
"""

from __future__ import annotations

import asyncio
import collections
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from collector import aside
from collector.clock_notes import ClockNotes
from collector.feed import Feed
from collector.intake import Intake, Taken
from collector.judge import Judge
from collector.ledger import Ledgers
from collector.live import Live
from collector.query import Kind
from collector.registry import AgentRecord
from collector.standing import Standing
from collector.store import Record, Store, Written
from telemetry import wire
from telemetry.clock import Clock
from telemetry.errors import Permanent, Transient
from telemetry.report import Report

GROUP_BYTES = 2 * 2**20
"""Compressed; what is expanded in memory at once is bounded by one batch more than this."""
MAX_WAITING = 10_000
BODIES_KEPT = 10
BODIES_WINDOW_S = 600.0
TOPIC_OF_DATASET = {
    "tengwang.agent": "agents",
    "tengwang.readiness": "readiness",
    "tengwang.snmp": "devices",
    "tengwang.host": "devices",
}


class Full(Exception):
    """The queue has no room: try again in a moment."""


class Answer:
    """Where the fate of one batch is told; ``outcome`` may be set from any thread, once."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[wire.Ack] = self._loop.create_future()

    async def wait(self) -> wire.Ack:
        """Raises Permanent or Transient."""
        return await self._future

    def tell(self, outcome: wire.Ack | Exception) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, outcome)

    def _tell(self, outcome: wire.Ack | Exception) -> None:
        if self._future.done():
            return
        if isinstance(outcome, wire.Ack):
            self._future.set_result(outcome)
        else:
            self._future.set_exception(outcome)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request body. ``count`` is what its header promises."""

    agent: AgentRecord
    body: bytes
    count: int
    received_ms: int
    answer: Answer


class Pipeline:
    """``start`` and ``stop`` once; ``offer`` from the event loop; ``process`` is what the worker thread does."""

    def __init__(
        self,
        *,
        store: Store,
        standing: Standing,
        intake: Intake,
        judge: Judge,
        ledgers: Ledgers,
        live: Live,
        feed: Feed,
        clock_notes: ClockNotes,
        clock: Clock,
        report: Report,
        queue_bytes: int,
        group_records: int,
        heard: Callable[[str, str], None],
    ) -> None:
        self._store = store
        self._standing = standing
        self._intake = intake
        self._judge = judge.judge
        self._ledgers = ledgers
        self._live = live
        self._feed = feed
        self._clock_notes = clock_notes
        self._clock = clock
        self._report = report
        self._queue_bytes = queue_bytes
        self._group_records = group_records
        self._heard = heard
        """Told of the program version that an agent says it has."""
        self._queue: collections.deque[Delivery] = collections.deque()
        self._waiting = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._bodies: collections.deque[float] = collections.deque(maxlen=BODIES_KEPT)
        self._thread = threading.Thread(target=self._work, name="pipeline", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finish what is queued, then end. Blocks."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def waiting_bytes(self) -> int:
        return self._waiting

    def room(self, size: int) -> bool:
        """Would a body of this size be taken now? An empty queue takes any."""
        return (
            not self._stopping
            and len(self._queue) < MAX_WAITING
            and (not self._waiting or self._waiting + size <= self._queue_bytes)
        )

    def offer(self, delivery: Delivery) -> None:
        """Queue a batch. Raises Full, or Transient while the store is down."""
        if not self._standing.writable:
            raise Transient(self._standing.health.detail)
        with self._changed:
            if not self.room(len(delivery.body)):
                raise Full
            self._queue.append(delivery)
            self._waiting += len(delivery.body)
            self._changed.notify()

    def _work(self) -> None:
        while True:
            group = self._next_group()
            if group is None:
                return
            if group:
                try:
                    self.process(group)
                except Exception as error:  # noqa: BLE001 - the program never ends because of what it was sent
                    self._report.count("tengwang_pipeline_errors_total")
                    self._report.error("pipeline", f"{type(error).__name__}: {error}")
                    for delivery in group:
                        delivery.answer.tell(Transient("an internal error was logged on the collector"))
            if not self._standing.writable:
                self._recover()

    def _next_group(self) -> list[Delivery] | None:
        """What waits, up to the bounds of a group; None when it is time to end."""
        with self._changed:
            while not self._queue:
                if self._stopping:
                    return None
                self._changed.wait(timeout=0.5)
                if not self._standing.writable:
                    return []
            group: list[Delivery] = []
            records = size = 0
            while self._queue and (
                not group
                or (
                    records + self._queue[0].count <= self._group_records
                    and size + len(self._queue[0].body) <= GROUP_BYTES
                )
            ):
                delivery = self._queue.popleft()
                group.append(delivery)
                records += delivery.count
                size += len(delivery.body)
            self._waiting -= size
        return group

    def _recover(self) -> None:
        """The store is down: give back what waits, pause, and ask whether it is there again."""
        with self._changed:
            given_back = list(self._queue)
            self._queue.clear()
            self._waiting = 0
            stopping = self._stopping
        error = Transient(self._standing.health.detail)
        for delivery in given_back:
            delivery.answer.tell(error)
        if stopping:
            return
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, timeout=self._standing.retry_s)
        try:
            self._standing.seen(self._store.health())
        except Transient as problem:
            self._standing.down(str(problem))

    def process(self, group: Sequence[Delivery]) -> None:
        """Store a group and tell every sender what became of its batch."""
        taken: list[tuple[Delivery, Taken]] = []
        bodies: list[Record] = []
        for delivery in group:
            try:
                batch = wire.decode(delivery.body)
            except Permanent as error:
                self._report.count("tengwang_batches_refused_total", reason=error.reason)
                bodies.extend(self._body(delivery, error))
                delivery.answer.tell(error)
                continue
            taken.append((delivery, self._intake.take(batch, delivery.agent, delivery.received_ms)))
        try:
            self._clock_notes.saw(min(delivery.received_ms for delivery in group))
            acks = self._store_all([t for _, t in taken], bodies)
        except Transient as error:
            self._standing.down(str(error))
            for delivery, _ in taken:
                delivery.answer.tell(Transient(str(error)))
            return
        self._standing.wrote()
        for (delivery, _), ack in zip(taken, acks, strict=True):
            delivery.answer.tell(ack)

    def _store_all(self, taken: Sequence[Taken], bodies: Sequence[Record]) -> list[wire.Ack]:
        judged: dict[bool, list[Record]] = {}
        duplicates: dict[bool, int] = {}
        refused: dict[str, str] = {}
        for repeat in (False, True):
            some = [t for t in taken if t.header.repeat is repeat]
            records = [record for t in some for record in t.records]
            asides = [record for t in some for record in self._new_asides(t)]
            raised = [record for t in some for record in self._judge(t.records)]
            records += raised
            judged[repeat] = raised
            if not repeat:
                asides += bodies
            if records or asides:
                written = self._store.write([*records, *asides], repeat)
                duplicates[repeat] = written.duplicates
                refused.update(self._set_refused_aside(written))
        made = [self._settle(t, refused) for t in taken]
        self._ledgers.save()
        for repeat, raised in judged.items():
            self._feed.offer(raised, repeat)
        self._tell(taken, [record for raised in judged.values() for record in raised], sum(duplicates.values()))
        return made

    def _new_asides(self, taken: Taken) -> list[Record]:
        """Without those that are known to be aside already: a repeat after midnight must not make a second one."""
        if not taken.header.repeat:
            return taken.asides
        agent, epoch = taken.agent.id, taken.header.epoch
        return [
            record
            for sequence, record in zip(taken.aside_sequences, taken.asides, strict=True)
            if not self._ledgers.set_aside(agent, epoch, sequence)
        ]

    def _set_refused_aside(self, written: Written) -> dict[str, str]:
        """Ids of the events that the engine would not take, now kept among the set-aside with its reason."""
        if not written.refused:
            return {}
        made = []
        for refusal in written.refused:
            doc = refusal.record.doc
            self._report.count("tengwang_events_set_aside_total", reason="store")
            if refusal.record.kind is Kind.ASIDE:
                self._report.error("aside", f"the store would not take {refusal.record.id}: {refusal.reason}")
                continue
            made.append(
                aside.record(
                    refusal.record.id,
                    str(doc.get("agent.id", "")),
                    str(doc.get("agent.name", "")),
                    "store",
                    refusal.reason,
                    msgspec.json.encode(doc),
                    doc["@timestamp"],  # type: ignore[arg-type]
                    doc["event.ingested"],  # type: ignore[arg-type]
                )
            )
        for refusal in self._store.write(made).refused:
            self._report.error("aside", f"the store would not take {refusal.record.id}: {refusal.reason}")
        return {r.record.id: r.reason for r in written.refused if r.record.kind is Kind.EVENT}

    def _settle(self, taken: Taken, refused: dict[str, str]) -> wire.Ack:
        """Write the batch into the ledger and make its answer."""
        agent, epoch = taken.agent.id, taken.header.epoch
        if refused:
            gone = [r for r in taken.records if r.id in refused]
            taken.aside_sequences += [int(r.doc["tengwang.agent.sequence"]) for r in gone]  # type: ignore[arg-type]
            taken.records = [r for r in taken.records if r.id not in refused]
        self._ledgers.note_stored(agent, epoch, taken.stored_ranges)
        self._ledgers.note_aside(agent, epoch, ((s, s) for s in taken.aside_sequences))
        for drop in taken.drops:
            self._ledgers.note_dropped(agent, *drop)
        for sequence, rows in taken.status:
            self._ledgers.note_status(agent, (epoch, sequence), rows)
        if taken.version:
            self._heard(agent, taken.version)
        return wire.Ack(len(taken.records), refused=len(taken.aside_sequences), collector_ms=self._clock.now_ms())

    def _tell(self, taken: Sequence[Taken], judged: Sequence[Record], duplicates: int) -> None:
        report = self._report
        count = sum(len(t.records) for t in taken)
        report.count("tengwang_events_received_total", count)
        report.count("tengwang_batches_stored_total", len(taken))
        if duplicates:
            report.count("tengwang_records_duplicate_total", duplicates)
        if any(record.kind is Kind.ALERT for record in judged):
            self._live.publish("alerts")
        if count:
            self._live.publish("events")
        datasets = {dataset for t in taken for dataset in t.topics}
        for topic in {TOPIC_OF_DATASET[d] for d in datasets if d in TOPIC_OF_DATASET}:
            self._live.publish(topic)

    def _body(self, delivery: Delivery, error: Permanent) -> list[Record]:
        """Keep a body that could not be read, but not more than a few in a while: an agent may send what it likes."""
        now = self._clock.monotonic()
        if len(self._bodies) == BODIES_KEPT and now - self._bodies[0] < BODIES_WINDOW_S:
            self._report.count("tengwang_bodies_not_kept_total")
            return []
        self._bodies.append(now)
        agent = delivery.agent
        return [
            aside.whole_batch(agent.id, agent.name, error.reason, error.detail, delivery.body, delivery.received_ms)
        ]
