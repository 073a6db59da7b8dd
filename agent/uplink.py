"""The uplink: from the spool to a collector over HTTPS with mutual TLS. A record is freed when a collector has it.

One batch is under way at a time, on one kept-open connection, in a thread of its own. Several collectors: the one that
answered last is kept; when it fails, the next that is not being waited for is tried at once. What an answer means:

    200                 every record is stored, or set aside over there: free them
    400 413 415 422     this batch will never be taken: halve it until the one bad record is found, put that into
                        quarantine.jsonl and drop it as ``refused``. ``unsupported_version`` is the collector's age
                        and no record's fault: keep everything, ask again slowly. A row of ``MAX_REFUSED`` bad records
                        without a good one means that something between the two is wrong: from then on one a wait.
    401 403 409 others  keep everything, show why, ask again slowly
    429 503             wait as Retry-After says
    no answer           back off with full jitter; what was sent goes again with ``repeat`` set, so the collector looks
                        for it in every place it could have put it

``repeat`` is also set for all batches of former runs: their last acks may not have been saved before a crash.
The agent's work is fetched by the same connection, at every ``work_seconds`` or when an ack names a new version; so are
its orders, at every ``orders_seconds``, and at once when an ack names others.
"""

from __future__ import annotations

import enum
import random
import ssl
import threading
from collections.abc import Callable, Sequence

import msgspec

import telemetry.order
import telemetry.work
from agent.backoff import Backoff
from agent.bounded_file import BoundedFile
from agent.link import Answer, Link, Unanswered
from agent.spool import LANES, Chunk, Spool
from telemetry import wire
from telemetry.clock import Clock
from telemetry.enrol import EVENTS_PATH, WORK_PATH
from telemetry.errors import Transient
from telemetry.order import ORDERS_PATH, SignedOrders
from telemetry.report import Report
from telemetry.work import Work

SPLIT_ON = frozenset({400, 413, 415, 422})
WAIT_ON = frozenset({429, 503})
SLOW_SECONDS = 120.0
WORK_SOON = 2.0
NO_ORDERS_SECONDS = 600.0
MAX_REFUSED = 50
BULK_TURN = 4


class State(enum.StrEnum):
    STARTING = "starting"
    CONNECTED = "connected"
    WAITING = "waiting"
    """A collector asked for patience (429, 503)."""
    RETRYING = "retrying"
    """No answer."""
    REFUSED = "refused"
    """A collector does not take anything from this agent; ``detail`` says why."""


class UplinkState(msgspec.Struct, frozen=True):
    state: State
    collector: str = ""
    reason: str = ""
    detail: str = ""
    last_ack_ms: int = 0
    work: str = ""


class _Collector:
    def __init__(self, url: str, rng: random.Random, cap: float) -> None:
        self.url = url
        self.link: Link | None = None
        self.not_before = 0.0
        self.backoff = Backoff(rng, cap=cap)
        self.slow = Backoff(rng, base=5.0, cap=SLOW_SECONDS, floor=1.0)


