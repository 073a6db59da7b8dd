"""The agents enrolled here, and which certificate each may use. Kept in the store, so several collectors agree.

- ``agent/<id>``: AgentRecord. Only the serials written in it are accepted; any other certificate is superseded.
- ``machine/<machine id>``: the agents enrolled from hosts with that machine id; changed by compare-and-set, so one
  host that enrols at two collectors at once is still one agent. Cloned machine ids with other MACs are other agents.
- ``seen/<id>/<collector>``: when and from where an agent was last heard; written at most every few seconds.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable

import msgspec

from collector.audit import Trail
from collector.ca import Authority
from collector.enrol_tokens import EnrolToken, EnrolTokens
from collector.instances import Instances
from collector.store import Conflict, Store
from telemetry.clock import Clock
from telemetry.enrol import EnrolRequest, Host, Identity, RenewRequest, Token
from telemetry.errors import Permanent, Transient

AGENT, MACHINE, SEEN = "agent/", "machine/", "seen/"
FRESH_S = 2.0
"""How old a cached record may be: so long it takes until a revocation by another process holds here."""
FLUSH_MS = 5_000
TRIES = 20
MAX_NAME = 128


class AgentRecord(msgspec.Struct, frozen=True):
    """One agent. ``serials`` may be used now: the newest, and the one before until the newest has been seen."""

    id: str
    name: str
    unit: str
    host: Host
    version: str
    enrolled_ms: int
    last_seen_ms: int = 0
    certificate_serial: str = ""
    not_after_ms: int = 0
    revoked: bool = False
    address: str = ""
    serials: tuple[str, ...] = ()
    cloned: bool = False


class Seen(msgspec.Struct, frozen=True):
    """When one collector last heard of an agent."""

    last_seen_ms: int
    address: str = ""
    version: str = ""
    instance: str = ""
    cloned: bool = False


class Registry:
    """Thread-safe. All methods block on the store and may raise Transient."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        authority: Authority,
        trail: Trail,
        collector_id: str,
        collectors: Callable[[], tuple[str, ...]] = tuple,
        certificate_days: float = 30,
    ) -> None:
        self._store = store
        self._clock = clock
        self._authority = authority
        self._trail = trail
        self._collector = collector_id
        self._collectors = collectors
        self._days = certificate_days
        self._tokens = EnrolTokens(store, clock, authority.pin)
        self._instances = Instances(clock)
        self._lock = threading.Lock()
        self._cache: dict[str, tuple[float, AgentRecord]] = {}
        self._seen: dict[str, Seen] = {}
        self._saved: dict[str, Seen] = {}
        self.others: frozenset[str] = frozenset()
        """Ids of the other collectors that ever heard an agent; known after ``flush``."""

    @property
    def ca_pem(self) -> str:
        return self._authority.pem

    def agents(self) -> list[AgentRecord]:
        """All, by name; each with the newest sighting of any collector."""
        seen: dict[str, Seen] = {}
        for state in self._store.list_state(SEEN):
            self._newest(seen, state.key.split("/")[1], msgspec.json.decode(state.value, type=Seen))
        with self._lock:
            for agent, own in self._seen.items():
                self._newest(seen, agent, own)
        records = [_decode(state.value) for state in self._store.list_state(AGENT)]
        return sorted((_merge(r, seen.get(r.id)) for r in records), key=lambda r: (r.name, r.id))

    def agent(self, id: str) -> AgentRecord | None:
        record, _ = self._read(id)
        if record is None:
            return None
        seen: dict[str, Seen] = {}
        for state in self._store.list_state(f"{SEEN}{id}/"):
            self._newest(seen, id, msgspec.json.decode(state.value, type=Seen))
        with self._lock:
            if id in self._seen:
                self._newest(seen, id, self._seen[id])
        return _merge(record, seen.get(id))

    def create_enrol_token(self, unit: str, ttl_s: int, uses: int, by: str) -> Token:
        """Raises Permanent where a bound is broken. The text of the token can not be had again."""
        token = self._tokens.create(unit, ttl_s, uses, by)
        self._trail.write("enrol-token-created", "success", user=by, unit=unit, message=f"{token.id}: {uses} use(s)")
        return token

    def enrol_tokens(self) -> list[EnrolToken]:
        return self._tokens.all()

    def revoke_enrol_token(self, id: str, by: str) -> None:
        """Raises Permanent ``no_such_token``."""
        self._tokens.revoke(id)
        self._trail.write("enrol-token-revoked", "success", user=by, message=id)

    def enrol(self, request: EnrolRequest, peer: str) -> Identity:
        """A host becomes an agent. The same host again is the same agent, and its older certificates end.

        Raises Permanent: bad_token, token_expired, token_used, bad_csr, bad_host.
        """
        host = _checked(request.host)
        token = self._tokens.check(request.token)
        issued = self._authority.issue_agent(request.csr, "probe", 1)  # a bad request must not use up the token
        record, made = self._find_or_make(host, request, token)
        if record.revoked and record.id in token.used_by:
            raise Permanent("token_used", "this agent was revoked after it enrolled with this token; make a new one")
        try:
            self._tokens.consume(token.id, record.id)
        except Permanent:
            if made:
                self._remove(record)
            raise
        issued = self._authority.issue_agent(request.csr, record.id, self._days)
        name = (request.name or host.name)[:MAX_NAME]
        record = self._change(
            record.id,
            lambda old: msgspec.structs.replace(
                old,
                name=name,
                unit=token.unit,
                host=host,
                version=request.version[:64],
                enrolled_ms=self._clock.now_ms(),
                certificate_serial=issued.serial,
                not_after_ms=issued.not_after_ms,
                serials=(issued.serial,),
                revoked=False,
            ),
        )
        self._instances.forget(record.id)
        again = "" if made else "; enrolled again, older certificates revoked"
        self._trail.write(
            "agent-enrolled",
            "success",
            agent=record.id,
            unit=record.unit,
            client=peer,
            message=f"{name}, serial {issued.serial}, token {token.id} by {token.by or 'unknown'}{again}",
        )
        return self._identity(record, issued.pem)

    def renew(self, record: AgentRecord, serial: str, request: RenewRequest, peer: str) -> Identity:
        """A new certificate for an agent that showed a valid one. Raises Permanent: cloned, bad_csr, bad_host."""
        host = _checked(request.host)
        if not record.host.same_as(host):
            detail = (
                f"agent {record.id} was enrolled on host {record.host.name!r}, and this is another one "
                f"({host.name!r}): a copied disk. Enrol this host with a token of its own"
            )
            raise Permanent("cloned", detail)
        issued = self._authority.issue_agent(request.csr, record.id, self._days)

        def change(old: AgentRecord) -> AgentRecord:
            if old.revoked or serial not in old.serials:
                raise Permanent("revoked", "this certificate was revoked while it was being renewed")
            return msgspec.structs.replace(
                old,
                host=host,
                version=request.version[:64],
                certificate_serial=issued.serial,
                not_after_ms=issued.not_after_ms,
                serials=(serial, issued.serial),
            )

        record = self._change(record.id, change)
        self._trail.write("agent-renewed", "success", agent=record.id, client=peer, message=f"serial {issued.serial}")
        return self._identity(record, issued.pem)

    def revoke(self, agent_id: str, by: str) -> AgentRecord:
        """No certificate of this agent is accepted from now on. Raises Permanent ``unknown_agent``."""
        record = self._change(agent_id, lambda old: msgspec.structs.replace(old, revoked=True, serials=()))
        self._trail.write("agent-revoked", "success", user=by, agent=agent_id, message=record.name)
        return record

    def authenticate(self, serial: str, agent_id: str, not_after_ms: int) -> AgentRecord:
        """The agent whose certificate this is. Raises Permanent: unknown_agent, revoked, expired, superseded."""
        record = self._fresh(agent_id)
        if record is None:
            raise Permanent("unknown_agent", f"agent {agent_id!r} is not enrolled here; enrol it with a token")
        if record.revoked:
            raise Permanent("revoked", f"agent {agent_id} was revoked; enrol it again with a new token")
        if serial not in record.serials:
            detail = (
                f"this certificate of agent {agent_id} was replaced by a newer one: it was renewed or enrolled again, "
                "perhaps on a copy of this disk. Enrol this host with a token"
            )
            raise Permanent("superseded", detail)
        if not_after_ms <= self._clock.now_ms():
            raise Permanent("expired", "the certificate has expired; enrol this host again with a new token")
        if serial == record.certificate_serial and len(record.serials) > 1:
            record = self._change(agent_id, lambda old: msgspec.structs.replace(old, serials=_newest_only(old)))
        return record

    def unit_of(self, agent_id: str) -> str:
        """The unit of an agent that has spoken here; from memory, for every event."""
        cached = self._cache.get(agent_id)
        return cached[1].unit if cached is not None else ""

    def heard(self, agent_id: str, version: str) -> None:
        """The program version that an agent says it has."""
        with self._lock:
            if (seen := self._seen.get(agent_id)) is not None:
                self._seen[agent_id] = msgspec.structs.replace(seen, version=version[:64])

    def seen(self, agent_id: str, instance: str, address: str) -> None:
        """An agent spoke. Raises Permanent ``cloned`` where two programs speak for it."""
        cloned = self._instances.cloned(agent_id, instance)
        with self._lock:
            before = self._seen.get(agent_id)
            version = before.version if before else ""
            self._seen[agent_id] = Seen(self._clock.now_ms(), address, version, instance, cloned)
        if cloned:
            detail = (
                f"two programs send as agent {agent_id}: its disk was copied. Nothing was lost: both keep their data. "
                "Enrol the real host again with a token, then the copy with a token of its own"
            )
            raise Permanent("cloned", detail)

    def flush(self) -> None:
        """Save sightings, and hear of those by other collectors; to be called every few seconds."""
        with self._lock:
            changed = {
                agent: seen
                for agent, seen in self._seen.items()
                if (old := self._saved.get(agent)) is None
                or seen.last_seen_ms - old.last_seen_ms >= FLUSH_MS
                or seen.cloned != old.cloned
            }
        for agent, seen in changed.items():
            self._overwrite(f"{SEEN}{agent}/{self._collector}", msgspec.json.encode(seen))
            self._saved[agent] = seen
        others: set[str] = set()
        for state in self._store.list_state(SEEN):
            _, agent, collector = state.key.split("/")
            others.add(collector)
            other = msgspec.json.decode(state.value, type=Seen)
            if collector != self._collector and self._clock.now_ms() - other.last_seen_ms < 2 * FLUSH_MS:
                self._instances.cloned(agent, other.instance)
        self.others = frozenset(others - {self._collector})

    def _find_or_make(self, host: Host, request: EnrolRequest, token: EnrolToken) -> tuple[AgentRecord, bool]:
        key = MACHINE + hashlib.sha256(host.machine_id.encode()).hexdigest()[:32]
        for _ in range(TRIES):
            state = self._store.read_state(key)
            ids = msgspec.json.decode(state.value, type=list[str]) if state.version else []
            for known in ids:
                record, _ = self._read(known)
                if record is not None and record.host.same_as(host):
                    return record, False
            record = AgentRecord(
                secrets.token_hex(6), request.name or host.name, token.unit, host, request.version, self._clock.now_ms()
            )
            # The record first: without serials it is of no use, and a name in the list always has one.
            self._store.write_state(AGENT + record.id, msgspec.json.encode(record), 0)
            try:
                self._store.write_state(key, msgspec.json.encode([*ids, record.id]), state.version)
            except Conflict:
                self._store.delete_state(AGENT + record.id)
                continue
            return record, True
        raise Transient("too many copies of this host enrol at once")

    def _remove(self, record: AgentRecord) -> None:
        key = MACHINE + hashlib.sha256(record.host.machine_id.encode()).hexdigest()[:32]
        for _ in range(TRIES):
            state = self._store.read_state(key)
            ids = [i for i in msgspec.json.decode(state.value or b"[]", type=list[str]) if i != record.id]
            try:
                self._store.write_state(key, msgspec.json.encode(ids), state.version)
            except Conflict:
                continue
            self._store.delete_state(AGENT + record.id)
            return

    def _change(self, id: str, change: Callable[[AgentRecord], AgentRecord]) -> AgentRecord:
        for _ in range(TRIES):
            old, version = self._read(id)
            if old is None:
                raise Permanent("unknown_agent", f"there is no agent {id!r}")
            new = change(old)
            try:
                self._store.write_state(AGENT + id, msgspec.json.encode(new), version)
            except Conflict:
                continue
            with self._lock:
                self._cache[id] = (self._clock.monotonic(), new)
            return new
        raise Transient(f"the record of agent {id} is being changed by someone else")

    def _read(self, id: str) -> tuple[AgentRecord | None, int]:
        state = self._store.read_state(AGENT + id)
        return (_decode(state.value) if state.version else None), state.version

    def _fresh(self, id: str) -> AgentRecord | None:
        now = self._clock.monotonic()
        with self._lock:
            cached = self._cache.get(id)
        if cached is not None and now - cached[0] < FRESH_S:
            return cached[1]
        record, _ = self._read(id)
        if record is not None:
            with self._lock:
                self._cache[id] = (now, record)
        return record

    def _overwrite(self, key: str, value: bytes) -> None:
        for _ in range(TRIES):
            try:
                self._store.write_state(key, value, self._store.read_state(key).version)
            except Conflict:
                continue
            return

    def _identity(self, record: AgentRecord, certificate: str) -> Identity:
        return Identity(
            record.id, record.unit, certificate, self._authority.pem, record.not_after_ms, self._collectors()
        )

    @staticmethod
    def _newest(into: dict[str, Seen], agent: str, seen: Seen) -> None:
        if agent not in into or into[agent].last_seen_ms < seen.last_seen_ms:
            into[agent] = seen


def _merge(record: AgentRecord, seen: Seen | None) -> AgentRecord:
    if seen is None:
        return record
    return msgspec.structs.replace(
        record,
        last_seen_ms=seen.last_seen_ms,
        address=seen.address,
        version=seen.version or record.version,
        cloned=seen.cloned,
    )


def _newest_only(record: AgentRecord) -> tuple[str, ...]:
    return (record.certificate_serial,) if record.certificate_serial in record.serials else record.serials


def _checked(host: Host) -> Host:
    """Bounds on what an outsider says of itself. Raises Permanent ``bad_host``."""
    if not 8 <= len(host.machine_id) <= 128 or not host.machine_id.isascii() or not host.machine_id.isprintable():
        raise Permanent("bad_host", "the host's machine id must have 8 to 128 printable characters")
    if not 1 <= len(host.name) <= 255 or not host.name.isprintable():
        raise Permanent("bad_host", "the host's name must have 1 to 255 printable characters")
    if len(host.macs) > 256 or any(len(mac) > 64 for mac in host.macs) or len(host.product_uuid) > 128:
        raise Permanent("bad_host", "the host names too many MAC addresses")
    return host


def _decode(value: bytes) -> AgentRecord:
    return msgspec.json.decode(value, type=AgentRecord)
