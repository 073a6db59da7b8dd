"""Pages on their way: durable, claimed before they are sent, by one thread a channel; and what became of each.

``put`` writes a page as a state document that can be created once, so two collectors can not page twice. The threads
of the channels look for pages whose turn on their channel has come, claim one by compare-and-set, hand it to the
notifier and write down the outcome. A collector that dies in between leaves a claim that ends; another one then sends
the same message with the same id. Every few seconds all documents are read again: what other collectors put there,
what a person revived, and what was left behind. Nothing here is ever waited for by detection or by the parts.
"""

from __future__ import annotations

import collections
import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence

import msgspec

from collector import page as pages
from collector.notifier import Message, Notifier, Receipt, Recipient
from collector.page import PREFIX, Page, PageState
from collector.page_rate import Rate
from collector.store import Conflict, State, Store
from telemetry.clock import Clock
from telemetry.errors import Permanent, Transient
from telemetry.report import Report

POLL_S = 3.0
IDLE_S = 1.0
KEEP_MS = 7 * 86_400_000
"""A settled page is forgotten after this; the incident's record keeps that it was sent."""
VISIBLE_S = 10.0
"""What was written so lately may not be in a list of all documents yet."""
ORPHAN_MS = 30_000
"""A page that waits so long for a channel which this collector does not have goes on to its next channel."""
MAX_WAITING = 5_000
MAX_EARLY = 1_000
PERSONAL = frozenset({"no_phone", "no_address", "bad_address"})
"""Reasons of a refusal that say nothing of the channel."""
LEVELS = ("critical", "high", "medium", "low", "informational")


class Way(msgspec.Struct, frozen=True):
    """A configured notifier: its name, how many messages a minute it may take, and itself."""

    name: str
    per_minute: int
    notifier: Notifier