class Held(Exception):
    """Nothing goes to any collector before ``seconds`` have passed."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__()


class Uplink:
    def __init__(
        self,
        spool: Spool,
        collectors: Sequence[str],
        context: Callable[[], ssl.SSLContext],
        agent: str,
        instance: str,
        clock: Clock,
        report: Report,
        quarantine: BoundedFile,
        *,
        take_work: Callable[[Work], None],
        work_version: str = "",
        take_orders: Callable[[SignedOrders], None] | None = None,
        orders_seconds: float = 5.0,
        timeout: float = 30.0,
        batch_records: int = 2000,
        batch_bytes: int = 1024 * 1024,
        linger: float = 1.0,
        work_seconds: float = 30.0,
        max_backoff: float = 60.0,
        rng: random.Random | None = None,
    ) -> None:
        """``context`` is asked for at each new connection, so a renewed certificate is used from then on.

        ``take_work`` is given new work; it must not raise. ``work_version`` is what the agent has. ``take_orders`` is
        given all orders that hold; without it none are asked for.
        """
        rng = rng or random.Random()
        self._spool, self._make_context, self._agent, self._instance = spool, context, agent, instance
        self._clock, self._report, self._quarantine = clock, report, quarantine
        self._take_work, self._work, self._etag, self._work_at = take_work, work_version, "", 0.0
        self._take_orders, self._orders_seconds = take_orders, orders_seconds
        self._orders, self._orders_etag, self._orders_at = "", "", 0.0
        self._timeout, self._linger, self._work_seconds = timeout, linger, work_seconds
        self._batch_records, self._batch_bytes = min(batch_records, wire.MAX_RECORDS), batch_bytes
        self._collectors = [_Collector(url, rng, max_backoff) for url in collectors]
        self._boot = spool.boot
        self._sent: dict[int, int] = {}
        self._refused = self._turn = 0
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._renewed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="uplink", daemon=True)
        self._state = UplinkState(State.STARTING)

    @property
    def state(self) -> UplinkState:
        return self._state

    def heard(self) -> bool:
        """Did the last batch get through?"""
        return self._state.state is State.CONNECTED

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There is something that should not wait."""
        self._wake.set()

    def renewed(self) -> None:
        """The identity changed: connect anew with it."""
        self._renewed.set()
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            pause = self._linger
            try:
                self.drain()
                self._see_to_work()
                self._see_to_orders()
            except Held as held:
                pause = held.seconds
            except Transient as error:
                self._report.warn("uplink", str(error))
            except Exception as error:  # noqa: BLE001 - this thread must outlive any fault, or nothing is sent any more
                self._report.error("uplink", f"{type(error).__name__}: {error}")
                pause = 10 * self._linger
            # A finding cuts the linger short, not a wait that a collector asked for.
            if pause <= self._linger:
                self._wake.wait(pause)
                self._wake.clear()
            else:
                self._stopping.wait(pause)
        self._close()

    def stop(self, seconds: float = 3.0) -> None:
        """Send what is there, as long as that goes well and is done in so many seconds, and end the thread."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(seconds)
        if self._thread.is_alive():
            for collector in self._collectors:
                if collector.link is not None:
                    collector.link.abort()
            self._thread.join(seconds)
            return
        deadline = self._clock.monotonic() + seconds
        self._timeout = seconds
        try:
            while self.heard() and self._clock.monotonic() < deadline and self.send_one():
                pass
        except (Held, Transient):
            pass
        self._close()

    def drain(self) -> None:
        """Send until the spool is empty, and see to new work in between. Raises Held, Transient."""
        while not self._stopping.is_set() and self.send_one():
            self._see_to_work()
            self._see_to_orders()

    def send_one(self) -> bool:
        """One batch. False where nothing waits. Raises Held, Transient."""
        self._turn += 1
        chunk = self._spool.read(self._batch_records, self._batch_bytes, bulk=self._turn % BULK_TURN == 0)
        if chunk is None:
            return False
        try:
            self._deliver(chunk, chunk.records)
        finally:
            self._spool.put_back()
        return True

    def _deliver(self, chunk: Chunk, records: Sequence[tuple[int, bytes]]) -> None:
        def body() -> bytes:
            repeat = chunk.epoch // LANES < self._boot or records[0][0] <= self._sent.get(chunk.epoch, 0)
            header = wire.Header(
                v=wire.VERSION,
                agent=self._agent,
                epoch=chunk.epoch,
                count=len(records),
                repeat=repeat,
                sent_ms=self._clock.now_ms(),
                instance=self._instance,
            )
            return wire.encode(header, records)

        def sent() -> None:
            self._sent[chunk.epoch] = max(self._sent.get(chunk.epoch, 0), records[-1][0])
            self._spool.sent(chunk.epoch, records[-1][0])

        collector, answer = self._ask("POST", EVENTS_PATH, {"Content-Type": wire.CONTENT_TYPE}, body, sent)
        sent()
        if answer.status == 200:
            self._acked(collector, chunk, records, answer)
        elif answer.status in SPLIT_ON and answer.refusal().reason != "unsupported_version":
            if len(records) > 1:
                half = len(records) // 2
                self._deliver(chunk, records[:half])
                self._deliver(chunk, records[half:])
            else:
                self._refuse(collector, chunk.epoch, records[0], answer)
        else:
            self._hold(collector, answer)

    def _acked(self, collector: _Collector, chunk: Chunk, records: Sequence[tuple[int, bytes]], answer: Answer) -> None:
        try:
            ack = msgspec.json.decode(answer.body, type=wire.Ack)
        except msgspec.DecodeError:
            self._hold(collector, msgspec.structs.replace(answer, status=502))
            return
        self._spool.ack(chunk.epoch, [(sequence, sequence) for sequence, _ in records])
        self._refused = 0
        collector.backoff.reset()
        collector.slow.reset()
        self._report.count("tengwang_agent_sent_total", len(records), priority=chunk.priority.name.lower())
        self._report.count("tengwang_agent_batches_total", outcome="stored")
        self._set(State.CONNECTED, collector, last_ack_ms=self._clock.now_ms(), work=ack.work)
        if ack.work and ack.work != self._work:
            self._work_at = min(self._work_at, self._clock.monotonic() + WORK_SOON)
        if ack.orders and ack.orders != self._orders:
            self._orders_at = 0.0

    def _refuse(self, collector: _Collector, epoch: int, record: tuple[int, bytes], answer: Answer) -> None:
        refusal = answer.refusal()
        if self._refused >= MAX_REFUSED:
            self._refused -= 1
            self._hold(collector, answer)
        self._refused += 1
        sequence, data = record
        line = {"epoch": epoch, "sequence": sequence, "reason": refusal.reason, "detail": refusal.detail}
        try:
            self._quarantine.append(msgspec.json.encode({**line, "event": msgspec.Raw(data)}))
        except OSError as error:
            raise Transient(f"a refused record can not be put into quarantine: {error.strerror}") from error
        self._spool.refuse(epoch, sequence)
        self._report.warn("uplink", f"the collector refuses a record: {refusal.reason} {refusal.detail}".rstrip())

    def _hold(self, collector: _Collector, answer: Answer) -> None:
        """This collector takes nothing now: note when to ask again."""
        refusal = answer.refusal()
        now = self._clock.monotonic()
        self._report.count("tengwang_agent_batches_total", outcome=f"http_{answer.status}")
        if answer.status in WAIT_ON:
            pause = collector.backoff.next() if answer.retry_after is None else answer.retry_after
            state = State.WAITING
        elif answer.status >= 500:
            pause, state = collector.backoff.next(), State.RETRYING
        else:
            pause, state = collector.slow.next(), State.REFUSED
        collector.not_before = now + pause
        self._set(state, collector, refusal.reason, refusal.detail)
        said = f"{collector.url} says {answer.status} {refusal.reason} {refusal.detail}".rstrip()
        self._report.warn("uplink", f"{said}; nothing is lost, it is tried again")
        raise Transient(said)

    def _ask(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: Callable[[], bytes] = bytes,
        sent: Callable[[], None] = lambda: None,
    ) -> tuple[_Collector, Answer]:
        """The first answer of a collector whose time has come. Raises Held where there is none."""
        while True:
            now = self._clock.monotonic()
            ready = [c for c in self._collectors if c.not_before <= now]
            if not ready:
                raise Held(max(0.05, min((c.not_before for c in self._collectors), default=now + SLOW_SECONDS) - now))
            collector = ready[0]
            if self._renewed.is_set():
                self._renewed.clear()
                self._close()
            try:
                if collector.link is None:
                    collector.link = Link(collector.url, self._make_context(), self._timeout)
                answer = collector.link.request(method, path, body(), headers)
            except (Unanswered, OSError) as error:
                if isinstance(error, Unanswered):
                    if error.sent:
                        sent()
                    if error.stale:
                        continue
                collector.not_before = self._clock.monotonic() + collector.backoff.next()
                self._report.count("tengwang_agent_batches_total", outcome="no_answer")
                self._set(State.RETRYING, collector, "no_answer", str(error))
                self._report.warn("uplink", f"{error}; nothing is lost, it is tried again")
                self._prefer(next((c for c in self._collectors if c.not_before <= now), collector))
                continue
            self._prefer(collector)
            return collector, answer

    def _prefer(self, collector: _Collector) -> None:
        """Keep to the one that answers: others keep their order."""
        if self._collectors[0] is not collector:
            self._collectors.remove(collector)
            self._collectors.insert(0, collector)

    def _see_to_work(self) -> None:
        if self._clock.monotonic() < self._work_at:
            return
        self._work_at = self._clock.monotonic() + self._work_seconds
        collector, answer = self._ask("GET", WORK_PATH, {"If-None-Match": self._etag} if self._etag else {})
        if answer.status == 200:
            try:
                work = telemetry.work.decode(answer.body)
            except msgspec.DecodeError as error:
                self._report.warn(
                    "uplink", f"{collector.url} sends work that is not understood: {type(error).__name__}"
                )
                return
            self._etag, self._work = answer.etag, work.version
            self._take_work(work)
        elif answer.status != 304:
            self._report.warn("work", f"{collector.url} answers {answer.status} where work is; the last work is used")

    def _see_to_orders(self) -> None:
        """The first answer of a run counts also where there are none: what an earlier run left is then undone."""
        now = self._clock.monotonic()
        if self._take_orders is None or now < self._orders_at:
            return
        self._orders_at = now + self._orders_seconds
        collector, answer = self._ask(
            "GET", ORDERS_PATH, {"If-None-Match": self._orders_etag} if self._orders_etag else {}
        )
        if answer.status == 200:
            try:
                orders = telemetry.order.decode(answer.body)
            except msgspec.DecodeError as error:
                self._report.warn(
                    "uplink", f"{collector.url} sends orders that are not understood: {type(error).__name__}"
                )
                return
            self._orders_etag, self._orders = answer.etag, orders.version
            self._take_orders(orders)
        elif answer.status == 404:
            self._orders_at = now + NO_ORDERS_SECONDS  # an older collector
        elif answer.status != 304:
            self._report.warn("orders", f"{collector.url} answers {answer.status} where orders are")

    def _set(
        self,
        state: State,
        collector: _Collector,
        reason: str = "",
        detail: str = "",
        last_ack_ms: int = 0,
        work: str = "",
    ) -> None:
        former = self._state
        self._state = UplinkState(
            state, collector.url, reason, detail, last_ack_ms or former.last_ack_ms, work or former.work
        )
        if state is State.CONNECTED and former.state is not State.CONNECTED:
            self._report.info("uplink", f"connected to {collector.url}")

    def _close(self) -> None:
        for collector in self._collectors:
            if collector.link is not None:
                collector.link.close()
                collector.link = None
