"""The documents of all incidents: read, listed, changed by compare-and-set, each change also written as a record.

``incident/<id>``       the incident as it is
``incident-key/<hash>`` which incident the alerts of a key belong to, so that two leaders make one incident of them

A change is done when the document is written. Its record follows; where the program dies in between, ``heal`` writes
it at the next take-over.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator

import msgspec

from collector.incidents import records
from collector.incidents.identity import ID, SYSTEM
from collector.incidents.model import PREFIX, Entry, Incident, decode, encode
from collector.query import Equals, Kind, Search
from collector.store import Conflict, Record, Store
from telemetry.clock import Clock
from telemetry.errors import Permanent, Transient
from telemetry.report import Report

POINTER = "incident-key/"
TRIES = 30
FRESH_S = 2.0
RECORD_MS = 60_000
MAX_LATE = 1_000
EVER_MS = 400 * 86_400_000

Change = Callable[[Incident], Incident]


class Docket:
    """Thread-safe. Methods block on the store and may raise Transient."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        report: Report,
        collector_id: str,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._report = report
        self._collector = collector_id
        self._changed = changed
        """Told after each change: pages are then out of date."""
        self._lock = threading.Lock()
        self._listing = threading.Lock()
        self._listed_at = float("-inf")
        self._known: dict[str, tuple[int, Incident]] = {}
        self._written: dict[str, tuple[int, Incident] | None] = {}
        self._late: collections.deque[Record] = collections.deque(maxlen=MAX_LATE)
        self._own = threading.local()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """The records of the changes that this thread makes inside are written in one go at the end."""
        gathered: list[Record] = []
        self._own.gathered = gathered
        try:
            yield
        finally:
            self._own.gathered = None
            if gathered:
                self._write(gathered)

    def read(self, id: str) -> tuple[Incident | None, int]:
        """The document and its version; None where there is none (any more)."""
        if not ID.fullmatch(id):
            return None, 0
        state = self._store.read_state(PREFIX + id)
        if not state.version:
            return None, 0
        incident = _decode(state.value)
        if incident is None:
            self._report.error("incidents", f"the document of incident {id} can not be read")
        return incident, state.version

    def find(self, id: str) -> Incident | None:
        """The document, else what the newest record says of an incident whose document is gone."""
        incident, _ = self.read(id)
        return incident or self._from_records(id)

    def all(self, fresh_s: float = FRESH_S) -> list[Incident]:
        """Every incident that has a document. What others changed is seen ``fresh_s`` later at most."""
        with self._listing:
            if self._clock.monotonic() - self._listed_at >= fresh_s:
                self._list()
        with self._lock:
            return [incident for _, incident in self._known.values()]

    def create(self, incident: Incident, entry: Entry) -> bool:
        """False where a document with this id is there already."""
        now = self._clock.now_ms()
        made = msgspec.structs.replace(incident, revision=1, changed_ms=now, recorded_ms=now)
        try:
            version = self._store.write_state(PREFIX + made.id, encode(made), 0)
        except Conflict:
            return False
        self._keep(made, version)
        self._record(made, entry)
        return True

    def change(self, id: str, change: Change) -> Incident:
        """Read, change, write; again where somebody else came first. The same object back means: nothing to change.

        ``change`` may raise Permanent. A change without an entry (of the count) is recorded once a minute at most.
        """
        for _ in range(TRIES):
            before, version = self.read(id)
            if before is None:
                gone = self._from_records(id)
                if gone is not None:
                    raise Permanent("not_allowed", f"incident {id} was closed long ago; it is kept as it was")
                raise Permanent("unknown_incident", f"there is no incident {id[:64]!r}")
            after = change(before)
            if after is before:
                return before
            now = self._clock.now_ms()
            recorded = after.entries != before.entries or now - before.recorded_ms >= RECORD_MS
            after = msgspec.structs.replace(
                after,
                revision=before.revision + 1,
                changed_ms=now,
                recorded_ms=now if recorded else before.recorded_ms,
            )
            try:
                version = self._store.write_state(PREFIX + id, encode(after), version)
            except Conflict:
                self._report.count("tengwang_incident_conflicts_total")
                continue
            self._keep(after, version)
            if recorded:
                self._record(after, _newest(before, after, now))
            self._changed()
            return after
        raise Transient(f"incident {id} is being changed by others; try again")

    def pointer(self, key: str) -> tuple[str, int]:
        """Which incident a key's alerts belong to (empty: none), and the version to change that by."""
        state = self._store.read_state(_pointer(key))
        return state.value.decode("ascii", "replace"), state.version

    def point(self, key: str, id: str, version: int) -> None:
        """Raises Conflict."""
        self._store.write_state(_pointer(key), id.encode(), version)

    def remove(self, incident: Incident) -> None:
        """The document of an incident that was closed long ago; its records stay."""
        name = f"{incident.id}-{incident.revision}"
        if self._store.get(Kind.INCIDENT, name) is None:
            self._record(incident, _newest(incident, incident, self._clock.now_ms()))
        for key in (incident.key, *incident.keys):
            if self.pointer(key)[0] == incident.id:
                self._store.delete_state(_pointer(key))
        self._store.delete_state(PREFIX + incident.id)
        with self._lock:
            self._known.pop(incident.id, None)
            self._written[incident.id] = None

    def heal(self, since_ms: int) -> int:
        """Write the records that are missing of documents changed since then; how many there were."""
        missing = 0
        for incident in self.all(0):
            if incident.recorded_ms >= since_ms and incident.recorded_ms == incident.changed_ms:
                name = f"{incident.id}-{incident.revision}"
                if self._store.get(Kind.INCIDENT, name) is None:
                    self._record(incident, _newest(incident, incident, incident.changed_ms))
                    missing += 1
        return missing

    def documents(self, id: str) -> list[Incident]:
        """The incident after each recorded change, oldest first, as far as the store still has it."""
        made: list[Incident] = []
        after = ""
        while len(made) < 10_000:
            page = self._store.search(self._of(id, 500, oldest_first=True, after=after))
            made.extend(i for row in page.rows if (i := _document(row.doc.get("tengwang.incident.document"))))
            after = page.after
            if not after:
                break
        return made

    def _of(self, id: str, limit: int, oldest_first: bool = False, after: str = "") -> Search:
        now = self._clock.now_ms()
        where = (Equals("tengwang.incident.id", (id,)),)
        return Search(max(now - EVER_MS, 0), now + EVER_MS, where, Kind.INCIDENT, limit, oldest_first, after)

    def _from_records(self, id: str) -> Incident | None:
        if not ID.fullmatch(id):
            return None
        found = [_document(r.doc.get("tengwang.incident.document")) for r in self._store.search(self._of(id, 5)).rows]
        return max((i for i in found if i), key=lambda i: i.revision, default=None)

    def _list(self) -> None:
        with self._lock:
            self._written = {}
            known = self._known
        started = self._clock.monotonic()
        fresh: dict[str, tuple[int, Incident]] = {}
        for state in self._store.list_state(PREFIX):
            name = state.key.removeprefix(PREFIX)
            old = known.get(name)
            if old is not None and old[0] == state.version:
                fresh[name] = old
            elif (incident := _decode(state.value)) is not None:
                fresh[name] = (state.version, incident)
        with self._lock:
            for name, now in self._written.items():
                if now is None:
                    fresh.pop(name, None)
                elif name not in fresh or fresh[name][1].revision < now[1].revision:
                    fresh[name] = now
            self._known = fresh
            self._listed_at = started

    def _keep(self, incident: Incident, version: int) -> None:
        with self._lock:
            self._known[incident.id] = self._written[incident.id] = (version, incident)
            if len(self._written) > 100_000:
                self._listed_at = float("-inf")
                self._written = {}

    def _record(self, incident: Incident, entry: Entry) -> None:
        """The document is written, so this must not fail the change: what can not be written now is written later."""
        made = records.record(incident, entry, self._clock.now_ms(), self._collector)
        gathered = getattr(self._own, "gathered", None)
        if gathered is not None:
            gathered.append(made)
        else:
            self._write([made])

    def _write(self, made: list[Record]) -> None:
        waiting = list(made)
        while self._late:
            waiting.append(self._late.popleft())
        try:
            for refusal in self._store.write(waiting).refused:
                self._report.error("incidents", f"the store would not take {refusal.record.id}: {refusal.reason}")
        except Transient as error:
            self._late.extend(waiting)
            self._report.count("tengwang_incident_records_late_total", len(made))
            self._report.warn("incidents", f"{len(made)} record(s) of changes are written later: {error}")


def _pointer(key: str) -> str:
    return POINTER + hashlib.blake2b(key.encode(), digest_size=16).hexdigest()


def _newest(before: Incident, after: Incident, now_ms: int) -> Entry:
    """What was done, for the record: the entry that came with the change."""
    if after.entries and after.entries[-1] not in before.entries[-1:]:
        return after.entries[-1]
    if before is after and after.entries:
        return after.entries[-1]
    return Entry(now_ms, SYSTEM, "alert" if after.count != before.count else "changed")


def _decode(value: bytes) -> Incident | None:
    try:
        return decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _document(value: object) -> Incident | None:
    return _decode(value.encode()) if isinstance(value, str) else None