class Outbox:
    """``start`` and ``stop`` once; everything else from any thread. Methods that read or write raise Transient."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        report: Report,
        collector_id: str,
        recipient: Callable[[str], Recipient | None],
        give_up_ms: int,
        needed: Callable[[Page], bool] = lambda _: True,
        settled: Callable[[Page], None] = lambda _: None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._report = report
        self._collector = collector_id
        self._recipient = recipient
        self._give_up_ms = give_up_ms
        self._needed = needed
        self._settled = settled
        self._changed = changed
        self._ways: dict[str, Way] = {}
        self._lock = threading.Condition()
        self._known: dict[str, tuple[Page, int]] = {}
        self._noted: dict[str, float] = {}
        """When this collector itself last wrote a page, by the clock that never jumps."""
        self._early: collections.deque[Receipt] = collections.deque(maxlen=MAX_EARLY)
        self._mine: set[str] = set()
        self._outcomes: dict[str, tuple[int, bool, str]] = {}
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def use(self, ways: Sequence[Way]) -> None:
        """The channels of this collector, in the order of its configuration. Once, before ``start``."""
        self._ways = {way.name: way for way in ways}

    @property
    def channels(self) -> tuple[str, ...]:
        return tuple(self._ways)

    def start(self) -> None:
        self._threads = [threading.Thread(target=self._watch, name="outbox", daemon=True)]
        for way in self._ways.values():
            self._threads.append(threading.Thread(target=self._work, args=(way,), name=f"page-{way.name}", daemon=True))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the message that is under way. Blocks; may be called without ``start``."""
        self._stopping.set()
        with self._lock:
            self._lock.notify_all()
        for thread in self._threads:
            thread.join()
        for way in self._ways.values():
            with contextlib.suppress(Exception):
                way.notifier.close()

    # --- pages

    def put(self, page: Page) -> bool:
        """False where this page is there already, or where too many wait (counted; the incident stays open)."""
        if not page.channels:
            page = msgspec.structs.replace(page, channels=self.channels)
        if len(self.waiting()) >= MAX_WAITING:
            self._report.count("tengwang_pages_total", state="refused")
            self._report.error("outbox", f"{MAX_WAITING} pages wait already: {page.id} is not taken")
            return False
        if not page.channels:
            none = pages.Attempt(page.created_ms, "", self._collector, "no notifier is configured")
            page = msgspec.structs.replace(
                pages.settled(page, PageState.DEAD, page.created_ms), attempts=(*page.attempts, none)
            )
        try:
            version = self._store.write_state(PREFIX + page.id, pages.encode(page), 0)
        except Conflict:
            return False
        self._report.count("tengwang_pages_total", state="created")
        if page.state is PageState.DEAD:
            self._report.count("tengwang_pages_total", state="dead")
        self._remember(page, version)
        return True

    def all(self) -> list[Page]:
        """Every page that is not forgotten yet, newest first, as last read."""
        with self._lock:
            found = [page for page, _ in self._known.values()]
        return sorted(found, key=lambda page: (page.created_ms, page.id), reverse=True)

    def waiting(self) -> list[Page]:
        return [page for page in self.all() if page.state is PageState.WAITING]

    def dead(self) -> list[Page]:
        """Dead letters that nobody has seen to."""
        return [page for page in self.all() if page.state is PageState.DEAD and not page.seen_by]

    def outcomes(self) -> Mapping[str, tuple[int, bool, str]]:
        """What each channel of this collector met last: when, whether it was taken, and the error."""
        with self._lock:
            return dict(self._outcomes)

    def revive(self, id: str, by: str) -> Page:
        """Send a dead page once more. Raises Permanent ``unknown_page``, ``not_dead``."""

        def change(page: Page) -> Page:
            if page.state is not PageState.DEAD:
                raise Permanent("not_dead", "only what could not be delivered is sent again")
            note = pages.Attempt(self._clock.now_ms(), "", self._collector, f"sent again by {by}")
            again = pages.revived(page, self._clock.now_ms(), self.channels)
            return msgspec.structs.replace(again, attempts=(*again.attempts, note)[-pages.MAX_ATTEMPTS :])

        return self._change(id, change)

    def see(self, id: str, by: str) -> Page:
        """Somebody has seen to a dead page."""
        return self._change(id, lambda page: msgspec.structs.replace(page, seen_by=by))

    def receipt(self, receipt: Receipt) -> None:
        """From a notifier's thread, perhaps before the sending thread wrote down that it was taken. Never raises."""
        with self._lock:
            page = next((p for p, _ in self._known.values() if receipt.id in p.receipts), None)
            if page is None:
                self._early.append(receipt)
                return
        try:
            self._receive(page.id, receipt)
        except (Transient, Permanent) as error:
            self._report.warn("outbox-receipt", f"a receipt was not noted: {error}")

    def refresh(self) -> None:
        """Read all documents again; forget old ones; move on what nobody here can send."""
        now, started = self._clock.now_ms(), self._clock.monotonic()
        fresh: dict[str, tuple[Page, int]] = {}
        with self._lock:
            known = dict(self._known)
        for state in self._store.list_state(PREFIX):
            page = self._decoded(state, known)
            if page is None:
                continue
            if page.state is not PageState.WAITING and page.settled_ms and now - page.settled_ms > KEEP_MS:
                self._store.delete_state(state.key)
                continue
            fresh[page.id] = (page, state.version)
        with self._lock:
            for name, (page, version) in self._known.items():
                late = name not in fresh and self._noted.get(name, 0.0) > started - VISIBLE_S
                if late or (name in fresh and version > fresh[name][1]):
                    fresh[name] = (page, version)
            self._known = fresh
            self._noted = {name: at for name, at in self._noted.items() if name in fresh}
            self._lock.notify_all()
        for page, _ in fresh.values():
            stuck = page.state is PageState.WAITING and page.channel not in self._ways
            if stuck and now - max(page.next_ms, page.claimed_until_ms) > ORPHAN_MS:
                with contextlib.suppress(Permanent):
                    self._change(page.id, self._passed_on)
        self._measure()

    # --- threads

    def _watch(self) -> None:
        while not self._stopping.is_set():
            try:
                self.refresh()
            except Transient as error:
                self._report.warn("outbox", str(error))
            except Exception as error:  # noqa: BLE001 - what is wrong with one page must not end all paging
                self._report.error("outbox", f"{type(error).__name__}: {error}")
            self._stopping.wait(POLL_S)

    def _work(self, way: Way) -> None:
        rate = Rate(self._clock, way.per_minute)
        while not self._stopping.is_set():
            try:
                page = self._next(way)
                if page is None:
                    continue
                if wait := rate.wait_s():
                    self._report.count("tengwang_pages_held_total", channel=way.name)
                    self._stopping.wait(min(wait, IDLE_S))
                    continue
                if self.send(way, page.id):
                    rate.took()
            except Transient as error:
                self._report.warn(f"outbox-{way.name}", str(error))
                self._stopping.wait(IDLE_S)
            except Exception as error:  # noqa: BLE001 - see above
                self._report.error(f"outbox-{way.name}", f"{type(error).__name__}: {error}")
                self._stopping.wait(IDLE_S)

    def _next(self, way: Way) -> Page | None:
        """The gravest page, then the oldest, whose turn it is; None after a while without one."""
        with self._lock:
            found = self._ready(way)
            if found is None and not self._stopping.is_set():
                self._lock.wait(IDLE_S)
                found = self._ready(way)
            return found

    def _ready(self, way: Way) -> Page | None:
        now = self._clock.now_ms()
        ready = [p for p, _ in self._known.values() if pages.may_claim(p, way.name, now) and p.id not in self._mine]
        return min(ready, key=_urgency, default=None)

    def send(self, way: Way, id: str) -> bool:
        """Claim one page, hand it to the notifier, write down the outcome. True where the notifier was asked."""
        state = self._store.read_state(PREFIX + id)
        page = self._decoded(state, {})
        now = self._clock.now_ms()
        if page is None or not pages.may_claim(page, way.name, now):
            self._remember_or_forget(id, page, state.version)
            return False
        if not self._needed(page):
            self._write(pages.settled(page, PageState.NOT_NEEDED, now), state.version)
            return False
        page = pages.claimed(page, self._collector, now)
        version = self._write(page, state.version)
        if version is None:
            return False
        after, error = self._hand_over(way, page)
        with self._lock:
            if error is not None:
                self._outcomes[way.name] = (self._clock.now_ms(), not error, error)
            self._mine.add(id)
        try:
            self._keep_trying(after, version)
        finally:
            with self._lock:
                self._mine.discard(id)
        return True

    def _hand_over(self, way: Way, page: Page) -> tuple[Page, str | None]:
        """The page after one try, and what is wrong with the channel: empty for nothing, None where that is not known
        because the person can not be reached this way at all."""
        who = self._recipient(page.person)
        if who is None:
            error = f"the inventory has no person {page.person!r}"
            return pages.settled(self._after(page, error, final=True), PageState.DEAD, self._clock.now_ms()), None
        message = Message(
            id=page.message_id,
            to=who,
            subject=page.subject,
            text=page.text,
            link=page.link,
            level=page.level,
            incident=page.incident,
            created_ms=page.created_ms,
            data=page.data,
        )
        try:
            sent = way.notifier.notify(message)
        except Transient as error:
            self._report.count("tengwang_page_tries_total", channel=way.name, outcome="transient")
            return self._after(page, str(error)), str(error) or "transient"
        except Permanent as error:
            self._report.count("tengwang_page_tries_total", channel=way.name, outcome="permanent")
            return self._after(page, str(error), final=True), None if error.reason in PERSONAL else str(error)
        except Exception as error:  # noqa: BLE001 - a notifier's fault is one failed try
            self._report.count("tengwang_page_tries_total", channel=way.name, outcome="error")
            told = f"{type(error).__name__}: {error}"
            self._report.error(f"notifier-{way.name}", told)
            return self._after(page, told), told
        self._report.count("tengwang_page_tries_total", channel=way.name, outcome="taken")
        return pages.taken(page, self._clock.now_ms(), sent.receipts), ""

    def _after(self, page: Page, error: str, *, final: bool = False) -> Page:
        return pages.failed(page, self._clock.now_ms(), error, self._give_up_ms, final=final)

    def _keep_trying(self, page: Page, version: int) -> None:
        """The outcome must be written: as long as the claim holds nobody else sends it."""
        while True:
            try:
                if self._write(page, version) is not None:
                    self._told(page)
                    self._receive_early(page)
                return
            except Transient as error:
                self._report.warn("outbox", f"what became of page {page.id} is not written yet: {error}")
                if self._stopping.wait(IDLE_S):
                    return

    def _told(self, page: Page) -> None:
        if page.state in (PageState.SENT, PageState.DELIVERED, PageState.DEAD):
            self._report.count("tengwang_pages_total", state=page.state.value)
            if page.state is PageState.DEAD:
                last = page.attempts[-1].error if page.attempts else ""
                self._report.error("outbox-dead", f"{page.person} could not be told of {page.incident}: {last}")
            try:
                self._settled(page)
            except (Transient, Permanent) as error:
                self._report.warn("outbox", f"incident {page.incident} was not told of its page: {error}")

    def _receive_early(self, page: Page) -> None:
        with self._lock:
            early = [receipt for receipt in self._early if receipt.id in page.receipts]
            for receipt in early:
                self._early.remove(receipt)
        for receipt in early:
            self._receive(page.id, receipt)

    def _receive(self, id: str, receipt: Receipt) -> None:
        now = self._clock.now_ms()

        def change(page: Page) -> Page:
            return pages.received(page, receipt.id, receipt.delivered, receipt.detail, now, self._give_up_ms)

        after = self._change(id, change)
        word = "delivered" if receipt.delivered else "undelivered"
        self._report.count("tengwang_page_receipts_total", outcome=word)
        if after.state in (PageState.DELIVERED, PageState.DEAD):
            self._told(after)

    # --- documents

    def _passed_on(self, page: Page) -> Page:
        if page.state is not PageState.WAITING or page.channel in self._ways:
            return page
        if not set(page.channels) & set(self._ways) and self._ways:  # its channels are gone: take those that are here
            return msgspec.structs.replace(page, channels=self.channels, at=0, tries=0)
        return self._after(page, f"no collector sends by {page.channel!r}", final=True)

    def _change(self, id: str, change: Callable[[Page], Page]) -> Page:
        for _ in range(20):
            state = self._store.read_state(PREFIX + id)
            page = self._decoded(state, {})
            if page is None:
                raise Permanent("unknown_page", f"there is no page {id[:200]!r}")
            after = change(page)
            if after == page or self._write(after, state.version) is not None:
                return after
        raise Transient(f"page {id} changes all the time")

    def _write(self, page: Page, version: int) -> int | None:
        """None where somebody else came first; what they wrote is then known."""
        try:
            written = self._store.write_state(PREFIX + page.id, pages.encode(page), version)
        except Conflict:
            state = self._store.read_state(PREFIX + page.id)
            self._remember_or_forget(page.id, self._decoded(state, {}), state.version)
            return None
        self._remember(page, written)
        return written

    def _decoded(self, state: State, known: Mapping[str, tuple[Page, int]]) -> Page | None:
        if not state.version:
            return None
        old = known.get(state.key.removeprefix(PREFIX))
        if old is not None and old[1] == state.version:
            return old[0]
        try:
            return pages.decode(state.value)
        except msgspec.DecodeError:
            self._report.error("outbox", f"{state.key} can not be read")
            return None

    def _remember(self, page: Page, version: int) -> None:
        with self._lock:
            old = self._known.get(page.id)
            if old is None or old[1] < version:
                self._known[page.id] = (page, version)
                self._noted[page.id] = self._clock.monotonic()
            self._lock.notify_all()
        self._changed()

    def _remember_or_forget(self, id: str, page: Page | None, version: int) -> None:
        if page is not None:
            self._remember(page, version)
            return
        with self._lock:
            self._known.pop(id, None)

    def _measure(self) -> None:
        waiting = self.waiting()
        now = self._clock.now_ms()
        oldest = min((page.created_ms for page in waiting), default=now)
        self._report.gauge("tengwang_pages_waiting", len(waiting))
        self._report.gauge("tengwang_pages_oldest_seconds", max(0, now - oldest) / 1000)
        self._report.gauge("tengwang_pages_dead", len(self.dead()))


def _urgency(page: Page) -> tuple[int, int, str]:
    level = LEVELS.index(page.level) if page.level in LEVELS else len(LEVELS)
    return level, page.created_ms, page.id
