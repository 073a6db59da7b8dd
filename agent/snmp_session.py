"""One device over SNMP: a connected UDP socket of its own, so that no device waits behind another's answers.

Every wait is bounded: ``timeout`` and ``retries`` a request, ``max_rows`` a walk, ``total`` over all; at the end of
``total`` what was had so far is kept. What devices get wrong is answered here: an error-status is honoured,
``tooBig`` and lost answers to a large GETBULK make the next one smaller, object identifiers that do not rise end the
walk with a named fault (every library tried loops for ever), strays and garbage are counted and waited past.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Annotated

import msgspec

from agent.decoders.ber import Absent, Oid, Value
from agent.decoders.snmp_message import Kind, Pdu
from agent.snmp_security import Again, Security, SnmpFault
from telemetry.clock import Clock
from telemetry.errors import Permanent
from telemetry.work import SnmpTarget, SnmpVersion

ERRORS = {
    1: "too_big", 2: "no_such_name", 3: "bad_value", 4: "read_only", 5: "gen_err", 6: "no_access", 16: "auth",
}  # fmt: skip
"""error-status of RFC 3416; 16 is authorizationError."""
MAX_AGAIN = 3
"""Reports in a row that we follow for one request: engine id, then time, then once more after a reboot."""
REFUSED_PAUSE_S = 0.2
Place = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
"""A socket address of either family."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of a conversation with one device."""

    timeout: Annotated[float, msgspec.Meta(ge=0.05, le=60, description="seconds to wait for one answer")] = 2.0
    retries: Annotated[int, msgspec.Meta(ge=0, le=10, description="further attempts after the first")] = 2
    repetitions: Annotated[int, msgspec.Meta(ge=1, le=100, description="rows asked for in one GETBULK")] = 12
    max_rows: Annotated[int, msgspec.Meta(ge=1, le=100_000, description="rows taken from one table")] = 4096
    total: Annotated[float, msgspec.Meta(ge=0.1, le=600, description="seconds for the whole conversation")] = 30.0


class Walk(msgspec.Struct, frozen=True):
    """What a walk brought: rows by index, each a mapping from column number to value; why it ended, if early."""

    rows: Mapping[Oid, Mapping[int, Value]]
    fault: str = ""


