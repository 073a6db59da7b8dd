"""A device that behaves as badly as a test wants: answers each request with whatever a function makes of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import cast

from agent.decoders import ber
from agent.decoders.ber import Absent, Oid, Value
from agent.decoders.snmp_message import Kind
from telemetry.work import SnmpCredential, SnmpTarget, SnmpVersion

Handler = Callable[["Request"], Iterable[bytes]]


class Request:
    """A v2c request, read with no more than what a test needs."""

    def __init__(self, data: bytes) -> None:
        at, end = ber.expect(data, 0, len(data), ber.SEQUENCE)
        _, at = ber.integer(data, at, end)
        _, at = ber.octets(data, at, end)
        self.kind, at, end = ber.header(data, at, end)
        self.id, at = ber.integer(data, at, end)
        _, at = ber.integer(data, at, end)
        self.repetitions, at = ber.integer(data, at, end)
        at, end = ber.expect(data, at, end, ber.SEQUENCE)
        self.names: list[Oid] = []
        while at < end:
            start, at = ber.expect(data, at, end, ber.SEQUENCE)
            self.names.append(ber.oid(data, *ber.expect(data, start, at, ber.OID)))

    def answer(
        self, binds: Sequence[tuple[Oid, Value]], status: int = 0, index: int = 0, id: int | None = None
    ) -> bytes:
        coded = b"".join(ber.element(ber.SEQUENCE, ber.encode_oid(name) + coded_value(v)) for name, v in binds)
        pdu = ber.element(
            Kind.RESPONSE,
            ber.encode_integer(self.id if id is None else id)
            + ber.encode_integer(status)
            + ber.encode_integer(index)
            + ber.element(ber.SEQUENCE, coded),
        )
        body = ber.encode_integer(1) + ber.element(ber.OCTETS, b"c") + pdu
        return ber.element(ber.SEQUENCE, body)


def coded_value(value: Value) -> bytes:
    if isinstance(value, Absent):
        return bytes((value.value, 0))
    if isinstance(value, bytes):
        return ber.element(ber.OCTETS, value)
    if isinstance(value, tuple):
        return ber.encode_oid(value)
    return b"\x05\x00" if value is None else ber.encode_integer(value)


class _Server(asyncio.DatagramProtocol):
    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._transport: asyncio.DatagramTransport | None = None
        self.requests = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.requests += 1
        assert self._transport is not None
        for reply in self._handler(Request(data)):
            self._transport.sendto(reply, addr)


@contextlib.asynccontextmanager
async def device(handler: Handler) -> AsyncIterator[SnmpTarget]:
    """Run it on ``[::1]``; what comes is the target to poll."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Server(handler), local_addr=("::1", 0))
    port = transport.get_extra_info("sockname")[1]
    try:
        yield target(port)
    finally:
        transport.close()


def target(port: int, name: str = "sick", interval: int = 60) -> SnmpTarget:
    return SnmpTarget(name, name, "::1", SnmpCredential(SnmpVersion.V2C, community="c"), port, interval)
