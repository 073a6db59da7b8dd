"""A TLS listener that sees every handshake, also the ones that fail.

asyncio's own TLS server tells nobody why a handshake failed, nor who tried. Here a connection is accepted in the
clear, upgraded by ``start_tls``, and only then given to aiohttp: a certificate of another CA, or one that has expired,
is reported with the peer's address, and never reaches a line of HTTP.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import cast

HANDSHAKE_S = 15.0
ANONYMOUS_S = 60.0
"""How long a connection without a certificate may last: enough to enrol, too short to hold all places."""

Refused = Callable[[str, str], None]
"""Told of a failed handshake: peer address, reason."""


class _Early(asyncio.Protocol):
    """Holds what a quick client sends in the moment between the handshake and the hand-over to aiohttp."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.ended = False
        self.lost = False

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> bool:
        self.ended = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the interface of asyncio
        self.lost = True


class TlsListener:
    """Accepts, shakes hands, and hands over. ``connections`` bounds how many there are at once."""

    def __init__(
        self,
        application: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext,
        refused: Refused,
        connections: int = 4096,
    ) -> None:
        self._application = application
        self._context = context
        self._refused = refused
        self._slots = connections
        self._open = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []

    async def listen(self, bound: socket.socket) -> None:
        """Accept on a socket that is bound already."""
        server = await asyncio.get_running_loop().create_server(lambda: _Door(self), sock=bound, backlog=512)
        self._servers.append(server)

    async def close(self) -> None:
        """Stop listening and drop half-open handshakes; connections that were handed over are aiohttp's."""
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def open(self) -> int:
        """Connections at this moment."""
        return self._open

    def accept(self, transport: asyncio.Transport) -> None:
        if self._open >= self._slots:
            transport.abort()
            self._refused(_peer(transport), "too_many_connections")
            return
        self._open += 1
        transport.pause_reading()
        task = asyncio.get_running_loop().create_task(self._shake_hands(transport))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def left(self) -> None:
        self._open -= 1

    async def _shake_hands(self, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        early = _Early()
        handed_over = False
        try:
            upgraded = await loop.start_tls(
                transport, early, self._context, server_side=True, ssl_handshake_timeout=HANDSHAKE_S
            )
            if upgraded is None or early.lost:
                return
            application = _Counted(self._application(), self)
            if not upgraded.get_extra_info("peercert"):
                application.limit = loop.call_later(ANONYMOUS_S, upgraded.abort)
            upgraded.set_protocol(application)
            handed_over = True
            application.connection_made(upgraded)
            if early.data:
                application.data_received(bytes(early.data))
            if early.ended and not application.eof_received():
                upgraded.close()
        except ssl.SSLCertVerificationError as error:
            self._refused(_peer(transport), error.verify_message or "certificate verify failed")
        except (ssl.SSLError, OSError, TimeoutError) as error:
            if isinstance(error, ssl.SSLError) and error.reason:
                self._refused(_peer(transport), error.reason.lower())
        finally:
            if not handed_over:
                self.left()
                transport.abort()


class _Door(asyncio.Protocol):
    def __init__(self, listener: TlsListener) -> None:
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._listener.accept(cast(asyncio.Transport, transport))


class _Counted(asyncio.Protocol):
    """Passes everything on to aiohttp, and tells the listener when the connection is gone."""

    def __init__(self, inner: asyncio.Protocol, listener: TlsListener) -> None:
        self._inner = inner
        self._listener = listener
        self.limit: asyncio.TimerHandle | None = None
        self.data_received = inner.data_received  # type: ignore[method-assign]
        self.eof_received = inner.eof_received  # type: ignore[method-assign]
        self.pause_writing = inner.pause_writing  # type: ignore[method-assign]
        self.resume_writing = inner.resume_writing  # type: ignore[method-assign]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.limit is not None:
            self.limit.cancel()
        self._listener.left()
        self._inner.connection_lost(exc)


def _peer(transport: asyncio.BaseTransport) -> str:
    name = transport.get_extra_info("peername")
    return str(name[0]).partition("%")[0] if name else "::"