class _Socket(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.received: asyncio.Queue[bytes | OSError] = asyncio.Queue(maxsize=64)

    def datagram_received(self, data: bytes, _: object) -> None:
        self._put(data)

    def error_received(self, exc: Exception) -> None:
        if isinstance(exc, OSError):
            self._put(exc)

    def _put(self, item: bytes | OSError) -> None:
        if not self.received.full():
            self.received.put_nowait(item)


class SnmpSession:
    """Ask one device. Use as ``async with``; ``security`` may be kept by the caller from session to session."""

    def __init__(
        self,
        target: SnmpTarget,
        security: Security,
        limits: Limits,
        clock: Clock,
        rng: random.Random,
        stray: Callable[[str], None] | None = None,
    ) -> None:
        self._target = target
        self._security = security
        self._limits = limits
        self._clock = clock
        self._rng = rng
        self._end = clock.monotonic() + limits.total
        self._stray = stray
        self._protocol = _Socket()
        self._transport: asyncio.DatagramTransport | None = None
        self._repetitions = limits.repetitions
        self.address = target.address

    async def __aenter__(self) -> SnmpSession:
        loop = asyncio.get_running_loop()
        family, where = await self._resolve()
        connected = socket.socket(family, socket.SOCK_DGRAM)
        connected.setblocking(False)
        try:
            connected.connect(where)
            self._transport, _ = await loop.create_datagram_endpoint(lambda: self._protocol, sock=connected)
        except OSError as error:
            connected.close()
            raise SnmpFault("unreachable", error.strerror or "") from error
        self.address = str(where[0])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._transport is not None:
            self._transport.close()

    async def _resolve(self) -> tuple[socket.AddressFamily, Place]:
        """The address as it is written, else by name, IPv6 before IPv4; only a name costs a thread."""
        host, port = self._target.address, self._target.port
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
        except (OSError, UnicodeError):
            try:
                async with asyncio.timeout(self._limits.total):
                    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            except (OSError, UnicodeError) as error:
                raise SnmpFault("resolve", f"{host}: {error}") from error
        best = min(found, key=lambda one: one[0] != socket.AF_INET6)
        return best[0], best[4]

    async def get(self, names: Sequence[Oid]) -> dict[Oid, Value]:
        """The values of these objects. What v1 answers with noSuchName is ``Absent``. Raises SnmpFault."""
        wanted = list(names)
        values: dict[Oid, Value] = {}
        while wanted:
            answer = await self._request(Kind.GET, wanted)
            status = ERRORS.get(answer.error_status, "error") if answer.error_status else ""
            if status == "no_such_name" and 1 <= answer.error_index <= len(wanted):
                values[wanted.pop(answer.error_index - 1)] = Absent.NO_SUCH_OBJECT
            elif status == "too_big" and len(wanted) > 1:
                half = len(wanted) // 2
                return values | await self.get(wanted[:half]) | await self.get(wanted[half:])
            elif status:
                raise SnmpFault(status, f"error-status {answer.error_status}")
            else:
                asked = set(wanted)
                values.update((name, value) for name, value in answer.varbinds if name in asked)
                break
        return values

    async def walk(self, entry: Oid, columns: Sequence[int]) -> Walk:
        """Columns of a table, several in one GETBULK. A fault after the first rows keeps them and is named.

        Raises SnmpFault where nothing could be had at all.
        """
        rows: dict[Oid, dict[int, Value]] = {}
        last = {column: (*entry, column) for column in columns}
        open_columns = list(columns)
        while open_columns:
            try:
                answer = await self._next([last[c] for c in open_columns])
                done = self._take(answer, entry, open_columns, last, rows)
            except SnmpFault as fault:
                if not rows:
                    raise
                return Walk(rows, fault.reason)
            open_columns = [c for c in open_columns if c not in done]
            if len(rows) > self._limits.max_rows:
                return Walk(dict(list(rows.items())[: self._limits.max_rows]), "max_rows")
        return Walk(rows)

    def _take(
        self, answer: Pdu, entry: Oid, columns: Sequence[int], last: dict[int, Oid], rows: dict[Oid, dict[int, Value]]
    ) -> set[int]:
        """Sort one answer into the rows; the columns that ended. The n-th binding belongs to column n modulo all."""
        depth = len(entry)
        done: set[int] = set()
        for number, (name, value) in enumerate(answer.varbinds):
            column = columns[number % len(columns)]
            if column in done:
                continue
            if value is Absent.END_OF_MIB_VIEW or name[:depth] != entry or name[depth : depth + 1] != (column,):
                if name[: depth + 1] < (*entry, column):
                    raise SnmpFault("oid_not_increasing", "the device went back")
                done.add(column)
                continue
            if name <= last[column]:
                raise SnmpFault("oid_not_increasing", "the device repeats itself")
            last[column] = name
            if not isinstance(value, Absent):
                rows.setdefault(name[depth + 1 :], {})[column] = value
        return done

    async def _next(self, names: Sequence[Oid]) -> Pdu:
        """The next bindings after these names: GETBULK, or GETNEXT for v1. Too big an answer is asked for in parts."""
        v1 = self._target.credential.version is SnmpVersion.V1
        while True:
            if v1:
                answer = await self._request(Kind.GET_NEXT, names)
            else:
                answer = await self._request(Kind.GET_BULK, names)
            status = ERRORS.get(answer.error_status, "error") if answer.error_status else ""
            if not status and answer.varbinds:
                return answer
            if status == "no_such_name" and v1 and 1 <= answer.error_index <= len(names):
                return await self._without(names, answer.error_index - 1)
            if status in ("too_big", "gen_err", "") and not v1 and self._repetitions > 1:
                self._repetitions //= 2
            elif status in ("too_big", "") and len(names) > 1:
                halves = [await self._next(names[:1]), await self._next(names[1:])]
                size = min(len(halves[0].varbinds), len(halves[1].varbinds) // (len(names) - 1))
                joined: list[tuple[Oid, Value]] = []
                for row in range(size):
                    joined.append(halves[0].varbinds[row])
                    joined += halves[1].varbinds[row * (len(names) - 1) : (row + 1) * (len(names) - 1)]
                if not joined:
                    raise SnmpFault(status or "empty_answer", "answers with fewer bindings than were asked for")
                return Pdu(Kind.RESPONSE, 0, tuple(joined))
            else:
                raise SnmpFault(status or "empty_answer", f"error-status {answer.error_status}")

    async def _without(self, names: Sequence[Oid], position: int) -> Pdu:
        """v1 refuses a whole GETNEXT for the one name that has no next: ask for the rest, and mark that one."""
        rest = [name for number, name in enumerate(names) if number != position]
        binds = list((await self._next(rest)).varbinds) if rest else []
        binds.insert(position, (names[position], Absent.END_OF_MIB_VIEW))
        return Pdu(Kind.RESPONSE, 0, tuple(binds))

    async def _request(self, kind: Kind, names: Sequence[Oid]) -> Pdu:
        """Send, wait, send again. Raises SnmpFault: timeout, refused, unreachable, auth ..."""
        binds = tuple((name, None) for name in names)
        ids: set[int] = set()
        again = attempt = 0
        why = SnmpFault("timeout", f"no answer in {self._limits.timeout:g} s, {self._limits.retries + 1} attempts")
        while attempt <= self._limits.retries:
            left = self._end - self._clock.monotonic()
            if left <= 0:
                raise SnmpFault("deadline", f"not done in {self._limits.total:g} s")
            number = self._rng.randrange(1, 2**31)
            ids.add(number)
            discovering = not self._security.ready()
            bulk = self._repetitions if kind is Kind.GET_BULK else 0
            pdu = Pdu(kind, number, binds, 0, bulk)
            self._send(self._security.discovery(number) if discovering else self._security.wrap(pdu))
            try:
                answer = await self._answer(ids, min(left, self._limits.timeout * 1.5**attempt))
                if not discovering:
                    return answer
            except Again:
                again += 1
                if again > MAX_AGAIN:
                    raise SnmpFault(
                        "not_in_time_window", "the device reports its engine and time again and again"
                    ) from None
                continue
            except TimeoutError:
                if kind is Kind.GET_BULK and self._repetitions > 1:
                    self._repetitions //= 2  # a large answer may be lost in fragments, every time
            except OSError as error:
                refused = isinstance(error, ConnectionRefusedError)
                why = SnmpFault("refused" if refused else "unreachable", error.strerror or "")
                await asyncio.sleep(min(REFUSED_PAUSE_S, self._limits.timeout))
            attempt += 1
        raise why

    def _send(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            raise SnmpFault("unreachable", "the socket is closed")
        self._transport.sendto(data)

    async def _answer(self, ids: set[int], timeout: float) -> Pdu:
        async with asyncio.timeout(timeout):
            while True:
                item = await self._protocol.received.get()
                if isinstance(item, OSError):
                    raise item
                try:
                    return self._security.unwrap(item, ids)
                except Permanent as error:
                    if self._stray is not None:
                        self._stray(error.reason)
