from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from collector import tls_listener
from collector.ca import Authority
from collector.listening import bind
from collector.server_tls import OwnCertificate, agent_context
from collector.tls_listener import TlsListener
from telemetry.clock import SystemClock


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Desk:
    def __init__(self) -> None:
        self.refused: list[tuple[str, str]] = []
        self.port = 0
        self.client = ssl.create_default_context()


@asynccontextmanager
async def listening(directory: Path, connections: int = 100) -> AsyncIterator[tuple[Desk, TlsListener]]:
    desk = Desk()
    clock = SystemClock()
    authority = Authority.open(directory / "ca", clock)
    context = agent_context(authority)
    OwnCertificate(authority, directory / "tls" / "x", ["localhost", "::1"], clock).load_into(context)
    listener = TlsListener(Echo, context, lambda *told: desk.refused.append(told), connections)
    (bound,) = bind(("[::1]:0",), "x")
    desk.port = bound.getsockname()[1]
    desk.client = ssl.create_default_context(cadata=authority.pem)
    await listener.listen(bound)
    try:
        yield desk, listener
    finally:
        await listener.close()


async def until(listener: TlsListener, count: int) -> None:
    for _ in range(100):
        if listener.open == count:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{listener.open} connections are open, not {count}")


async def test_what_is_sent_at_once_after_the_handshake_arrives(tmp_path: Path) -> None:
    async with listening(tmp_path) as (desk, listener):
        for _ in range(20):
            reader, writer = await asyncio.open_connection("::1", desk.port, ssl=desk.client)
            writer.write(b"early")
            assert await asyncio.wait_for(reader.readexactly(5), 5) == b"early"
            writer.close()
            await writer.wait_closed()
        await until(listener, 0)


async def test_noise_instead_of_tls_is_told_and_frees_its_place(tmp_path: Path) -> None:
    async with listening(tmp_path) as (desk, listener):
        reader, writer = await asyncio.open_connection("::1", desk.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await asyncio.wait_for(reader.read(), 5)
        writer.close()
        await until(listener, 0)
        assert desk.refused == [("::1", "http_request")]


async def test_there_is_a_bound_on_connections(tmp_path: Path) -> None:
    async with listening(tmp_path, connections=2) as (desk, listener):
        held = [await asyncio.open_connection("::1", desk.port, ssl=desk.client) for _ in range(2)]
        with pytest.raises((OSError, ssl.SSLError)):
            await asyncio.open_connection("::1", desk.port, ssl=desk.client)
        assert desk.refused == [("::1", "too_many_connections")]
        for _, writer in held:
            writer.close()
        await until(listener, 0)
        _, writer = await asyncio.open_connection("::1", desk.port, ssl=desk.client)
        writer.close()


async def test_a_connection_without_a_certificate_does_not_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_listener, "ANONYMOUS_S", 0.1)
    async with listening(tmp_path) as (desk, listener):
        reader, writer = await asyncio.open_connection("::1", desk.port, ssl=desk.client)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await asyncio.wait_for(reader.readexactly(1), 5)
        writer.close()
        await until(listener, 0)


async def test_a_peer_that_never_shakes_hands_frees_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_listener, "HANDSHAKE_S", 0.1)
    async with listening(tmp_path) as (desk, listener):
        reader, writer = await asyncio.open_connection("::1", desk.port)
        await until(listener, 1)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        await until(listener, 0)
