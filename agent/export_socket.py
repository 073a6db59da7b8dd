"""Where exports arrive: UDP sockets with a forced receive buffer and the kernel's own count of drops; TCP for IPFIX.

A socket on ``[::]`` takes IPv4 too; the addresses come out as 4 bytes then. The kernel counts what a full buffer drops
for each socket, and gives it by SO_MEMINFO (Linux 4.12) without a datagram having to follow.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
import struct
from collections.abc import Callable, Sequence

from agent.config import parse_listen
from agent.input import Blind, Context
from agent.losses import Losses
from telemetry.errors import ConfigError

SO_RCVBUFFORCE, SO_MEMINFO = 33, 55
MEMINFO = struct.Struct("=9I")
DROPS = 8
MAPPED = bytes(10) + b"\xff\xff"
AT_ONCE = 256
"""Datagrams read before other work gets a turn."""
MAX_DATAGRAM = 65_535

Peer = tuple[bytes, int]
"""Packed address and port."""
Take = Callable[[bytes, Peer], None]


def check(name: str, listen: Sequence[str]) -> None:
    """Raises ConfigError where one is no address and port."""
    for text in listen:
        try:
            host, _ = parse_listen(text)
            ipaddress.ip_address(host.partition("%")[0])
        except ValueError as error:
            hint = 'for example "[::]:2055", which takes IPv4 too'
            raise ConfigError.one(f"option listen of input {name}", str(error), hint) from error


class ExportSocket:
    """One UDP socket. Raises Blind where it can not be opened."""

    def __init__(self, text: str, buffer: int, take: Take) -> None:
        self._take = take
        self._socket = _bound(text, socket.SOCK_DGRAM)
        self._dropped = 0
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, buffer)
        except OSError:  # without CAP_NET_ADMIN: what net.core.rmem_max allows
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)

    @property
    def buffer(self) -> int:
        """Bytes that the kernel gave; it doubles what was asked for."""
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._socket.getsockname()[:2]
        return host, port

    def start(self) -> None:
        asyncio.get_running_loop().add_reader(self._socket, self.read)

    def stop(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)

    def read(self, most: int = AT_ONCE) -> int:
        """What is there, up to a bound; how many."""
        receive, take = self._socket.recvfrom, self._take
        for number in range(most):
            try:
                data, peer = receive(MAX_DATAGRAM)
            except BlockingIOError:
                return number
            except OSError:
                return number
            take(data, (packed(peer[0]), peer[1]))
        return most

    def lost(self) -> int:
        """Dropped by the kernel since the last call."""
        try:
            dropped: int = MEMINFO.unpack(self._socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, MEMINFO.size))[DROPS]
        except (OSError, struct.error):
            return 0
        lost, self._dropped = (dropped - self._dropped) % (1 << 32), dropped
        return lost

    def close(self) -> None:
        self._socket.close()


class ExportSockets:
    """All UDP sockets of an input: opened by ``start``; ``tick`` puts the kernel's drops among the losses."""

    def __init__(self, listen: Sequence[str], buffer: int, context: Context, losses: Losses, take: Take) -> None:
        self._listen, self._buffer, self._take = listen, buffer, take
        self._context, self._losses = context, losses
        self.opened: list[ExportSocket] = []

    def start(self) -> None:
        """Raises Blind where one can not be opened."""
        if not self.opened:
            for text in self._listen:
                self.opened.append(ExportSocket(text, self._buffer, self._take))
            small = min((one.buffer for one in self.opened), default=self._buffer)
            if small < self._buffer:
                self._context.report.warn(
                    "export buffer", f"the kernel gave {small} bytes; more with CAP_NET_ADMIN or net.core.rmem_max"
                )
        for one in self.opened:
            one.start()

    def stop(self) -> None:
        for one in self.opened:
            one.stop()

    def tick(self) -> int:
        """How many the kernel has dropped since the last call."""
        lost = sum(one.lost() for one in self.opened)
        self._losses.note(lost)
        return lost

    def close(self) -> int:
        """What has arrived is still read; as ``tick``."""
        for one in self.opened:
            while one.read() == AT_ONCE:
                pass
        lost = self.tick()
        for one in self.opened:
            one.close()
        self.opened.clear()
        return lost


def listening(text: str) -> socket.socket:
    """A TCP socket that listens. Raises Blind."""
    made = _bound(text, socket.SOCK_STREAM)
    made.listen(16)
    return made


def _bound(text: str, kind: socket.SocketKind) -> socket.socket:
    host, port = parse_listen(text)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made: socket.socket | None = None
    try:
        made = socket.socket(family, kind | socket.SOCK_NONBLOCK)
        if kind is socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.bind((host, port))
    except OSError as error:
        if made is not None:
            made.close()
        advice = f"listen on another address than {text}, or end what has it: ss -lnp 'sport = :{port}'"
        if error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            advice = f"set listen to an address that this host has; {text} is none"
        raise Blind(f"{text} can not be listened on: {error.strerror}", advice) from error
    return made


def packed(text: str) -> bytes:
    """16 bytes, or 4 of an IPv4-mapped address."""
    if ":" not in text:
        with contextlib.suppress(OSError):
            return socket.inet_aton(text)
    with contextlib.suppress(OSError):
        raw = socket.inet_pton(socket.AF_INET6, text.partition("%")[0])
        return raw[12:] if raw.startswith(MAPPED) else raw
    return bytes(16)
